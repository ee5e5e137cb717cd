//! Much traffic: everything arrives, nothing blocks the rest, and what is small is fast.

use super::pair::{Pair, multiplex_pair, yamux_pair};
use crate::tunnel::event::OpenError;
use crate::tunnel::limits::SessionLimits;
use crate::tunnel::session::State;
use crate::tunnel::wire::Wire;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;

fn limits() -> SessionLimits {
    SessionLimits::default()
}

/// Both ends send at the same time, over a link that takes little at a time.
fn sixty_four_mebibytes_both_ways<W: Wire>(mut pair: Pair<W>) {
    let each = 64 * MIB / 12;
    (pair.up.buffer, pair.down.buffer) = (50_000, 30_000);
    for _ in 0..12 {
        let key = pair.client.open();
        pair.client.feed(key, each, true);
    }
    pair.settle();
    let keys: Vec<_> = pair.server.sides.0.keys().copied().collect();
    assert_eq!(keys.len(), 12);
    for key in keys {
        pair.server.feed(key, each, true);
    }
    pair.settle();
    for end in [&pair.client, &pair.server] {
        assert_eq!(end.error, None);
        for side in end.sides.0.values() {
            assert!(
                side.got_end && side.received == each && !side.got_reset,
                "{side:?}"
            );
        }
        assert_eq!(end.session.streams(), 0, "no stream is left");
    }
}

#[test]
fn yamux_carries_64_mebibytes_both_ways_on_12_streams() {
    sixty_four_mebibytes_both_ways(yamux_pair(&limits()));
}

#[test]
fn multiplex_carries_64_mebibytes_both_ways_on_12_streams() {
    sixty_four_mebibytes_both_ways(multiplex_pair(&limits()));
}

#[test]
fn two_hundred_streams_over_one_link() {
    let mut pair = yamux_pair(&limits());
    let keys: Vec<_> = (0..200).map(|_| pair.client.open()).collect();
    pair.settle();
    for (index, key) in (0..).zip(keys) {
        pair.client.feed(key, index * 1000, true);
    }
    pair.settle();
    let mut received: Vec<_> = pair
        .server
        .sides
        .0
        .values()
        .map(|side| side.received)
        .collect();
    received.sort_unstable();
    assert_eq!(
        received,
        (0..200).map(|index| index * 1000).collect::<Vec<_>>()
    );
    assert!(pair.server.sides.0.values().all(|side| side.got_end));
}

#[test]
fn a_server_may_speak_first() {
    let mut pair = yamux_pair(&limits());
    let key = pair.client.open();
    pair.settle();
    let accepted = *pair
        .server
        .sides
        .0
        .keys()
        .next()
        .expect("the opening goes out at once");
    pair.server.feed(accepted, 10, false);
    pair.settle();
    assert_eq!(pair.client.side(key).received, 10);
}

#[test]
fn a_stream_without_a_reader_holds_one_window_and_delays_no_other_yamux() {
    let mut pair = yamux_pair(&limits());
    let (unread, other) = (pair.client.open(), pair.client.open());
    pair.server.reads = false;
    pair.settle();
    let keys: Vec<_> = pair.server.sides.0.keys().copied().collect();
    pair.client.feed(unread, 50 * MIB, true);
    pair.server.side(keys[1]).reads = true;
    pair.settle();
    assert_eq!(
        pair.server.side(keys[0]).held,
        256 * 1024,
        "the window bounds it"
    );
    pair.client.feed(other, 20 * MIB, true);
    pair.settle();
    let read = pair.server.side(keys[1]);
    assert!(read.got_end && read.received == 20 * MIB, "{read:?}");
    // Its reader comes back: everything is there.
    pair.server.side(keys[0]).reads = true;
    let now = pair.now;
    pair.server.consume(keys[0], u32::MAX, now);
    pair.settle();
    let late = pair.server.side(keys[0]);
    assert!(late.got_end && late.received == 50 * MIB, "{late:?}");
}

#[test]
fn a_stream_without_a_reader_stalls_all_others_multiplex() {
    let mut pair = multiplex_pair(&limits());
    let (unread, other) = (pair.client.open(), pair.client.open());
    pair.server.reads = false;
    pair.settle();
    let keys: Vec<_> = pair.server.sides.0.keys().copied().collect();
    pair.server.side(keys[1]).reads = true;
    pair.client.feed(unread, 50 * MIB, true);
    pair.settle();
    assert_eq!(pair.server.session.stalled_by(), Some(keys[0]));
    assert_eq!(
        pair.server.side(keys[0]).held,
        256 * 1024,
        "it is bounded nevertheless"
    );
    pair.client.feed(other, 1000, true);
    pair.settle();
    assert_eq!(
        pair.server.side(keys[1]).received,
        0,
        "that is what a wire without windows costs"
    );
    // The other direction is no victim.
    pair.server.feed(keys[1], 1000, true);
    pair.settle();
    assert_eq!(pair.client.side(other).received, 1000);
    // A reset of the stream frees the link.
    pair.server.give_up(keys[0]);
    pair.settle();
    let freed = pair.server.side(keys[1]);
    assert!(freed.got_end && freed.received == 1000, "{freed:?}");
    assert!(pair.client.side(unread).got_reset);
}

#[test]
fn a_half_closed_stream_carries_on_in_the_other_direction() {
    fn check<W: Wire>(mut pair: Pair<W>) {
        let key = pair.client.open();
        pair.client.feed(key, 8 * MIB, true);
        pair.settle();
        let far = *pair.server.sides.0.keys().next().unwrap();
        assert!(pair.server.side(far).got_end);
        pair.server.feed(far, MIB, true);
        pair.settle();
        let near = pair.client.side(key);
        assert!(near.got_end && near.received == MIB && !near.got_reset);
    }
    check(yamux_pair(&limits()));
    check(multiplex_pair(&limits()));
}

#[test]
fn an_end_that_leaves_takes_no_new_streams_and_finishes_the_old_ones() {
    let mut pair = yamux_pair(&limits());
    let old = pair.client.open();
    pair.settle();
    pair.server.session.go_away();
    // This stream and the announcement pass each other on the way.
    let late = pair.client.open();
    pair.settle();
    assert!(pair.client.left_by_peer && pair.client.side(late).got_reset);
    assert_eq!(pair.client.session.open(), Err(OpenError::Leaving));
    assert_eq!(pair.server.session.open(), Err(OpenError::Leaving));
    assert_eq!(pair.server.session.state(), State::Leaving);
    pair.client.feed(old, MIB, true);
    pair.settle();
    assert!(!pair.server.session.is_over() && !pair.client.session.is_over());
    let far = *pair.server.sides.0.keys().next().unwrap();
    assert_eq!(pair.server.side(far).received, MIB);
    pair.server.feed(far, MIB, true);
    pair.settle();
    assert_eq!(pair.client.side(old).received, MIB);
    assert!(pair.server.session.is_over() && pair.client.session.is_over());
}

/// Runs bulk streams down a link of so many bytes in a second, with one request and answer after the other beside
/// them; returns the waiting times of the answers, in order, and how much of the link's rate was used.
fn requests_under_bulk(bulk: usize, rate: u64, pause: Duration) -> (Vec<Duration>, f64) {
    const STEP: Duration = Duration::from_micros(100);
    let mut pair = yamux_pair(&limits());
    for pipe in [&mut pair.up, &mut pair.down] {
        pipe.rate = Some(rate);
        pipe.delay = Duration::from_millis(5);
        // What TCP_NOTSENT_LOWAT leaves in the kernel: 4 ms, but at least one frame.
        pipe.buffer = usize::try_from(rate / 250).unwrap().max(16 * 1024);
    }
    let keys: Vec<_> = (0..=bulk).map(|_| pair.client.open()).collect();
    pair.run(Duration::from_millis(100), STEP, |_| {});
    let far: Vec<_> = pair.server.sides.0.keys().copied().collect();
    for &key in &far[1..] {
        pair.server.feed(key, u64::MAX / 2, false);
    }
    pair.run(Duration::from_secs(1), STEP, |_| {});
    let (mut times, mut asked, mut next) = (Vec::new(), None, pair.now);
    let carried = pair.down.carried;
    let (mut answered, mut got) = (0, 0);
    pair.run(Duration::from_secs(2), STEP, |pair| {
        if pair.server.side(far[0]).received >= answered + 64 {
            answered = pair.server.side(far[0]).received;
            pair.server.feed(far[0], 64, false);
        }
        // An answer may come in two parts.
        if pair.client.side(keys[0]).received >= got + 64 {
            got = pair.client.side(keys[0]).received;
            times.push(pair.now - asked.take().unwrap());
            next = pair.now + pause;
        }
        if asked.is_none() && pair.now >= next {
            asked = Some(pair.now);
            pair.client.feed(keys[0], 64, false);
        }
    });
    times.sort_unstable();
    let used = (pair.down.carried - carried) as f64 / (2.0 * rate as f64);
    (times, used)
}

#[test]
fn a_small_request_under_bulk_waits_for_little_more_than_the_kernel_holds() {
    // A round trip of 10 ms; bounds: 10 ms more at 100 Mbit/s, 30 ms more at 10 Mbit/s.
    for (rate, extra) in [(12_500_000, 10), (1_250_000, 30)] {
        for bulk in [1, 8] {
            for pause in [0, 7] {
                let pause = Duration::from_millis(pause);
                let (times, used) = requests_under_bulk(bulk, rate, pause);
                let p99 = times[times.len() * 99 / 100];
                println!(
                    "{rate} B/s, {bulk} bulk: {} requests, p99 {p99:?}, rate used {used:.3}",
                    times.len()
                );
                assert!(p99 <= Duration::from_millis(10 + extra), "{p99:?}");
                assert!(used >= 0.95, "{used}");
            }
        }
    }
}

#[test]
fn eight_bulk_streams_get_the_same_and_one_with_a_slow_reader_costs_the_others_nothing() {
    const STEP: Duration = Duration::from_micros(200);
    let mut pair = yamux_pair(&limits());
    pair.up.rate = Some(12_500_000);
    pair.up.buffer = 50_000;
    let keys: Vec<_> = (0..8).map(|_| pair.client.open()).collect();
    keys.iter()
        .for_each(|&key| pair.client.feed(key, u64::MAX / 2, false));
    let received = |pair: &Pair<_>| -> Vec<f64> {
        pair.server
            .sides
            .0
            .values()
            .map(|side| side.received as f64)
            .collect()
    };
    pair.run(Duration::from_secs(4), STEP, |_| {});
    let (sum, squares) = received(&pair)
        .iter()
        .fold((0.0, 0.0), |(sum, squares), bytes| {
            (sum + bytes, squares + bytes * bytes)
        });
    let jain = sum * sum / (8.0 * squares);
    assert!(jain >= 0.98, "Jain's index is {jain}");
    let slow = *pair.server.sides.0.keys().next().unwrap();
    pair.server.side(slow).reads = false;
    let before = received(&pair);
    pair.run(Duration::from_secs(4), STEP, |_| {});
    let gained: f64 = received(&pair)
        .iter()
        .zip(&before)
        .skip(1)
        .map(|(after, before)| after - before)
        .sum();
    assert!(
        gained >= 0.95 * 4.0 * 12_500_000.0,
        "the others take the whole link: {gained}"
    );
}

#[test]
fn one_stream_fills_a_long_link() {
    let mut pair = yamux_pair(&limits());
    for pipe in [&mut pair.up, &mut pair.down] {
        pipe.rate = Some(25_000_000);
        pipe.delay = Duration::from_millis(50);
        pipe.buffer = 100_000;
    }
    let key = pair.client.open();
    pair.client.feed(key, u64::MAX / 2, false);
    pair.run(Duration::from_secs(3), Duration::from_micros(500), |_| {});
    let before = pair.up.carried;
    pair.run(Duration::from_secs(1), Duration::from_micros(500), |_| {});
    let carried = pair.up.carried - before;
    assert!(
        carried >= 22_500_000,
        "{carried} bytes a second at 200 Mbit/s and 100 ms"
    );
}
