//! A direction that moves one message and no more.

use super::*;

use crate::http::Message;
use crate::http::body::{Blanks, Body};
use crate::http::exchange::Upload;

/// Moves a message until its end or until nothing more can be done; returns the outcome of each turn.
fn turns(rig: &mut Rig, message: &mut Upload) -> Vec<Progress> {
    let mut turns = Vec::new();
    while turns.last() != Some(&Progress::Idle) {
        let pumped =
            rig.flow
                .pump_message(message, &mut rig.source, &mut rig.sink, &mut rig.scratch);
        turns.push(pumped.unwrap());
    }
    turns
}

#[test]
fn no_byte_behind_the_last_one_is_read_and_each_turn_has_an_end() {
    let mut rig = Rig::new(unix, &limits());
    rig.sink.writable = true;
    rig.deliver(&vec![7; CHUNK * 3]);
    let length = CHUNK * 2 + 1;
    let mut message = Upload::new(Body::Length(length as u64));
    use Progress::{Idle, Unfinished};
    assert_eq!(
        turns(&mut rig, &mut message),
        [Unfinished, Unfinished, Idle],
        "a turn of these limits moves one chunk"
    );
    assert!(message.is_over());
    assert_eq!(rig.flow.half.moved(), length as u64);
    assert!(rig.source.readable, "the bytes behind it are still there");
}

#[test]
fn bytes_behind_chunks_are_kept() {
    let mut rig = Rig::new(unix, &limits());
    rig.sink.writable = true;
    rig.deliver(b"5\r\nhello\r\n0\r\n\r\nGET /");
    let mut message = Upload::new(Body::chunked(Blanks::Refused));
    assert_eq!(turns(&mut rig, &mut message), [Progress::Idle]);
    assert_eq!(rig.flow.half.moved(), 15);
    assert_eq!(message.take_surplus(), b"GET /");
}

#[test]
fn bytes_that_are_no_message_are_a_fault_of_their_own() {
    let mut rig = Rig::new(unix, &limits());
    rig.sink.writable = true;
    rig.deliver(b"no size\r\n");
    let mut message = Upload::new(Body::chunked(Blanks::Refused));
    let pumped = rig.flow.pump_message(
        &mut message,
        &mut rig.source,
        &mut rig.sink,
        &mut rig.scratch,
    );
    assert!(
        matches!(pumped, Err(MessageFault::Invalid(_))),
        "{pumped:?}"
    );
    assert_eq!(rig.flow.half.moved(), 0);
}
