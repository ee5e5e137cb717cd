//! The bytes of the specification, and every header both ways.

use harness::expect_value;
use proptest::prelude::*;

use super::*;

const CLIENT: Yamux = Yamux { role: Role::Client };
const SERVER: Yamux = Yamux { role: Role::Server };

fn id(opener: Opener, number: u32) -> StreamId {
    StreamId { opener, number }
}

fn stream(opener: Opener, number: u32, signals: Signals, body: Body) -> Frame {
    let id = id(opener, number);
    Frame::Stream { id, signals, body }
}

fn decoded(wire: Yamux, bytes: &[u8]) -> Frame {
    match wire.decode(bytes) {
        Ok(Decoded::Complete { frame, length: 12 }) => frame,
        other => panic!("{bytes:x?} begin with a whole header, but decode says {other:?}"),
    }
}

#[test]
fn a_header_is_written_as_the_specification_says() {
    let five = id(Opener::Us, 5);
    let table: [(Outgoing, [u8; 12]); 9] = [
        (
            Outgoing::Stream(five, Saying::Open),
            [0, 1, 0, 1, 0, 0, 0, 5, 0, 0, 0, 0],
        ),
        (
            Outgoing::Stream(five, Saying::Accept),
            [0, 1, 0, 2, 0, 0, 0, 5, 0, 0, 0, 0],
        ),
        (
            Outgoing::Stream(five, Saying::Credit(0x0102_0304)),
            [0, 1, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4],
        ),
        (
            Outgoing::Stream(five, Saying::Payload(65_536)),
            [0, 0, 0, 0, 0, 0, 0, 5, 0, 1, 0, 0],
        ),
        (
            Outgoing::Stream(five, Saying::Finish),
            [0, 1, 0, 4, 0, 0, 0, 5, 0, 0, 0, 0],
        ),
        (
            Outgoing::Stream(five, Saying::Reset),
            [0, 1, 0, 8, 0, 0, 0, 5, 0, 0, 0, 0],
        ),
        (Outgoing::Ping(7), [0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7]),
        (Outgoing::Pong(7), [0, 2, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7]),
        (
            Outgoing::GoAway(Reason::ProtocolError),
            [0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        ),
    ];
    for (frame, bytes) in table {
        assert_eq!(CLIENT.encode(frame).as_bytes(), bytes, "{frame:?}");
    }
}

#[test]
fn a_header_may_say_several_things_at_once() {
    // The Rust crate opens a stream with its first bytes; others end one with the last.
    assert_eq!(
        decoded(SERVER, &[0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 3]),
        stream(
            Opener::Peer,
            1,
            Signals::OPEN | Signals::FINISH,
            Body::Payload(3)
        )
    );
    assert_eq!(
        decoded(CLIENT, &[0, 1, 0, 2, 0, 0, 0, 1, 0, 4, 0, 0]),
        stream(Opener::Us, 1, Signals::ACCEPT, Body::Credit(256 * 1024))
    );
}

#[test]
fn the_parity_tells_which_end_has_opened_a_stream() {
    for (wire, number, opener) in [
        (CLIENT, 1, Opener::Us),
        (CLIENT, 2, Opener::Peer),
        (SERVER, 1, Opener::Peer),
        (SERVER, 2, Opener::Us),
    ] {
        expect_value(
            format!(
                "The end that has opened the stream {number}, for {:?},",
                wire.role
            ),
            &opener,
            &wire.stream(number).opener,
            "the client's numbers are odd, the server's even.",
        );
    }
    let numbers = |wire: Yamux| [0, 1, 2].map(|opened| wire.number(opened).unwrap().number);
    for (wire, expected) in [(CLIENT, [1, 3, 5]), (SERVER, [2, 4, 6])] {
        expect_value(
            format!(
                "The numbers of the first streams that {:?} opens",
                wire.role
            ),
            &expected,
            &numbers(wire),
            "1 for the client or 2 for the server, plus twice the streams before.",
        );
    }
    for (wire, opened, expected) in [
        (CLIENT, u32::MAX / 2, Some(id(Opener::Us, u32::MAX))),
        (SERVER, u32::MAX / 2, None),
        (CLIENT, u32::MAX / 2 + 1, None),
    ] {
        expect_value(
            format!(
                "The number of the next stream of {:?}, after {opened} others,",
                wire.role
            ),
            &expected,
            &wire.number(opened),
            "when no number is left there is none: checked_mul and checked_add.",
        );
    }
}

#[test]
fn what_is_no_header_is_refused_at_the_first_byte_that_shows_it() {
    let table: [(&[u8], Violation); 6] = [
        (b"GET / HTTP/1.1", Violation::UnknownVersion),
        (&[1], Violation::UnknownVersion),
        (&[0, 4], Violation::UnknownType),
        (&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1], Violation::StreamZero),
        (&[0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1], Violation::StreamZero),
        (
            &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0x10, 0, 1],
            Violation::FrameTooLong,
        ),
    ];
    for (bytes, violation) in table {
        assert_eq!(CLIENT.decode(bytes), Err(violation), "{bytes:?}");
    }
    // A window update of 4 GiB has no bytes behind it: whether it fits is for the window to say.
    let credit = decoded(CLIENT, &[0, 1, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255]);
    assert_eq!(credit.bytes_behind(), 0);
    assert_eq!(
        decoded(CLIENT, &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0x10, 0, 0]).bytes_behind(),
        MAX_FRAME
    );
}

#[test]
fn unknown_flags_and_codes_are_taken() {
    assert_eq!(
        decoded(CLIENT, &[0, 0, 0xff, 0xf0, 0, 0, 0, 1, 0, 0, 0, 0]),
        stream(Opener::Us, 1, Signals::NONE, Body::Payload(0))
    );
    assert_eq!(
        decoded(CLIENT, &[0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 77]),
        Frame::GoAway(Reason::InternalError)
    );
}

proptest! {
    #[test]
    fn any_bytes_have_a_meaning_or_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
        match CLIENT.decode(&bytes) {
            Ok(Decoded::Partial) => prop_assert!(bytes.len() < MAX_HEADER),
            Ok(Decoded::Complete { frame, length }) => {
                prop_assert_eq!(length, MAX_HEADER);
                prop_assert!(bytes.len() >= length && frame.bytes_behind() <= MAX_FRAME);
            }
            Err(_) => {}
        }
    }

    #[test]
    fn one_end_reads_what_the_other_has_written(number in 1..=u32::MAX, value: u32) {
        let (sent, seen) = (CLIENT.stream(number), SERVER.stream(number));
        prop_assert_ne!(sent.opener, seen.opener, "both ends believe that they have opened the stream {}", number);
        let header = CLIENT.encode(Outgoing::Stream(sent, Saying::Credit(value)));
        let expected = stream(seen.opener, number, Signals::NONE, Body::Credit(value));
        prop_assert_eq!(decoded(SERVER, header.as_bytes()), expected);
        prop_assert_eq!(decoded(SERVER, CLIENT.encode(Outgoing::Ping(value)).as_bytes()), Frame::Ping(value));
        prop_assert_eq!(decoded(SERVER, CLIENT.encode(Outgoing::Pong(value)).as_bytes()), Frame::Pong(value));
    }
}
