//! Exercises 1.2 and 1.3 through the library: a line is reversed, and lines are found in a stream.

use harness::{Failure, Rng, Test, ensure, expect_bytes, expect_value, lines, proc};
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
    // A line that is UTF-8, with a character of two bytes, comes out as other text.
    expect_reversed(b"\xc3\xa9a\n", b"a\xa9\xc3\n");
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
        expect_value(
            format!("The rest after whole lines in pieces of {size}"),
            &None,
            &buffer.rest(),
            "the last line was taken, and `start` was not moved behind it.",
        );
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
    expect_value(
        "The rest, asked for a second time,",
        &None,
        &buffer.rest(),
        "the rest was not taken out of the buffer.",
    );
}

#[test]
fn e13_a_line_has_a_longest_length() {
    let _test = Test::begin("MAX_LINE bytes are allowed before the newline, not one more.");
    let mut buffer = LineBuffer::new();
    buffer.extend(&vec![b'x'; MAX_LINE]);
    expect_value(
        "next_line after MAX_LINE bytes without a newline",
        &Ok(None),
        &buffer.next_line(),
        "the newline is counted as a part of the line.",
    );
    buffer.extend(b"\nnext\n");
    let lengths: Vec<_> = take_lines(&mut buffer).iter().map(Vec::len).collect();
    expect_value(
        "The length of each line, newline included,",
        &vec![MAX_LINE + 1, 5],
        &lengths,
        "a line of MAX_LINE bytes is taken for one that is too long.",
    );
    for newline in [&b""[..], b"\nnext\n"] {
        let mut buffer = LineBuffer::new();
        buffer.extend(&[&vec![b'x'; MAX_LINE + 1], newline].concat());
        let ending = newline.escape_ascii();
        for time in ["first", "second"] {
            ensure(
                buffer.next_line().is_err(),
                format!(
                    "MAX_LINE + 1 bytes and then \"{ending}\": the {time} next_line gives no error. Whether a line is too \
                     long may not depend on how its bytes were cut: compare its length before you look for its newline."
                ),
            );
        }
    }
}

#[test]
fn e13_lines_that_were_taken_are_forgotten() {
    let _test =
        Test::begin("extend removes the lines that were taken: a client may stay for days.");
    let whole = [&vec![b'x'; 1023][..], b"\n"].concat();
    // The end of one line and the beginning of the next, so that the buffer never runs empty.
    let parts = [&vec![b'x'; 1019][..], b"\nnext"].concat();
    for (way, first, piece) in [
        ("whole lines", &b""[..], &whole),
        ("ends and beginnings of lines", b"next", &parts),
    ] {
        let mut buffer = LineBuffer::new();
        buffer.extend(first);
        let before = proc::private_kib(std::process::id());
        for _ in 0..128 * 1024 {
            buffer.extend(piece);
            ensure(
                buffer.next_line().is_ok_and(|taken| taken.is_some()),
                "A line has ended, but next_line found none.",
            );
        }
        let grown = proc::private_kib(std::process::id()).saturating_sub(before);
        ensure(
            grown < 48 * 1024,
            format!(
                "After 128 MiB in pieces of 1 KiB, {way}, of which each line was taken at once, the buffer has grown by {grown} KiB: \
                 it keeps what was taken."
            ),
        );
    }
}
