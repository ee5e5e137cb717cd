//! Headers and responses, cut anywhere; the client is tested against hops that run.

use std::io;

use harness::{expect_bytes, expect_value};
use proptest::prelude::*;
use stage2_client::{Host, Target};

use super::*;
use crate::connect_error::ConnectError;

fn target(text: &str) -> Target {
    text.parse().unwrap()
}

fn response(status: Status, text: &str) -> Response {
    Response {
        status,
        text: text.to_owned(),
    }
}

#[test]
fn each_hop_is_told_the_next_one() {
    let hops = ["192.0.2.1:1", "b.example:2", "[2001:db8::3]:3"].map(target);
    let bytes = headers(&hops, &target("d.example:258"));
    let expected = [
        &b"\x01\x03\x09b.example\x00\x02"[..],
        b"\x01\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x03\x00\x03",
        b"\x01\x03\x09d.example\x01\x02",
    ];
    expect_bytes(
        "The headers for three hops, of which each names the next one and the last the target,",
        &expected.concat(),
        &bytes,
    );
    expect_bytes(
        "The headers of a chain without hops",
        b"",
        &headers(&[], &target("d.example:4")),
    );
}

#[test]
fn a_hop_takes_its_own_header_only() {
    let hops = ["a.example:1", "b.example:2"].map(target);
    let bytes = headers(&hops, &target("c.example:3"));
    let Request::Connect { next, length } = Request::parse(&bytes) else {
        panic!("{:?}", Request::parse(&bytes));
    };
    expect_value(
        "The next hop in the header of the first one",
        &target("b.example:2"),
        &next,
        "the first header goes to the first hop, and names the second one.",
    );
    expect_bytes(
        "What the first hop leaves for the second one",
        &Request::encode(&target("c.example:3")),
        &bytes[length..],
    );
}

#[test]
fn what_is_no_header_is_refused_with_a_reason() {
    let table: [(&[u8], _); 5] = [
        (b"\x02", "version"),
        (b"GET / HTTP/1.1", "version"),
        (b"\x01\x02abc", "type"),
        (b"\x01\x01\x7f\0\0\x01\0\0", "port"),
        (b"\x01\x03\x02a b\0\x50", "host name"),
    ];
    for (bytes, word) in table {
        match Request::parse(bytes) {
            Request::Malformed(why) => assert!(
                why.contains(word),
                "the reason for {bytes:?} is to have the word {word:?}, but is: {why}"
            ),
            other @ (Request::Incomplete | Request::Connect { .. }) => {
                panic!("{bytes:?} is no header, but is read as {other:?}")
            }
        }
    }
}

#[test]
fn a_text_is_cut_between_two_characters_and_shows_no_control_characters() {
    let long = response(Status::Other, &"ä".repeat(200)).encode();
    let (read, length) = Response::parse(&long).unwrap().unwrap();
    expect_value(
        "The text (its bytes) and the length of a response with 254 bytes of two-byte characters",
        &(254, long.len()),
        &(read.text.len(), length),
        "the text is as long as the third byte says, and the length counts the three bytes before it.",
    );

    let rude = response(Status::Other, "a\x1b[2Jb\nc").encode();
    let (read, _) = Response::parse(&rude).unwrap().unwrap();
    expect_value(
        "A text with an escape and a newline",
        &"a\u{fffd}[2Jb\u{fffd}c",
        &read.text.as_str(),
        "it may come to a terminal: every character that is_unsafe becomes U+FFFD.",
    );
}

#[test]
fn the_first_failure_names_the_hop() {
    let ok = response(Status::Ok, "").encode();
    let refused = response(Status::Refused, "connection refused");
    let bytes = [&ok[..], &refused.encode(), b"and more"].concat();
    let (used, outcome) = Responses::new(3).read(&bytes);
    expect_value(
        "The outcome of a success and then a refusal, in one read, with three hops",
        &Outcome::Failed(2, refused),
        &outcome,
        "the first failure decides, and awaited tells its hop: count the successes before it.",
    );
    expect_bytes(
        "What is left behind the failure",
        b"and more",
        &bytes[used..],
    );
    let table = [
        (3, &b"\x05"[..], (0, Outcome::Malformed(1))),
        (0, b"payload", (0, Outcome::Connected)),
    ];
    for (hops, input, expected) in table {
        expect_value(
            format!("What {input:?} means with {hops} hops (bytes used, outcome)"),
            &expected,
            &Responses::new(hops).read(input),
            "the first byte tells another protocol; and without hops nothing is awaited, and every byte is the target's.",
        );
    }
}

#[test]
fn every_failure_has_its_status_and_every_status_its_number() {
    let errors = [
        (ConnectError::Resolve(io::Error::other("no such name")), 1),
        (ConnectError::Refused, 2),
        (ConnectError::TimedOut, 3),
        (ConnectError::Unreachable, 4),
        (ConnectError::Other(io::Error::other("no ports left")), 255),
    ];
    for (error, number) in errors {
        assert_eq!(Status::from(&error) as u8, number, "{error}");
    }
    for number in 0..=255 {
        let status = Status::of(number);
        assert!(
            status as u8 == number || status == Status::Other,
            "{number}"
        );
    }
}

fn any_target() -> impl Strategy<Value = Target> {
    let host = prop_oneof![
        any::<[u8; 4]>().prop_map(|it| Host::Address(it.into())),
        any::<[u8; 16]>().prop_map(|it| Host::Address(it.into())),
        "[a-z][a-z0-9.-]{0,200}".prop_map(Host::Name),
    ];
    (host, 1u16..).prop_map(|(host, port)| Target { host, port })
}

proptest! {
    #[test]
    fn a_header_may_be_cut_anywhere(next in any_target(), rest in proptest::collection::vec(any::<u8>(), 0..20)) {
        let header = Request::encode(&next);
        for cut in 0..header.len() {
            prop_assert_eq!(Request::parse(&header[..cut]), Request::Incomplete, "the first {} bytes of a header", cut);
        }
        let length = header.len();
        prop_assert_eq!(Request::parse(&[header, rest].concat()), Request::Connect { next, length });
    }

    #[test]
    fn responses_may_be_cut_anywhere(
        texts in proptest::collection::vec("[ -~äß]{0,60}", 1..5),
        rest in proptest::collection::vec(any::<u8>(), 0..20),
        piece in 1_usize..20,
    ) {
        let encoded = texts.iter().map(|text| response(Status::Ok, text).encode());
        let all = [encoded.collect::<Vec<_>>().concat(), rest.clone()].concat();
        let mut responses = Responses::new(texts.len());
        let (mut read, mut pending) = (0, Vec::new());
        let outcome = loop {
            let end = all.len().min(read + piece);
            pending.extend_from_slice(&all[read..end]);
            read = end;
            let (used, outcome) = responses.read(&pending);
            pending.drain(..used);
            if outcome != Outcome::Incomplete {
                break outcome;
            }
        };
        prop_assert_eq!(outcome, Outcome::Connected, "responses that come {} bytes at a time", piece);
        pending.extend_from_slice(&all[read..]);
        prop_assert_eq!(pending, rest, "the bytes behind the last response belong to the target");
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300), hops in 0_usize..5) {
        let (used, _) = Responses::new(hops).read(&bytes);
        prop_assert!(used <= bytes.len());
        let _ = Request::parse(&bytes);
    }
}
