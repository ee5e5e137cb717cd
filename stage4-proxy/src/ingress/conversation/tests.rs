use super::*;

use std::sync::Arc;

use crate::access::Denial;
use crate::connect_error::ConnectError;

/// A protocol of lines: `go` connects, `no` is refused, `hello` is greeted, anything else ignored.
#[derive(Debug)]
struct Lines;

impl Handshake for Lines {
    fn advance(&mut self, input: &[u8]) -> Step {
        let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
            return step(0, b"", Verdict::More);
        };
        match &input[..end] {
            b"go" => step(
                end + 1,
                b"",
                Verdict::Connect(Arc::new("example:80".parse().unwrap())),
            ),
            b"no" => step(end + 1, b"no\n", Verdict::Refuse("as asked".to_owned())),
            b"hello" => step(end + 1, b"hi\n", Verdict::More),
            _ => step(end + 1, b"", Verdict::More),
        }
    }

    fn connected(&mut self, local: Option<SocketAddr>) -> Vec<u8> {
        format!("from {local:?}\n").into_bytes()
    }

    fn failed(&mut self, failure: &Failure<'_>) -> Vec<u8> {
        format!("error: {failure}\n").into_bytes()
    }
}

fn step(consumed: usize, reply: &[u8], verdict: Verdict) -> Step {
    Step {
        consumed,
        reply: reply.to_vec(),
        forward: Vec::new(),
        exchange: None,
        verdict,
    }
}

fn lines(max_bytes: usize) -> Conversation {
    Conversation::new(Box::new(Lines), max_bytes)
}

/// Describes a step in a form that can be compared.
fn told(step: &Step) -> (usize, &str, &'static str) {
    let verdict = match step.verdict {
        Verdict::More => "more",
        Verdict::Connect(_) => "connect",
        Verdict::Associate(_) => "associate",
        Verdict::Identified(_) => "identified",
        Verdict::Refuse(_) => "refuse",
        Verdict::Unauthorized(_) => "unauthorized",
        Verdict::TooLong => "too long",
    };
    (step.consumed, str::from_utf8(&step.reply).unwrap(), verdict)
}

#[test]
fn several_steps_become_one_sum() {
    let step = lines(100).advance(b"hello\nx\nhello\nhel");
    assert_eq!(told(&step), (14, "hi\nhi\n", "more"));
}

#[test]
fn the_rest_belongs_to_the_target() {
    let step = lines(100).advance(b"hello\ngo\nhello\n");
    assert_eq!(told(&step), (9, "hi\n", "connect"));
}

#[test]
fn a_refusal_keeps_its_reply() {
    let step = lines(100).advance(b"no\ngo\n");
    assert_eq!(told(&step), (3, "no\n", "refuse"));
}

#[test]
fn a_handshake_in_any_two_pieces_comes_to_the_same() {
    let bytes = b"hello\ngo\n";
    for cut in 0..bytes.len() {
        let mut conversation = lines(100);
        let first = conversation.advance(&bytes[..cut]);
        assert!(first.verdict.is_more(), "cut at {cut}");
        let second = conversation.advance(&bytes[first.consumed..]);
        assert_eq!(first.consumed + second.consumed, 9, "cut at {cut}");
        assert_eq!(told(&second).2, "connect", "cut at {cut}");
    }
}

#[test]
fn the_bound_counts_bytes_that_wait_and_bytes_that_were_consumed() {
    assert_eq!(told(&lines(10).advance(b"123456789")).2, "more");
    assert_eq!(told(&lines(10).advance(b"1234567890")).2, "too long");
    let mut conversation = lines(10);
    assert_eq!(told(&conversation.advance(b"1234\n")), (5, "", "more"));
    assert_eq!(told(&conversation.advance(b"1234\n")), (5, "", "too long"));
}

#[test]
fn a_verdict_within_the_bound_is_no_less_good_for_what_follows_it() {
    assert_eq!(
        told(&lines(10).advance(b"go\n the target's bytes")).2,
        "connect"
    );
}

#[test]
fn a_failure_is_told_in_the_protocol_s_words() {
    let mut conversation = lines(10);
    let told = |failure: &Failure<'_>| String::from_utf8(conversation.failed(failure)).unwrap();
    assert_eq!(
        [
            Failure::Unreached(&ConnectError::Refused),
            Failure::Unreached(&ConnectError::Denied(Denial::OwnListener)),
            Failure::TooSlow,
            Failure::TooLong,
        ]
        .each_ref()
        .map(told),
        [
            "error: connection refused\n",
            "error: not allowed\n",
            "error: the handshake timed out\n",
            "error: the handshake is too long\n",
        ]
    );
}
