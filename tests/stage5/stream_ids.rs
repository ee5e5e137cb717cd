//! Exercise 5.8: the numbers of streams, through the library and over a link.

use std::time::Instant;

use harness::wire::yamux;
use harness::{Client, Scripted, Test, expect_value};
use stage5_mux::tunnel::event::{Event, LinkError, OpenError, Pulled, Source};
use stage5_mux::tunnel::frame::{Frame, Outgoing, Saying, Violation};
use stage5_mux::tunnel::key::StreamKey;
use stage5_mux::tunnel::limits::SessionLimits;
use stage5_mux::tunnel::multiplex::Multiplex;
use stage5_mux::tunnel::role::{Opener, Role};
use stage5_mux::tunnel::session::Session;
use stage5_mux::tunnel::wire::{Decoded, Wire};
use stage5_mux::tunnel::yamux::Yamux;

use crate::tunnel_ends::{client_by_hand, server_by_hand};

/// Local sides that never have a byte.
struct Silent;

impl Source for Silent {
    fn read(&mut self, _stream: StreamKey, _buffer: &mut [u8]) -> Pulled {
        Pulled::Blocked
    }
}

/// A frame that opens a stream; it may as well be one with data, and has none.
fn open(stream: u32) -> yamux::Frame {
    let flags = yamux::SYN;
    yamux::Frame {
        flags,
        ..yamux::Frame::data(stream, b"")
    }
}

fn session<W: Wire>(wire: W) -> Session<W> {
    let limits = SessionLimits {
        max_streams: 3,
        ..SessionLimits::default()
    };
    Session::new(wire, limits, Instant::now())
}

/// Takes what a session has for its link.
fn sent<W: Wire>(session: &mut Session<W>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while session.poll_transmit(&mut Silent) {
        let slices: Vec<_> = session.slices().collect();
        let batch = slices.concat();
        session.handle_written(batch.len(), Instant::now());
        bytes.extend(batch);
    }
    bytes
}

/// Takes the yamux frames that a session has for its link.
#[track_caller]
fn frames(session: &mut Session<Yamux>) -> Vec<yamux::Frame> {
    let bytes = sent(session);
    let (mut rest, mut frames) = (&bytes[..], Vec::new());
    while let Some((frame, behind)) = yamux::Frame::parse(rest) {
        frames.push(frame);
        rest = behind;
    }
    frames
}

/// Passes frames of the peer to a session, and returns the streams that are opened by them.
fn receive(
    session: &mut Session<Yamux>,
    frames: &[yamux::Frame],
) -> Result<Vec<StreamKey>, LinkError> {
    let bytes: Vec<u8> = frames.iter().flat_map(yamux::Frame::bytes).collect();
    let (mut rest, mut opened) = (&bytes[..], Vec::new());
    while let Some(event) = session.handle_input(&mut rest, Instant::now())? {
        if let Event::Opened(key) = event {
            opened.push(key);
        }
    }
    Ok(opened)
}

const VIOLATION: fn(Violation) -> Option<LinkError> =
    |violation| Some(LinkError::Violated(violation));

#[test]
fn e58_the_client_s_numbers_are_odd_and_the_server_s_even() {
    let _test = Test::begin("Both ends open streams at once, and no number may mean two of them.");
    for (role, expected) in [(Role::Client, [1, 3, 5]), (Role::Server, [2, 4, 6])] {
        let mut session = session(Yamux::new(role));
        for _ in 0..3 {
            session.open().expect("three streams are allowed");
        }
        let numbers: Vec<_> = frames(&mut session)
            .iter()
            .map(|frame| frame.stream)
            .collect();
        assert_eq!(numbers, expected, "{role:?}");
    }
}

#[test]
fn e58_a_number_is_never_used_again() {
    let _test = Test::begin("Late frames of an old stream must not reach a new one.");
    let mut yamux = session(Yamux::new(Role::Client));
    let mut numbers = Vec::new();
    for _ in 0..5 {
        let key = yamux.open().expect("one stream at a time");
        numbers.extend(frames(&mut yamux).iter().map(|frame| frame.stream));
        yamux.reset(key);
        frames(&mut yamux);
    }
    assert_eq!(numbers, [1, 3, 5, 7, 9], "yamux");
    let mut multiplex = session(Multiplex);
    for number in 0..5 {
        let key = multiplex.open().expect("one channel at a time");
        assert_eq!(sent(&mut multiplex), [number << 3, 0], "channel {number}");
        multiplex.reset(key);
        sent(&mut multiplex);
    }
}

#[test]
fn e58_numbers_come_to_an_end() {
    let _test = Test::begin("The number behind the last one is none, and not the first again.");
    let half = 1 << 31;
    let table = [
        (Role::Client, half - 1, Some(u32::MAX)),
        (Role::Client, half, None),
        (Role::Server, half - 2, Some(u32::MAX - 1)),
        (Role::Server, half - 1, None),
        (Role::Client, u32::MAX, None),
    ];
    for (role, opened, expected) in table {
        let id = Yamux::new(role).number(opened);
        let seen = id.map(|id| (id.opener, id.number));
        let expected = expected.map(|number| (Opener::Us, number));
        assert_eq!(seen, expected, "{role:?} after {opened} streams");
    }
}

#[test]
fn e58_a_number_tells_the_end_that_has_opened_the_stream() {
    let _test = Test::begin("Odd is the client's: ours at the client, the peer's at the server.");
    for (role, number, opener) in [
        (Role::Client, 1, Opener::Us),
        (Role::Client, 2, Opener::Peer),
        (Role::Server, 1, Opener::Peer),
        (Role::Server, 2, Opener::Us),
    ] {
        let header = yamux::Frame::credit(number, 0, 5).bytes();
        let decoded = Yamux::new(role).decode(&header).expect("a header");
        let Decoded::Complete {
            frame: Frame::Stream { id, .. },
            ..
        } = decoded
        else {
            panic!("{decoded:?} is no frame of a stream");
        };
        assert_eq!((id.opener, id.number), (opener, number), "{role:?}");
        let saying = Outgoing::Stream(id, Saying::Credit(5));
        assert_eq!(
            Yamux::new(role).encode(saying).as_bytes(),
            header,
            "the header of that stream, encoded again"
        );
    }
}

#[test]
fn e58_a_stream_of_the_peer_has_a_number_of_the_peer_s_and_is_opened_once() {
    let _test = Test::begin("A peer that has lost count breaks the protocol.");
    for (role, theirs, ours) in [(Role::Server, 1, 2), (Role::Client, 2, 1)] {
        let wire = Yamux::new(role);
        let wrong = receive(&mut session(wire), &[open(ours)]);
        assert_eq!(wrong.err(), VIOLATION(Violation::WrongParity), "{role:?}");
        let theirs = open(theirs);
        let opened = receive(&mut session(wire), std::slice::from_ref(&theirs));
        assert_eq!(opened.map(|keys| keys.len()), Ok(1), "{role:?}");
        let twice = receive(&mut session(wire), &[theirs.clone(), theirs]);
        assert_eq!(twice.err(), VIOLATION(Violation::OpenedTwice), "{role:?}");
    }
}

#[test]
fn e58_a_peer_may_use_a_number_again_and_gets_another_stream() {
    let _test = Test::begin("We never use a number again; a peer may, when its stream has ended.");
    let mut session = session(Yamux::new(Role::Server));
    let again = [open(1), yamux::Frame::credit(1, yamux::RST, 0), open(1)];
    let opened = receive(&mut session, &again).expect("no rule is broken");
    assert_eq!(opened.len(), 2, "two streams, one after the other");
    assert_ne!(
        opened[0], opened[1],
        "a result for the first must not reach the second"
    );
    assert_eq!(session.streams(), 1, "streams of the session");
}

#[test]
fn e58_one_stream_too_many_is_refused_alone() {
    let _test = Test::begin("A full table is no broken protocol: the stream is reset.");
    let mut session = session(Yamux::new(Role::Server));
    let opens: Vec<_> = [1, 3, 5, 7].map(open).into();
    let opened = receive(&mut session, &opens).expect("the link goes on");
    assert_eq!(opened.len(), 3, "the bound of this session");
    let refusal = yamux::Frame::credit(7, yamux::RST, 0);
    assert_eq!(
        frames(&mut session),
        [refusal],
        "the frames that answer the stream beyond the bound"
    );
    // A session that is about to stop takes none at all.
    let mut session = self::session(Yamux::new(Role::Server));
    session.go_away();
    let opened = receive(&mut session, &[open(1)]);
    assert_eq!(
        opened,
        Ok(Vec::new()),
        "a session that leaves opens no stream"
    );
    let refusal = yamux::Frame::credit(1, yamux::RST, 0);
    assert!(frames(&mut session).contains(&refusal), "it is refused");
    assert_eq!(
        session.open(),
        Err(OpenError::Leaving),
        "our own stream of a session that leaves"
    );
}

#[test]
fn e58_a_reset_that_is_owed_takes_a_place() {
    let _test = Test::begin(
        "A peer that reads nothing and opens on and on must cost bounded memory: resets that are owed count as streams do.",
    );
    let mut session = session(Yamux::new(Role::Server));
    let opens: Vec<_> = [1, 3, 5, 7, 9, 11].map(open).into();
    let opened = receive(&mut session, &opens).map(|keys| keys.len());
    expect_value(
        "How many of 6 streams are opened, when 3 are the most",
        &Ok(3),
        &opened,
        "the others are refused, each with a reset, and the link goes on.",
    );
    let ends: Vec<_> = [1, 3, 5]
        .map(|stream| yamux::Frame::credit(stream, yamux::RST, 0))
        .into();
    let (ended, next) = (
        receive(&mut session, &ends),
        receive(&mut session, &[open(13)]),
    );
    expect_value(
        "What the ends of the 3 streams open",
        &Ok(Vec::new()),
        &ended,
        "a reset of the peer ends its stream, and nothing else.",
    );
    expect_value(
        "What a stream opens while 3 resets are owed, because the link takes nothing, and no stream is left",
        &Ok(Vec::new()),
        &next,
        "streams were counted without the resets that are owed: such a peer makes the session remember more and more of them.",
    );
    let _resets = frames(&mut session);
    let later = receive(&mut session, &[open(15)]).map(|keys| keys.len());
    expect_value(
        "How many streams are opened once the resets have left",
        &Ok(1),
        &later,
        "a reset that has left takes no place any more.",
    );
}

#[test]
fn e58_a_full_session_still_sees_that_the_peer_has_lost_count() {
    let _test = Test::begin(
        "First whether the peer keeps to the protocol, then whether there is a place: a reset would meet a stream that lives.",
    );
    for (number, violation) in [(5, Violation::OpenedTwice), (2, Violation::WrongParity)] {
        let mut session = session(Yamux::new(Role::Server));
        let opens: Vec<_> = [1, 3, 5].map(open).into();
        let full = receive(&mut session, &opens).map(|keys| keys.len());
        expect_value(
            "How many streams fill the session",
            &Ok(3),
            &full,
            "3 are the most.",
        );
        let outcome = receive(&mut session, &[open(number)]).err();
        expect_value(
            format!("What stream {number} is, when 1, 3 and 5 are open and no place is left"),
            &VIOLATION(violation),
            &outcome,
            "there is no place, but that is asked too early: the number is open, or one of ours, so the peer has lost count.",
        );
    }
}

#[test]
fn e58_clients_get_streams_with_odd_numbers() {
    let _test =
        Test::begin("Each client that connects is a stream, and its frame goes out at once.");
    let (client, link, _far_end) = client_by_hand();
    let clients = [1, 3, 5, 7].map(|number| {
        let one = Client::connect(client.addr());
        let frame = yamux::Frame::read(&link);
        assert_eq!(
            (frame.stream, frame.flags),
            (number, yamux::SYN),
            "{frame:?}"
        );
        one
    });
    drop(clients);
}

#[test]
fn e58_a_client_that_opens_an_even_stream_is_told_so() {
    let _test = Test::begin("go-away 1 is the word for a peer that breaks the protocol.");
    let upstream = Scripted::echo();
    let (_server, link) = server_by_hand(upstream.addr());
    // Frames for a stream that is not there are skipped, wherever they are cut.
    let mut bytes = yamux::Frame::data(9, &[0xee; 1000]).bytes();
    bytes.extend(yamux::Frame::ping(5).bytes());
    link.send_chunked(&bytes, 301);
    link.expect(&yamux::Frame::pong(5).bytes());
    link.send(&yamux::Frame::open(2).bytes());
    link.expect(&yamux::Frame::go_away(1).bytes());
    link.expect_closed();
    assert_eq!(
        upstream.accepts(),
        0,
        "no stream, no connection to the upstream"
    );
}
