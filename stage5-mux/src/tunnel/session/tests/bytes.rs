//! One session and a peer of bytes: what a strange or hostile peer may do, and what it gets.

mod floods;
mod multiplex;

use std::time::Instant;

use proptest::prelude::*;

use crate::tunnel::event::{Event, LinkError, Pulled, Source};
use crate::tunnel::frame::{Reason, Violation};
use crate::tunnel::key::StreamKey;
use crate::tunnel::limits::SessionLimits;
use crate::tunnel::multiplex::Multiplex;
use crate::tunnel::role::Role;
use crate::tunnel::session::{Session, State};
use crate::tunnel::wire::Wire;
use crate::tunnel::yamux::Yamux;

const DATA: u8 = 0;
const UPDATE: u8 = 1;
const PING: u8 = 2;
const GO_AWAY: u8 = 3;
const SYN: u16 = 1;
const ACK: u16 = 2;
const FIN: u16 = 4;
const RST: u16 = 8;

/// Local sides that have nothing.
struct Silent;

impl Source for Silent {
    fn read(&mut self, _stream: StreamKey, _buffer: &mut [u8]) -> Pulled {
        Pulled::Blocked
    }
}

/// A local side that has one text, and then its end.
struct Text(&'static [u8]);

impl Source for Text {
    fn read(&mut self, _stream: StreamKey, buffer: &mut [u8]) -> Pulled {
        if self.0.is_empty() {
            return Pulled::End;
        }
        let length = self.0.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Pulled::Bytes(length)
    }
}

fn header(kind: u8, flags: u16, id: u32, length: u32) -> Vec<u8> {
    [
        &[0, kind][..],
        &flags.to_be_bytes(),
        &id.to_be_bytes(),
        &length.to_be_bytes(),
    ]
    .concat()
}

fn data(flags: u16, id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    [header(DATA, flags, id, length), payload.to_vec()].concat()
}

fn limits(max_streams: usize) -> SessionLimits {
    SessionLimits {
        max_streams,
        ..SessionLimits::default()
    }
}

/// A server; its peer opens streams with odd numbers.
fn server() -> Session<Yamux> {
    Session::new(Yamux::new(Role::Server), limits(4), Instant::now())
}

/// Passes bytes to a session, and returns a line for each event.
fn pass<W: Wire>(session: &mut Session<W>, bytes: &[u8]) -> Result<Vec<String>, LinkError> {
    let (mut rest, mut lines) = (bytes, Vec::new());
    while let Some(event) = session.handle_input(&mut rest, Instant::now())? {
        lines.push(match event {
            Event::Opened(key) => format!("opened {}", key.slot()),
            Event::Payload { stream, bytes } => {
                format!("{}: {}", stream.slot(), String::from_utf8_lossy(bytes))
            }
            Event::Ended(key) => format!("ended {}", key.slot()),
            Event::Reset(key) => format!("reset {}", key.slot()),
            Event::Leaves => "leaves".to_owned(),
        });
        session.check_invariants();
    }
    Ok(lines)
}

fn sent<W: Wire>(session: &mut Session<W>, source: &mut impl Source) -> Vec<u8> {
    session.poll_transmit(source);
    let bytes: Vec<u8> = session.slices().flatten().copied().collect();
    session.handle_written(bytes.len(), Instant::now());
    bytes
}

/// Passes bytes that break the protocol, and checks that the peer is told so and nothing else.
fn check_violation(session: &mut Session<Yamux>, bytes: &[u8], violation: Violation) {
    assert_eq!(pass(session, bytes), Err(LinkError::Violated(violation)));
    assert_eq!(session.state(), State::Failed);
    assert_eq!(
        sent(session, &mut Silent),
        header(GO_AWAY, 0, 0, Reason::ProtocolError as u32)
    );
    assert!(!session.wants_transmit());
    assert_eq!(
        pass(session, &header(PING, SYN, 0, 1)),
        Ok(vec![]),
        "it listens no more"
    );
}

#[test]
fn what_breaks_the_protocol_is_answered_with_go_away() {
    let opened = header(UPDATE, SYN, 1, 0);
    let table: [(Vec<u8>, Violation); 9] = [
        (b"\x01".to_vec(), Violation::UnknownVersion),
        (vec![0, 9], Violation::UnknownType),
        (header(UPDATE, SYN, 2, 0), Violation::WrongParity),
        (header(DATA, SYN, 0, 0), Violation::StreamZero),
        ([&opened[..], &opened].concat(), Violation::OpenedTwice),
        (
            [&opened[..], &header(DATA, 0, 1, 256 * 1024 + 1)].concat(),
            Violation::WindowOverrun,
        ),
        (
            header(DATA, SYN, 1, 256 * 1024 + 1),
            Violation::WindowOverrun,
        ),
        (header(DATA, SYN, 1, u32::MAX), Violation::FrameTooLong),
        (
            [&opened[..], &header(UPDATE, 0, 1, u32::MAX)].concat(),
            Violation::CreditOverflow,
        ),
    ];
    for (bytes, violation) in table {
        check_violation(&mut server(), &bytes, violation);
    }
}

#[test]
fn a_frame_that_opens_a_stream_and_breaks_the_protocol_leaves_no_stream() {
    let mut session = server();
    let bytes = header(DATA, SYN, 1, 256 * 1024 + 1);
    check_violation(&mut session, &bytes, Violation::WindowOverrun);
    assert_eq!(
        session.handle_lost_link(),
        [],
        "the caller has heard of no stream"
    );
}

#[test]
fn a_frame_that_has_begun_is_finished_before_the_last_word() {
    let mut session = server();
    let key = session.open().unwrap();
    session.readable(key);
    session.poll_transmit(&mut Text(b"hello"));
    session.handle_written(14, Instant::now());
    assert!(pass(&mut session, b"GET /").is_err());
    let expected = [&data(0, 2, b"hello")[2..], &header(GO_AWAY, 0, 0, 1)].concat();
    assert_eq!(sent(&mut session, &mut Silent), expected);
}

#[test]
fn one_frame_may_open_a_stream_fill_it_and_end_it() {
    let mut session = server();
    let lines = pass(&mut session, &data(SYN | FIN, 1, b"hello")).unwrap();
    assert_eq!(lines, ["opened 0", "0: hello", "ended 0"]);
    let lines = pass(&mut session, &header(UPDATE, SYN | FIN, 3, 0)).unwrap();
    assert_eq!(lines, ["opened 1", "ended 1"]);
}

#[test]
fn a_stream_opened_by_us_is_sent_at_once_and_waits_for_no_answer() {
    let mut session = Session::new(Yamux::new(Role::Client), limits(4), Instant::now());
    let key = session.open().unwrap();
    session.readable(key);
    let bytes = sent(&mut session, &mut Text(b"hi"));
    let expected = [
        header(UPDATE, SYN, 1, 0),
        data(0, 1, b"hi"),
        header(UPDATE, FIN, 1, 0),
    ];
    assert_eq!(bytes, expected.concat());
    // The answers may come together, with or without an acceptance.
    assert_eq!(
        pass(&mut session, &data(ACK | FIN, 1, b"yo")).unwrap(),
        ["0: yo", "ended 0"]
    );
}

#[test]
fn a_stream_is_accepted_when_its_local_side_is_there() {
    let mut session = server();
    pass(&mut session, &header(UPDATE, SYN, 1, 0)).unwrap();
    assert_eq!(sent(&mut session, &mut Silent), b"");
    let key = session.streams.at(0).unwrap();
    session.accept(key);
    assert_eq!(sent(&mut session, &mut Silent), header(UPDATE, ACK, 1, 0));
    session.accept(key);
    assert_eq!(sent(&mut session, &mut Silent), b"", "once");
}

#[test]
fn a_stream_that_has_ended_on_the_link_is_not_accepted_any_more() {
    let mut session = server();
    pass(&mut session, &data(SYN | FIN, 1, b"hi")).unwrap();
    let key = session.streams.at(0).unwrap();
    session.readable(key);
    let end = header(UPDATE, FIN, 1, 0);
    assert_eq!(sent(&mut session, &mut Text(b"")), end);
    // Its reader is slow, so that the caller still has it; the number is free.
    session.accept(key);
    assert_eq!(sent(&mut session, &mut Silent), b"");
    assert_eq!(session.streams(), 1);
}

#[test]
fn a_reset_is_not_said_of_the_next_stream_with_that_number() {
    let mut session = server();
    pass(&mut session, &data(SYN, 1, b"hi")).unwrap();
    let key = session.streams.at(0).unwrap();
    session.readable(key);
    let end = header(UPDATE, FIN, 1, 0);
    assert_eq!(sent(&mut session, &mut Text(b"")), end);
    // The peer ends the stream in order before it hears that we have given it up, and uses its number again.
    session.reset(key);
    pass(&mut session, &header(UPDATE, FIN, 1, 0)).unwrap();
    pass(&mut session, &data(SYN, 1, b"again")).unwrap();
    assert_eq!(
        session.streams(),
        1,
        "the number is free again, so it is a new stream"
    );
    assert_eq!(
        sent(&mut session, &mut Silent),
        b"",
        "the reset that was owed to the old stream would end the new one: on_open forgets it"
    );
}

#[test]
fn a_failed_dial_resets_its_stream_only() {
    let mut session = server();
    pass(
        &mut session,
        &[header(UPDATE, SYN, 1, 0), header(UPDATE, SYN, 3, 0)].concat(),
    )
    .unwrap();
    let key = session.streams.at(0).unwrap();
    session.reset(key);
    assert_eq!(sent(&mut session, &mut Silent), header(UPDATE, RST, 1, 0));
    assert_eq!((session.streams(), session.state()), (1, State::Open));
    // Frames that were on their way are skipped, payload included.
    assert_eq!(pass(&mut session, &data(FIN, 1, b"late")).unwrap(), [""; 0]);
    assert_eq!(
        pass(&mut session, &data(0, 3, b"fine")).unwrap(),
        ["1: fine"]
    );
}

#[test]
fn a_stream_that_is_given_up_before_it_was_opened_is_never_heard_of() {
    let mut session = server();
    let key = session.open().unwrap();
    session.reset(key);
    assert_eq!(sent(&mut session, &mut Silent), b"");
    let next = session.open().unwrap();
    assert_eq!(
        sent(&mut session, &mut Silent),
        header(UPDATE, SYN, 4, 0),
        "its number is not used again"
    );
    session.reset(key);
    assert!(
        session.streams.get(next).is_some(),
        "the old handle names nothing"
    );
}

#[test]
fn bytes_behind_the_end_cost_only_their_stream() {
    let mut session = server();
    pass(&mut session, &header(UPDATE, SYN | FIN, 1, 0)).unwrap();
    assert_eq!(
        pass(&mut session, &data(0, 1, b"more")).unwrap(),
        ["reset 0"]
    );
    assert_eq!(sent(&mut session, &mut Silent), header(UPDATE, RST, 1, 0));
    assert_eq!(session.state(), State::Open);
}

#[test]
fn an_empty_window_waits_for_credit() {
    let mut session = server();
    let key = session.open().unwrap();
    session.readable(key);
    let text: &'static [u8] = vec![b'x'; 300_000].leak();
    let mut source = Text(text);
    let mut all = Vec::new();
    while session.wants_transmit() {
        all.extend(sent(&mut session, &mut source));
    }
    let headers = all.len() - 256 * 1024;
    assert_eq!(headers, 12 + 12 * 16, "the opening, and frames of 16 KiB");
    pass(&mut session, &header(UPDATE, ACK, 2, 100)).unwrap();
    assert_eq!(sent(&mut session, &mut source).len(), 12 + 100);
}

#[test]
fn a_peer_that_leaves_with_an_error_gives_the_link_up() {
    let mut session = server();
    assert_eq!(
        pass(&mut session, &header(GO_AWAY, 0, 0, 0)).unwrap(),
        ["leaves"]
    );
    assert_eq!(
        pass(&mut session, &header(GO_AWAY, 0, 0, 0)).unwrap(),
        [""; 0]
    );
    let given_up = LinkError::GivenUp(Reason::InternalError);
    assert_eq!(pass(&mut session, &header(GO_AWAY, 0, 0, 2)), Err(given_up));
    assert_eq!(session.state(), State::Closed);
}

/// Bytes that are often frames.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let frame = (
        0..4_u8,
        0..16_u16,
        0..8_u32,
        prop_oneof![0..40_u32, any::<u32>()],
    );
    let frame = frame.prop_map(|(kind, flags, id, length)| header(kind, flags, id, length));
    let part = prop_oneof![4 => frame, 1 => prop::collection::vec(any::<u8>(), 0..40)];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

fn check_hostile<W: Wire>(mut session: Session<W>, bytes: &[u8], cut: usize) {
    let mut keys = Vec::new();
    keys.extend(session.open());
    for part in bytes.chunks(cut) {
        let mut rest = part;
        while let Ok(Some(event)) = session.handle_input(&mut rest, Instant::now()) {
            if let Event::Opened(key) = event {
                keys.push(key);
                session.accept(key);
                session.readable(key);
            }
            session.check_invariants();
        }
        session.poll_transmit(&mut Text(b"something"));
        let length = session.slices().map(<[u8]>::len).sum::<usize>() / 2;
        session.handle_written(length, Instant::now());
        if let Some(key) = keys.pop() {
            session.reset(key);
        }
        session.check_invariants();
    }
    session.handle_lost_link();
    assert_eq!(session.streams(), 0);
}

proptest! {
    #[test]
    fn any_bytes_leave_a_session_in_order(bytes in hostile(), cut in 1..60_usize) {
        check_hostile(server(), &bytes, cut);
        check_hostile(Session::new(Multiplex, limits(4), Instant::now()), &bytes, cut);
    }
}
