//! The output of tests and compilers: bounded, and without the frame of libtest.

use std::io::Read;

use crate::run::nonce::is_mark;

/// After so many bytes we close the pipe, and the next write of the test fails (`EPIPE`).
const FLOOD: usize = 64 << 20;

/// Reads a stream to its end and keeps its beginning and its end, `limit` bytes together.
pub(crate) fn read_bounded(mut stream: impl Read, limit: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    let (mut dropped, mut read) = (0, 0);
    let mut chunk = vec![0; 16 * 1024];
    // A read error counts as the end of the stream.
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        kept.extend_from_slice(&chunk[..count]);
        read += count;
        if kept.len() > limit {
            let surplus = kept.len() - limit;
            kept.drain(limit / 2..limit / 2 + surplus);
            dropped += surplus;
        }
        if read > FLOOD {
            kept.extend_from_slice(b"\n... and more, which was not read ...\n");
            break;
        }
    }
    if dropped > 0 {
        let note = format!("\n... {dropped} bytes are left out here ...\n");
        kept.splice(limit / 2..limit / 2, note.into_bytes());
    }
    kept
}

/// Returns bytes as text, with the middle left out if they are many.
pub(crate) fn bounded(bytes: &[u8], limit: usize) -> String {
    String::from_utf8_lossy(&read_bounded(bytes, limit)).into_owned()
}

/// Returns the message of a failed test, without the frame that libtest puts around it.
pub(crate) fn message(output: &str) -> String {
    let is_frame = |line: &str| {
        let line = line.trim();
        is_mark(line)
            || line.starts_with("running ")
            || line.starts_with("test result: ")
            || line.starts_with("note: run with `RUST_BACKTRACE")
            || ["failures:", "FAILED", "ok"].contains(&line)
            || line.starts_with("thread '") && line.ends_with(':') && line.contains("panicked at")
    };
    let lines: Vec<_> = output.lines().map(behind_name).collect();
    // The list of failures at the end repeats the name.
    let end = lines.iter().rposition(|line| line.trim() == "failures:");
    let lines = &lines[..end.unwrap_or(lines.len())];
    let mut kept: Vec<&str> = Vec::new();
    for line in lines.iter().filter(|line| !is_frame(line)) {
        // One empty line separates paragraphs; more are left over from the frame.
        if !line.trim().is_empty() || kept.last().is_some_and(|last| !last.trim().is_empty()) {
            kept.push(line);
        }
    }
    kept.join("\n").trim_end().to_owned()
}

/// Returns the text after `test NAME ... `, because libtest ends that line only with the test.
fn behind_name(line: &str) -> &str {
    let behind = line
        .strip_prefix("test ")
        .and_then(|rest| rest.split_once(" ..."));
    match behind {
        Some((name, rest)) if !name.contains(' ') => rest.trim_start(),
        _ => line,
    }
}

/// Finds the exercise whose `todo!` has ended a test: `3.2`.
pub(crate) fn unwritten(output: &str) -> Option<&str> {
    let (_, rest) = output.split_once("not yet implemented: exercise ")?;
    rest.split([':', '\n', '\'', '"']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginning_and_end_are_kept() {
        assert_eq!(bounded(b"short", 100), "short");
        let mut long = b"begin".to_vec();
        long.resize(1_000_000, b'x');
        long.extend(b"end");
        let text = bounded(&long, 1000);
        assert!(text.starts_with("begin") && text.ends_with("end"));
        assert!(
            text.contains("... 999003 bytes are left out here ..."),
            "{text}"
        );
        assert!(text.len() < 1100);
    }

    #[test]
    fn the_frame_of_libtest_is_taken_away() {
        let output = "\nrunning 1 test\n\nthread 'e11_a' (7) panicked at tests/stage1.rs:5:3:\ntest e11_a ... \n\nIt is wrong.\n\n\n  1. connect\n\n\
                      note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\nFAILED\n\n\
                      failures:\n\nfailures:\n    e11_a\n\ntest result: FAILED. 0 passed\n";
        assert_eq!(message(output), "It is wrong.\n\n  1. connect");
    }

    #[test]
    fn what_was_said_behind_the_name_of_a_test_is_kept() {
        let output = "\nrunning 1 test\ntest e14_a ... The test was ended: it had more than 200 processes.\n";
        assert_eq!(
            message(output),
            "The test was ended: it had more than 200 processes."
        );
        assert_eq!(
            message("test a ... ok\ntest one byte ... and more"),
            "test one byte ... and more"
        );
    }

    #[test]
    fn an_unwritten_exercise_is_found() {
        let output = "x\nnot yet implemented: exercise 3.2: Wake\nmore";
        assert_eq!(unwritten(output), Some("3.2"));
        assert_eq!(unwritten("assertion failed"), None);
    }
}
