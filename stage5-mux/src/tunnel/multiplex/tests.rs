//! The bytes of the npm library, and every header both ways.

use harness::expect_value;
use proptest::prelude::*;

use super::*;
use crate::tunnel::frame::Reason;

fn id(opener: Opener, number: u32) -> StreamId {
    StreamId { opener, number }
}

fn stream(opener: Opener, number: u32, signals: Signals, body: Body) -> Frame {
    let id = id(opener, number);
    Frame::Stream { id, signals, body }
}

fn decoded(bytes: &[u8]) -> (Frame, usize) {
    match Multiplex.decode(bytes) {
        Ok(Decoded::Complete { frame, length }) => (frame, length),
        other => panic!("{bytes:x?} begin with a whole header, but decode says {other:?}"),
    }
}

#[test]
fn a_header_is_written_as_the_library_writes_it() {
    let (ours, theirs) = (id(Opener::Us, 0), id(Opener::Peer, 0));
    let table: [(StreamId, Saying, &[u8]); 9] = [
        (ours, Saying::Open, &[0, 0]),
        (ours, Saying::Payload(2), &[2, 2]),
        (ours, Saying::Finish, &[4, 0]),
        (ours, Saying::Reset, &[6, 0]),
        (id(Opener::Us, 16), Saying::Open, &[0x80, 1, 0]),
        (theirs, Saying::Payload(2), &[1, 2]),
        (theirs, Saying::Finish, &[3, 0]),
        (theirs, Saying::Reset, &[5, 0]),
        (ours, Saying::Payload(200), &[2, 0xc8, 1]),
    ];
    for (id, saying, bytes) in table {
        let header = Multiplex.encode(Outgoing::Stream(id, saying));
        assert_eq!(header.as_bytes(), bytes, "{id} {saying:?}");
    }
}

#[test]
fn what_the_wire_has_no_word_for_is_not_sent() {
    let ours = id(Opener::Us, 0);
    for frame in [
        Outgoing::Stream(ours, Saying::Accept),
        Outgoing::Stream(ours, Saying::Credit(1)),
        Outgoing::Ping(1),
        Outgoing::Pong(1),
        Outgoing::GoAway(Reason::Normal),
    ] {
        assert_eq!(Multiplex.encode(frame), Header::empty());
    }
}

#[test]
fn the_frames_of_the_library_are_understood() {
    let table: [(&[u8], Frame); 8] = [
        (
            b"\x00\x00",
            stream(Opener::Peer, 0, Signals::OPEN, Body::Note(0)),
        ),
        (
            b"\x00\x05hello",
            stream(Opener::Peer, 0, Signals::OPEN, Body::Note(5)),
        ),
        (
            b"\x02\x02hi",
            stream(Opener::Peer, 0, Signals::NONE, Body::Payload(2)),
        ),
        (
            b"\x04\x00",
            stream(Opener::Peer, 0, Signals::FINISH, Body::Note(0)),
        ),
        (
            b"\x06\x04boom",
            stream(Opener::Peer, 0, Signals::RESET, Body::Note(4)),
        ),
        (
            b"\x01\x02yo",
            stream(Opener::Us, 0, Signals::NONE, Body::Payload(2)),
        ),
        (
            b"\x03\x00",
            stream(Opener::Us, 0, Signals::FINISH, Body::Note(0)),
        ),
        (b"\x07\x03abc", Frame::Undefined(3)),
    ];
    for (bytes, frame) in table {
        expect_value(
            format!("What the header at the front of {bytes:?} says, and its length,"),
            &(frame, 2),
            &decoded(bytes),
            "a byte below 128 is the last one of its number.",
        );
    }
    expect_value(
        "What the header 80 01 00 says, and its length,",
        &(stream(Opener::Peer, 16, Signals::OPEN, Body::Note(0)), 3),
        &decoded(b"\x80\x01\x00"),
        "each byte has seven bits of its number, the lowest first.",
    );
}

#[test]
fn numbers_and_lengths_have_a_bound() {
    let table: [(&[u8], Violation); 5] = [
        (&[0xff, 0xff, 0xff, 0xff, 0x10], Violation::NumberTooLarge),
        (&[0x80, 0x80, 0x80, 0x80, 0x80], Violation::NumberTooLarge),
        (&[2, 0x81, 0x80, 0x40], Violation::FrameTooLong),
        (&[2, 0xff, 0xff, 0xff, 0xff, 0x0f], Violation::FrameTooLong),
        (b"\xff\xff\xff\xff\xff\xff", Violation::NumberTooLarge),
    ];
    for (bytes, violation) in table {
        expect_value(
            format!("What is made of the bytes {bytes:x?}"),
            &Err(violation),
            &Multiplex.decode(bytes),
            "a number has 32 bits: at most five bytes, and at most 15 in the fifth. It is refused at the byte that shows it.",
        );
    }
    assert_eq!(decoded(&[2, 0x80, 0x80, 0x40]).0.bytes_behind(), MAX_FRAME);
    expect_value(
        "The length of a header whose small first number has five bytes",
        &6,
        &decoded(&[0x82, 0x80, 0x80, 0x80, 0, 1]).1,
        "that is unusual, and valid.",
    );
    assert!(Multiplex.number(MAX_CHANNELS - 1).is_some());
    assert_eq!(Multiplex.number(MAX_CHANNELS), None);
}

proptest! {
    #[test]
    fn any_bytes_have_a_meaning_or_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
        match Multiplex.decode(&bytes) {
            Ok(Decoded::Partial) => prop_assert!(bytes.len() < 10),
            Ok(Decoded::Complete { frame, length }) => {
                prop_assert!(bytes.len() >= length && frame.bytes_behind() <= MAX_FRAME);
            }
            Err(_) => {}
        }
    }

    #[test]
    fn one_end_reads_what_the_other_has_written(number in 0..MAX_CHANNELS, length in 0..=MAX_FRAME, by_us: bool) {
        let (opener, seen) = if by_us { (Opener::Us, Opener::Peer) } else { (Opener::Peer, Opener::Us) };
        let header = Multiplex.encode(Outgoing::Stream(id(opener, number), Saying::Payload(length)));
        let expected = stream(seen, number, Signals::NONE, Body::Payload(length));
        prop_assert_eq!(decoded(header.as_bytes()), (expected, header.as_bytes().len()));
    }
}
