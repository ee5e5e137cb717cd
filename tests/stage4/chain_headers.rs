//! Exercise 4.10 through the library: the headers of a chain, cut at every byte. `chain.rs` has its programs.

use harness::{Rng, Test, ensure, expect_bytes};
use stage2_client::Target;
use stage4_proxy::chain::{Outcome, Request, Response, Responses, Status, headers};

/// The response of a hop that is connected.
const CONNECTED: &[u8] = &[1, 0, 0];

fn target(text: &str) -> Target {
    text.parse().expect("a target")
}

/// A response, byte by byte, and what it says.
fn refusal(number: u8, text: &str) -> (Vec<u8>, Response) {
    let length = u8::try_from(text.len()).expect("a short text");
    let bytes = [&[1, number, length], text.as_bytes()].concat();
    let (status, text) = (Status::of(number), text.to_owned());
    (bytes, Response { status, text })
}

/// Reads the responses of `hops` hops that arrive in pieces, as a session does; returns the outcome and the rest.
#[track_caller]
fn read<'a>(hops: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Outcome, Vec<u8>) {
    let mut responses = Responses::new(hops);
    let (mut pending, mut outcome) = (Vec::new(), Outcome::Incomplete);
    for piece in pieces {
        pending.extend_from_slice(piece);
        if outcome != Outcome::Incomplete {
            continue;
        }
        let (used, seen) = responses.read(&pending);
        ensure(
            used <= pending.len(),
            format!("{} bytes have come, and {used} were used.", pending.len()),
        );
        pending.drain(..used);
        outcome = seen;
    }
    (outcome, pending)
}

#[test]
fn e4_10_each_hop_gets_the_address_of_the_next() {
    let _test = Test::begin(
        "Hop 1 is dialled: its header has hop 2 in it. The header of the last hop has the target.",
    );
    let [one, two, three] = ["a:1", "b:2", "[2001:db8::3]:3"].map(target);
    let end = target("192.0.2.9:80");
    let header = |next: &Target| Request::encode(next);
    expect_bytes(
        "The header for a chain of one hop",
        &header(&end),
        &headers(std::slice::from_ref(&one), &end),
    );
    expect_bytes(
        "The headers for a chain of three hops",
        &[header(&two), header(&three), header(&end)].concat(),
        &headers(&[one, two, three], &end),
    );
    let none = headers(&[], &end);
    expect_bytes("The headers for no hop", b"", &none);
}

#[test]
fn e4_10_a_response_may_end_anywhere() {
    let _test = Test::begin(
        "Three bytes, and a text as long as the third of them says: are they all there?",
    );
    let (whole, response) = refusal(2, "connection refused");
    for end in 0..whole.len() {
        let parsed = Response::parse(&whole[..end]);
        assert_eq!(parsed, Ok(None), "after {end} of {} bytes", whole.len());
    }
    let length = whole.len();
    assert_eq!(
        Response::parse(&whole),
        Ok(Some((response.clone(), length))),
        "a whole response, with its length"
    );
    let more = [&whole[..], b"bytes of the target"].concat();
    let parsed = Response::parse(&more);
    assert_eq!(parsed, Ok(Some((response, length))), "the rest is not its");
}

#[test]
fn e4_10_responses_may_be_cut_at_every_byte() {
    let _test = Test::begin(
        "One read is not one response: keep the part that has come, and do not count a hop twice.",
    );
    let payload = b"first bytes of the target";
    let all = [&CONNECTED.repeat(3)[..], payload].concat();
    for cut in 0..=all.len() {
        let (outcome, rest) = read(3, [&all[..cut], &all[cut..]]);
        assert_eq!(outcome, Outcome::Connected, "cut at {cut}");
        expect_bytes("The rest, which is the target's,", payload, &rest);
    }
    let (outcome, rest) = read(3, all.chunks(1));
    assert_eq!(outcome, Outcome::Connected, "byte by byte");
    expect_bytes("The rest, which is the target's,", payload, &rest);
}

#[test]
fn e4_10_bytes_behind_the_last_response_are_the_target_s() {
    let _test = Test::begin("A target may speak first. Its bytes may even look like a response.");
    for payload in [CONNECTED, b"\x01\x05\x00", b"220 ready\r\n", b""] {
        let all = [CONNECTED, CONNECTED, payload].concat();
        let (outcome, rest) = read(2, [&all[..]]);
        assert_eq!(outcome, Outcome::Connected, "every hop is connected");
        expect_bytes("The rest, which is the target's,", payload, &rest);
    }
}

#[test]
fn e4_10_the_first_failure_is_named_by_its_place() {
    let _test = Test::begin("Responses come in the order of the hops, which are counted from 1.");
    let (bytes, response) = refusal(3, "connection timed out");
    for place in 1..=4 {
        let all = [&CONNECTED.repeat(place - 1)[..], &bytes, b"more"].concat();
        for cut in 0..=all.len() {
            let (outcome, _) = read(4, [&all[..cut], &all[cut..]]);
            let expected = Outcome::Failed(place, response.clone());
            assert_eq!(outcome, expected, "cut at {cut}");
        }
    }
    let mut responses = Responses::new(3);
    assert_eq!(responses.awaited(), 1, "the first hop is number 1");
    let (used, outcome) = responses.read(&[CONNECTED, CONNECTED].concat());
    assert_eq!(
        (used, outcome),
        (6, Outcome::Incomplete),
        "two of three responses (bytes used, outcome)"
    );
    assert_eq!(
        responses.awaited(),
        3,
        "the hop whose response comes next, counted from 1"
    );
}

#[test]
fn e4_10_a_text_is_as_long_as_it_says() {
    let _test = Test::begin("The length counts bytes, 0 to 255, whatever characters they are.");
    for text in ["", "x", "kein Weg zum Ziel: 網", &"y".repeat(255)] {
        let (bytes, response) = refusal(4, text);
        let all = [&bytes[..], CONNECTED].concat();
        let parsed = Response::parse(&all).unwrap();
        assert_eq!(parsed, Some((response.clone(), bytes.len())), "{text:?}");
        expect_bytes(
            "The header of the same response",
            &bytes,
            &response.encode(),
        );
    }
    // Nothing needs a text for a success, but another implementation may send one.
    let parsed = Response::parse(b"\x01\x00\x02okbytes of the target").unwrap();
    let length = parsed.map(|(_, length)| length);
    ensure(
        length == Some(5),
        format!(
            "A success with a text of two bytes has five bytes, but its length is {length:?}. The rest would be taken for the \
             target's bytes: the length counts whatever the status is."
        ),
    );
    let text = "é".repeat(200);
    let status = Status::Other;
    let long = Response { status, text }.encode();
    assert_eq!(usize::from(long[2]), long.len() - 3, "the length is true");
    let parsed = Response::parse(&long).unwrap().map(|(it, _)| it.text);
    assert_eq!(
        parsed,
        Some("é".repeat(127)),
        "254 bytes: no half character"
    );
}

#[test]
fn e4_10_a_text_changes_no_terminal() {
    let _test = Test::begin(
        "The text comes from another machine, and ends in your log: replace what is_unsafe names.",
    );
    let bytes = [&[1, 2, 9][..], b"a\x1b[31m\r\nb"].concat();
    let parsed = Response::parse(&bytes).unwrap().map(|(it, _)| it.text);
    assert_eq!(
        parsed.as_deref(),
        Some("a\u{fffd}[31m\u{fffd}\u{fffd}b"),
        "the text without its control characters"
    );
    let bytes = [1, 2, 2, 0xff, b'x'];
    let parsed = Response::parse(&bytes).unwrap().map(|(it, _)| it.text);
    assert_eq!(parsed.as_deref(), Some("\u{fffd}x"), "no text at all");
}

#[test]
fn e4_10_another_protocol_is_no_response() {
    let _test = Test::begin("The first byte is the version: anything else is no hop.");
    for bytes in [&b"HTTP/1.1 400"[..], &[0], &[2, 0, 0], b"S"] {
        ensure(
            Response::parse(bytes).is_err(),
            format!("{bytes:?} does not begin with version 1, so it is no response."),
        );
        let (outcome, _) = read(2, [&[CONNECTED, bytes].concat()[..]]);
        assert_eq!(
            outcome,
            Outcome::Malformed(2),
            "the second response has an unknown version"
        );
    }
}

#[test]
fn e4_10_arbitrary_bytes_do_no_harm() {
    let _test = Test::begin("A peer may send anything. No input may be an index out of bounds.");
    let mut rng = Rng::for_test();
    for _ in 0..3000 {
        let length = rng.below(30);
        let mut bytes = rng.bytes(length);
        bytes.iter_mut().for_each(|byte| *byte %= 4);
        let cut = rng.below(length + 1);
        let _ = read(rng.below(5), [&bytes[..cut], &bytes[cut..]]);
    }
}
