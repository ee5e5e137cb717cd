//! Bodies cut at every byte, and arbitrary bytes in any pieces.

use super::*;

use proptest::prelude::*;

/// Takes `input` in pieces that end at `cuts`; returns how many bytes belong to the body, or why it is none.
fn take(mut body: Body, input: &[u8], cuts: &[usize]) -> Result<(usize, bool), Invalid> {
    let mut used = 0;
    let mut begin = 0;
    for &cut in cuts.iter().chain([&input.len()]) {
        let count = body.take(&input[begin..cut])?;
        used += count;
        if count < cut - begin {
            break;
        }
        begin = cut;
    }
    Ok((used, body.is_over()))
}

#[test]
fn a_body_ends_at_its_last_byte_however_it_is_cut() {
    let table: [(&str, Body, usize); 9] = [
        ("", Body::NONE, 0),
        ("next", Body::NONE, 0),
        ("hellonext", Body::Length(5), 5),
        ("all of it", Body::UntilClose, 9),
        ("0\r\n\r\nnext", Body::chunked(Blanks::Refused), 5),
        (
            "5\r\nhello\r\n0\r\n\r\nnext",
            Body::chunked(Blanks::Refused),
            15,
        ),
        (
            "00a;a=\"b\"\r\n0\r\n\r\n\r\n\r\n1\r\n000\r\n\r\nnext",
            Body::chunked(Blanks::Refused),
            30,
        ),
        (
            "1 ;a\r\nx\r\n0\r\nA: b\r\nC:\td\r\n\r\nnext",
            Body::chunked(Blanks::Refused),
            26,
        ),
        (
            "1 \t\r\nx\r\n0 \r\n\r\nnext",
            Body::chunked(Blanks::Skipped),
            14,
        ),
    ];
    for (input, body, length) in table {
        for first in 0..=input.len() {
            for second in first..=input.len() {
                let taken = take(body, input.as_bytes(), &[first, second]);
                let is_over = body != Body::UntilClose;
                let expected = Ok((length, is_over));
                assert_eq!(taken, expected, "{input:?} at {first}, {second}");
            }
        }
    }
}

#[test]
fn chunks_that_two_parsers_could_read_differently_are_refused() {
    let table = [
        ("\r\n", SIZE),
        (";a\r\n", SIZE),
        ("0x5\r\n", SIZE),
        ("+5\r\n", SIZE),
        ("-5\r\n", SIZE),
        (" 5\r\n", SIZE),
        ("5 \r\n", SIZE),
        ("5 5\r\n", SIZE),
        ("5\n", SIZE),
        ("5_0\r\n", SIZE),
        ("fffffffffffffffff\r\n", TOO_LARGE),
        ("00000000000000000\r\n", TOO_LARGE),
        ("1000000000000000\r\n", TOO_LARGE),
        ("5\rhello", LINE_END),
        ("1\r\nxy\r\n", LINE_END),
        ("1\r\nx\n", LINE_END),
        ("1\r\nx\r0", LINE_END),
        ("0\r\n\rX", LINE_END),
        ("0\r\nA: b\rX", LINE_END),
        ("5;a\nb\r\n", EXTRA),
        ("5;a\0\r\n", EXTRA),
        ("0\r\n\n", EXTRA),
        ("0\r\nA: b\n\r\n", EXTRA),
        ("0\r\n A: b\r\n", EXTRA),
        ("0\r\nA: b\r\n c\r\n", EXTRA),
        ("0\r\n: b\r\n", EXTRA),
    ];
    for (input, expected) in table {
        for cut in 0..=input.len() {
            let taken = take(Body::chunked(Blanks::Refused), input.as_bytes(), &[cut]);
            assert_eq!(taken, Err(expected), "{input:?} at {cut}");
        }
    }
}

#[test]
fn lines_have_bounds() {
    let chunked = || Body::chunked(Blanks::Refused);
    let extension = |length: usize| format!("1;{}\r\nx\r\n", "e".repeat(length));
    let most = usize::from(MAX_SIZE_LINE) - 1;
    assert!(take(chunked(), extension(most).as_bytes(), &[]).is_ok());
    let longer = take(chunked(), extension(most + 1).as_bytes(), &[]);
    assert_eq!(longer, Err(EXTRA));
    let trailers = format!(
        "0\r\n{}",
        "A: b\r\n".repeat(usize::from(MAX_TRAILERS) / 4 + 1)
    );
    assert_eq!(take(chunked(), trailers.as_bytes(), &[]), Err(EXTRA));
}

#[test]
fn only_bytes_that_are_certain_pass_without_a_look() {
    let mut body = Body::Length(10);
    body.pass(4);
    assert_eq!((body.blind(), body.is_over()), (6, false));
    body.pass(6);
    assert_eq!((body.blind(), body.is_over()), (0, true));
    assert_eq!(Body::UntilClose.blind(), u64::MAX);
    let mut small = Body::chunked(Blanks::Refused);
    small.take(b"ff\r\nx").unwrap();
    assert_eq!(small.blind(), 0, "a small chunk is looked at");
    let mut large = Body::chunked(Blanks::Refused);
    large.take(b"100000\r\nx").unwrap();
    assert_eq!(large.blind(), 0xf_ffff);
    large.pass(0xf_fffe);
    assert_eq!(large.take(b"y\r\n0\r\n\r\nnext"), Ok(8));
    assert!(large.is_over());
}

#[test]
#[should_panic(expected = "more has passed")]
fn to_pass_more_than_is_certain_is_a_bug() {
    Body::Length(1).pass(2);
}

/// Bytes of which many are valid chunks.
fn likely() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "0", "1", "2", "\r\n", "\r\n", "\r\n", "\r", "\n", ";", " ", "x", "xx", "A: b", ":", "f",
    ];
    let piece = prop::sample::select(pieces.to_vec());
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        input in prop_oneof![likely(), any::<Vec<u8>>()],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        skips: bool,
    ) {
        let blanks = if skips { Blanks::Skipped } else { Blanks::Refused };
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = take(Body::chunked(blanks), &input, &[]);
        prop_assert_eq!(take(Body::chunked(blanks), &input, &cuts), whole);
    }

    #[test]
    fn every_body_in_chunks_ends_at_its_last_byte(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        rest in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut input = Vec::new();
        for chunk in chunks {
            input.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            input.extend(chunk);
            input.extend(b"\r\n");
        }
        input.extend(b"0\r\n\r\n");
        let length = input.len();
        input.extend(rest);
        prop_assert_eq!(take(Body::chunked(Blanks::Refused), &input, &[]), Ok((length, true)));
    }
}
