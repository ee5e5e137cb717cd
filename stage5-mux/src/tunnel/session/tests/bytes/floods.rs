//! Peers that want more than there is: streams, answers, refusals.

use std::time::Instant;

use harness::expect_value;

use super::{ACK, PING, RST, SYN, Silent, UPDATE, header, limits, pass, sent, server};
use crate::tunnel::event::LinkError;
use crate::tunnel::frame::Violation;
use crate::tunnel::limits::SessionLimits;
use crate::tunnel::role::Role;
use crate::tunnel::session::Session;
use crate::tunnel::yamux::Yamux;

#[test]
fn the_fifth_of_four_streams_is_refused() {
    let mut session = server();
    let syns: Vec<u8> = (0..5)
        .flat_map(|index| header(UPDATE, SYN, 2 * index + 1, 0))
        .collect();
    let events = pass(&mut session, &syns).map(|events| events.len());
    expect_value(
        "The number of streams that a session with four places takes of five",
        &Ok(4),
        &events,
        "there is no place for the fifth: it is refused, and the link goes on.",
    );
    expect_value(
        "What the peer gets for the fifth stream",
        &header(UPDATE, RST, 9, 0),
        &sent(&mut session, &mut Silent),
        "a stream that is refused is reset.",
    );
    assert!(
        session.open().is_err(),
        "all places are taken, so none can be opened from here either"
    );
}

#[test]
fn a_peer_that_opens_streams_and_reads_no_refusal_is_cut_off() {
    let mut session = server();
    let syns: Vec<u8> = (0..1000)
        .flat_map(|index| header(UPDATE, SYN, 2 * index + 1, 0))
        .collect();
    let violation = LinkError::Violated(Violation::TooManyRefused);
    expect_value(
        "What becomes of a peer that opens 1000 streams and reads no refusal",
        &Err(violation),
        &pass(&mut session, &syns),
        "the resets that are owed count as well: streams and resets together have max_streams places.",
    );
}

#[test]
fn a_flood_of_pings_gets_one_answer_and_no_memory() {
    let mut session = server();
    for value in 0..10_000 {
        pass(&mut session, &header(PING, SYN, 0, value)).unwrap();
    }
    assert_eq!(sent(&mut session, &mut Silent), header(PING, ACK, 0, 9999));
    // An answer that was not asked for is nothing.
    assert_eq!(
        pass(&mut session, &header(PING, ACK, 0, 5)).unwrap(),
        [""; 0]
    );
}

#[test]
fn a_link_that_takes_a_byte_at_a_time_does_not_collect_answers() {
    const PINGS: u32 = 10_000;
    let limits = SessionLimits {
        batch: 1024,
        ..limits(4)
    };
    let mut session = Session::new(Yamux::new(Role::Server), limits, Instant::now());
    for value in 0..PINGS {
        pass(&mut session, &header(PING, SYN, 0, value)).unwrap();
        session.poll_transmit(&mut Silent);
        session.handle_written(1, Instant::now());
    }
    let waiting = sent(&mut session, &mut Silent).len();
    assert!(waiting < 100 * 1024, "{waiting} bytes of answers");
    let last = header(PING, ACK, 0, PINGS - 1);
    assert_eq!(sent(&mut session, &mut Silent), last, "it stayed owed");
}

#[test]
fn a_flood_of_streams_that_are_opened_and_reset_leaves_nothing() {
    let mut session = server();
    for index in 0..10_000 {
        let bytes = [
            header(UPDATE, SYN, 2 * index + 1, 0),
            header(UPDATE, RST, 2 * index + 1, 0),
        ];
        let events = pass(&mut session, &bytes.concat());
        expect_value(
            format!(
                "The events of stream {}, which is opened and reset at once,",
                2 * index + 1
            ),
            &Ok(vec!["opened 0".to_owned(), "reset 0".to_owned()]),
            &events,
            "a stream that has ended makes room, and its place is the next one's.",
        );
    }
    assert_eq!(session.streams(), 0, "streams that were reset are gone");
    assert_eq!(
        sent(&mut session, &mut Silent),
        b"",
        "a reset is not answered"
    );
}
