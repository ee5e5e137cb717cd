//! A link that is lost: at any byte, or in silence.

use std::time::Duration;

use super::pair::{Pair, multiplex_pair, yamux_pair};
use crate::tunnel::event::{LinkError, OpenError};
use crate::tunnel::limits::SessionLimits;
use crate::tunnel::session::State;
use crate::tunnel::stream::{Fate, Inbound, Outbound};
use crate::tunnel::wire::Wire;

#[test]
fn each_stream_has_one_fate() {
    let table = [
        (Inbound::Receiving, Outbound::Sending, Fate::Truncated),
        (Inbound::Receiving, Outbound::Finishing, Fate::Truncated),
        (Inbound::Receiving, Outbound::Finished, Fate::Truncated),
        (Inbound::Ended, Outbound::Sending, Fate::Unsent),
        (Inbound::Ended, Outbound::Finishing, Fate::Unsent),
        (Inbound::Ended, Outbound::Finished, Fate::Complete),
    ];
    for (inbound, outbound, fate) in table {
        assert_eq!(Fate::on_lost_link(inbound, outbound), fate);
    }
}

/// Three streams: one that ends in both directions, one that ends in one of them, one without an end.
fn play<W: Wire>(pair: &mut Pair<W>) {
    let keys = [(); 3].map(|()| pair.client.open());
    pair.client.feed(keys[0], 60, true);
    pair.client.feed(keys[1], 70, true);
    pair.client.feed(keys[2], 80, false);
}

fn answer<W: Wire>(pair: &mut Pair<W>) {
    let keys: Vec<_> = pair.server.sides.0.keys().copied().collect();
    for (key, finishes) in keys.into_iter().zip([true, false, false]) {
        if !pair.server.side(key).finishes && pair.server.side(key).wanted == 0 {
            pair.server.feed(key, 50, finishes);
        }
    }
}

/// Lets the link carry `bytes` upwards, and loses it there; whatever goes down arrives.
fn lose_at<W: Wire>(mut pair: Pair<W>, bytes: usize) -> bool {
    play(&mut pair);
    let mut left = bytes;
    loop {
        let moved = pair.transmit(true, left.min(7));
        left -= moved;
        pair.deliver(false, usize::MAX);
        answer(&mut pair);
        let down = pair.transmit(false, usize::MAX) + pair.deliver(true, usize::MAX);
        if moved + down == 0 {
            break;
        }
    }
    let was_whole = left > 0;
    for end in [&mut pair.client, &mut pair.server] {
        let fates = end.session.handle_lost_link();
        let mut open: Vec<_> = fates.iter().map(|&(key, _)| key).collect();
        open.sort_unstable();
        let has_ended = |key| {
            let side = &end.sides.0[key];
            side.got_end && side.has_ended
        };
        assert!(open.iter().all(|key| end.sides.0.contains_key(key)));
        // A stream that is not told anything has ended in both directions.
        assert!(
            end.sides
                .0
                .keys()
                .filter(|key| !open.contains(key))
                .all(has_ended)
        );
        for (key, fate) in fates {
            let side = &end.sides.0[&key];
            assert_eq!(fate == Fate::Truncated, !side.got_end, "{side:?}");
            assert_ne!(
                fate,
                Fate::Complete,
                "its reader has everything, so that it is over already"
            );
        }
        assert_eq!(end.session.streams(), 0);
        assert_eq!(end.session.open(), Err(OpenError::Lost));
        assert_eq!(end.session.state(), State::Closed);
        assert_eq!(end.session.poll_timeout(), None);
        assert!(end.transmit(usize::MAX, pair.now).is_empty());
    }
    was_whole
}

#[test]
fn a_link_may_be_lost_at_any_byte() {
    let limits = SessionLimits::default();
    let length = (0..)
        .find(|&bytes| lose_at(yamux_pair(&limits), bytes))
        .unwrap();
    assert!(length > 200, "{length}");
    let length = (0..)
        .find(|&bytes| lose_at(multiplex_pair(&limits), bytes))
        .unwrap();
    assert!(length > 200, "{length}");
}

#[test]
fn what_was_received_before_the_loss_is_still_delivered() {
    let mut pair = yamux_pair(&SessionLimits::default());
    pair.server.reads = false;
    let key = pair.client.open();
    pair.client.feed(key, 100, true);
    pair.settle();
    let far = *pair.server.sides.0.keys().next().unwrap();
    pair.server.feed(far, 100, true);
    pair.settle();
    assert_eq!(
        pair.server.session.handle_lost_link(),
        [(far, Fate::Complete)]
    );
    assert_eq!(
        pair.client.session.handle_lost_link(),
        [],
        "at this end it was over"
    );
}

#[test]
fn a_peer_that_is_silent_is_asked_and_then_given_up() {
    let mut pair = yamux_pair(&SessionLimits::default());
    let key = pair.client.open();
    pair.settle();
    let half = Duration::from_secs(15);
    let start = pair.now;
    assert_eq!(pair.client.session.poll_timeout(), Some(start + half));
    // The peer is there: it answers.
    pair.now = start + half;
    assert_eq!(pair.client.session.handle_timeout(pair.now), Ok(()));
    pair.settle();
    assert_eq!(pair.client.session.round_trip(), Some(Duration::ZERO));
    assert_eq!(pair.client.session.poll_timeout(), Some(pair.now + half));
    // The peer is frozen: nothing comes back.
    pair.now += half;
    assert_eq!(pair.client.session.handle_timeout(pair.now), Ok(()));
    assert!(pair.transmit(true, usize::MAX) > 0, "it is asked");
    pair.now += half;
    let silent = LinkError::Silent(2 * half);
    assert_eq!(pair.client.session.handle_timeout(pair.now), Err(silent));
    assert_eq!(
        pair.client.session.handle_lost_link(),
        [(key, Fate::Truncated)]
    );
}

#[test]
fn a_wire_without_pings_has_no_keepalive() {
    let pair = multiplex_pair(&SessionLimits::default());
    assert_eq!(pair.client.session.poll_timeout(), None);
}
