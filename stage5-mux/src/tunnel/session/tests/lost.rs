//! A link that is lost: at any byte, or in silence.

use std::time::Duration;

use super::pair::{Pair, multiplex_pair, yamux_pair};
use super::sides::Side;
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

/// Four streams: one that ends in both directions, one that ends in one of them, one without an end, and one that the
/// server gives up.
fn play<W: Wire>(pair: &mut Pair<W>) {
    let keys = [(); 4].map(|()| pair.client.open());
    pair.client.feed(keys[0], 60, true);
    pair.client.feed(keys[1], 70, true);
    pair.client.feed(keys[2], 80, false);
    pair.client.feed(keys[3], 90, false);
}

fn answer<W: Wire>(pair: &mut Pair<W>) {
    let keys: Vec<_> = pair.server.sides.0.keys().copied().collect();
    for (key, finishes) in keys.iter().zip([true, false, false]) {
        if !pair.server.side(*key).finishes && pair.server.side(*key).wanted == 0 {
            pair.server.feed(*key, 50, finishes);
        }
    }
    if let Some(&last) = keys.get(3)
        && pair.server.side(last).received > 0
        && !pair.server.side(last).gave_up
    {
        pair.server.give_up(last);
    }
}

/// Lets the link carry `bytes` in one direction, and loses it there; whatever goes in the other one arrives. Returns
/// whether there were fewer bytes.
fn lose_at<W: Wire>(mut pair: Pair<W>, is_up: bool, bytes: usize) -> bool {
    play(&mut pair);
    let mut left = bytes;
    loop {
        let mut moved = 0;
        for from_client in [true, false] {
            if from_client == is_up {
                let part = pair.transmit(from_client, left.min(7));
                left -= part;
                moved += part;
            } else {
                moved += pair.transmit(from_client, usize::MAX);
            }
            moved += pair.deliver(!from_client, usize::MAX);
            answer(&mut pair);
        }
        if moved == 0 {
            break;
        }
    }
    let was_whole = left > 0;
    check_fates(&mut pair);
    was_whole
}

/// Loses the link, and checks that each local side is told what it has seen itself.
pub(super) fn check_fates<W: Wire>(pair: &mut Pair<W>) {
    for end in [&mut pair.client, &mut pair.server] {
        let fates = end.session.handle_lost_link();
        let mut open: Vec<_> = fates.iter().map(|&(key, _)| key).collect();
        open.sort_unstable();
        assert!(open.iter().all(|key| end.sides.0.contains_key(key)));
        // A stream that is not told anything has ended in both directions, or was given up.
        let has_ended = |side: &Side| side.got_end && side.has_ended || side.is_given_up();
        let others = end.sides.0.iter().filter(|(key, _)| !open.contains(key));
        others.for_each(|(_, side)| assert!(has_ended(side), "{side:?}"));
        for (key, fate) in fates {
            let side = &end.sides.0[&key];
            assert!(!side.is_given_up(), "{side:?}");
            assert_eq!(fate == Fate::Truncated, !side.got_end, "{side:?}");
            // Its reader has everything: what keeps it is only that it is slow.
            assert!(fate != Fate::Complete || side.held > 0, "{side:?}");
        }
        assert_eq!(end.session.streams(), 0);
        assert_eq!(end.session.open(), Err(OpenError::Lost));
        assert_eq!(end.session.state(), State::Closed);
        assert_eq!(end.session.poll_timeout(), None);
        assert!(end.transmit(usize::MAX, pair.now).is_empty());
    }
}

#[test]
fn a_link_may_be_lost_at_any_byte_of_both_directions() {
    fn check<W: Wire>(pair: impl Fn() -> Pair<W>) {
        for is_up in [true, false] {
            let length = (0..).find(|&bytes| lose_at(pair(), is_up, bytes));
            assert!(length.unwrap() > 100, "{length:?}");
        }
    }
    let limits = SessionLimits::default();
    check(|| yamux_pair(&limits));
    check(|| multiplex_pair(&limits));
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
