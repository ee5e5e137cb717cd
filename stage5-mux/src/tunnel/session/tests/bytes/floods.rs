//! Peers that want more than there is: streams, answers, refusals.

use std::time::Instant;

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
    assert_eq!(pass(&mut session, &syns).unwrap().len(), 4);
    assert_eq!(sent(&mut session, &mut Silent), header(UPDATE, RST, 9, 0));
    assert!(session.open().is_err());
}

#[test]
fn a_peer_that_opens_streams_and_reads_no_refusal_is_cut_off() {
    let mut session = server();
    let syns: Vec<u8> = (0..1000)
        .flat_map(|index| header(UPDATE, SYN, 2 * index + 1, 0))
        .collect();
    let violation = LinkError::Violated(Violation::TooManyRefused);
    assert_eq!(pass(&mut session, &syns), Err(violation));
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
        assert_eq!(
            pass(&mut session, &bytes.concat()).unwrap(),
            ["opened 0", "reset 0"]
        );
    }
    assert_eq!(session.streams(), 0);
    assert_eq!(sent(&mut session, &mut Silent), b"");
}
