//! Exercises 1.2 and 1.3 through the library: a line is reversed, and lines are found in a stream.

use harness::{Failure, Rng, Test, ensure, expect_bytes, lines};
use stage1_server::{LineBuffer, MAX_LINE, reverse_line};

fn reversed(line: &[u8]) -> Vec<u8> {
    let mut line = line.to_vec();
    reverse_line(&mut line);
    line
}

#[test]
fn e12_a_line_is_reversed_and_its_newline_stays() {
    let _test = Test::begin("Reverse the bytes before the newline; the newline keeps its place.");
    expect_reversed(b"stressed\n", b"desserts\n");
    expect_reversed(b"no newline", b"enilwen on");
    expect_reversed(b"\n", b"\n");
    expect_reversed(b"", b"");
    expect_reversed(b"ab\r\n", b"\rba\n");
}

#[test]
fn e12_bytes_are_not_text() {
    let _test = Test::begin("Reverse bytes, not characters: the bytes need not be UTF-8.");
    expect_reversed(b"\x00\xff\xfe\n", b"\xfe\xff\x00\n");
    let line = Rng::for_test().line(100);
    expect_reversed(&line, &lines::reversed(&line));
}

/// Fails with both lines side by side and a caret where they part.
fn expect_reversed(line: &[u8], expected: &[u8]) {
    let seen = reversed(line);
    if seen != expected {
        let shown = line.escape_ascii();
        Failure::new(format!(
            "reverse_line turned \"{shown}\" into something else."
        ))
        .bytes(expected, &seen)
        .raise();
    }
}

fn take_lines(buffer: &mut LineBuffer) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| {
        buffer
            .next_line()
            .expect("no line is too long")
            .map(|line| line.to_vec())
    })
    .collect()
}

/// Fails at the first line that is wrong, or when there are too few or too many; `which` names them.
fn expect_lines(which: &str, expected: &[&[u8]], seen: &[Vec<u8>]) {
    for (number, (expected, seen)) in (1..).zip(expected.iter().zip(seen)) {
        expect_bytes(&format!("Line {number} {which}"), expected, seen);
    }
    let (wanted, came) = (expected.len(), seen.len());
    ensure(
        came == wanted,
        format!("{came} lines {which}, but it should be {wanted}."),
    );
}

#[test]
fn e13_a_line_may_come_in_any_pieces() {
    let _test = Test::begin("Keep the bytes after the last newline until their own newline comes.");
    let text = lines::random_lines(&mut Rng::for_test(), 3000);
    for size in [1, 2, 7, 1000, text.len()] {
        let mut buffer = LineBuffer::new();
        let mut seen = Vec::new();
        for piece in text.chunks(size) {
            buffer.extend(piece);
            seen.extend(take_lines(&mut buffer));
        }
        let expected: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
        expect_lines(&format!("in pieces of {size}"), &expected, &seen);
        assert_eq!(buffer.rest(), None);
    }
}

#[test]
fn e13_one_piece_may_bring_many_lines() {
    let _test = Test::begin("Ask for lines until there is none: one read may bring several.");
    let mut buffer = LineBuffer::new();
    buffer.extend(b"one\n\nthree\nfo");
    expect_lines(
        "of the first piece",
        &[b"one\n", b"\n", b"three\n"],
        &take_lines(&mut buffer),
    );
    buffer.extend(b"ur\n");
    expect_lines(
        "of the second piece",
        &[b"four\n"],
        &take_lines(&mut buffer),
    );
}

#[test]
fn e13_the_rest_is_the_last_line() {
    let _test =
        Test::begin("At the end of the input, the remaining bytes are a line without newline.");
    let mut buffer = LineBuffer::new();
    buffer.extend(b"one\nrest");
    expect_lines("before the end", &[b"one\n"], &take_lines(&mut buffer));
    let rest = buffer.rest().map(|rest| rest.to_vec());
    expect_bytes("The rest", b"rest", &rest.unwrap_or_default());
    assert_eq!(buffer.rest(), None, "it is taken once");
}

#[test]
fn e13_a_line_has_a_longest_length() {
    let _test = Test::begin("MAX_LINE bytes are allowed before the newline, not one more.");
    let mut buffer = LineBuffer::new();
    buffer.extend(&vec![b'x'; MAX_LINE]);
    assert_eq!(buffer.next_line(), Ok(None));
    buffer.extend(b"\nnext\n");
    assert_eq!(take_lines(&mut buffer).concat().len(), MAX_LINE + 1 + 5);
    buffer.extend(&vec![b'x'; MAX_LINE + 1]);
    assert!(
        buffer.next_line().is_err(),
        "without this bound one client fills the memory"
    );
}
