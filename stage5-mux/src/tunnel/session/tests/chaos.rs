//! Random schedules: what goes in comes out, in order, in both directions, whatever the order of events.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use super::lost::check_fates;
use super::pair::{End, Pair, multiplex_pair, yamux_pair};
use super::sides::{Name, Side};
use crate::tunnel::key::StreamKey;
use crate::tunnel::limits::SessionLimits;
use crate::tunnel::wire::Wire;

/// What happens at one end, or on the way from it.
#[derive(Clone, Debug)]
enum Step {
    Open,
    Feed(Index, u32),
    Finish(Index),
    GiveUp(Index),
    Pause(Index),
    Consume(Index, u32),
    Transmit(u16),
    Deliver(u16),
    Pass(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let stream = any::<Index>;
    prop_oneof![
        2 => Just(Step::Open),
        4 => (stream(), 0..400_000_u32).prop_map(|(index, bytes)| Step::Feed(index, bytes)),
        2 => stream().prop_map(Step::Finish),
        1 => stream().prop_map(Step::GiveUp),
        1 => stream().prop_map(Step::Pause),
        3 => (stream(), any::<u32>()).prop_map(|(index, bytes)| Step::Consume(index, bytes)),
        6 => any::<u16>().prop_map(Step::Transmit),
        6 => any::<u16>().prop_map(Step::Deliver),
        1 => any::<u16>().prop_map(Step::Pass),
    ]
}

fn steps() -> impl Strategy<Value = Vec<(bool, Step)>> {
    prop::collection::vec((any::<bool>(), step()), 0..120)
}

/// Returns one of the streams of an end that its local side has not lost.
fn pick<W: Wire>(end: &End<W>, index: &Index) -> Option<StreamKey> {
    let is_alive = |side: &Side| !side.gave_up && !side.got_reset;
    let alive: Vec<_> = end
        .sides
        .0
        .iter()
        .filter(|(_, side)| is_alive(side))
        .map(|(&key, _)| key)
        .collect();
    (!alive.is_empty()).then(|| *index.get(&alive))
}

fn take_step<W: Wire>(pair: &mut Pair<W>, at_client: bool, step: &Step) {
    let now = pair.now;
    let end = if at_client {
        &mut pair.client
    } else {
        &mut pair.server
    };
    match step {
        Step::Open => {
            if end.session.streams() < end_limit() {
                end.open();
            }
        }
        Step::Feed(index, bytes) => {
            if let Some(key) = pick(end, index).filter(|key| !end.sides.0[key].finishes) {
                end.feed(key, (*bytes).into(), false);
            }
        }
        Step::Finish(index) => {
            if let Some(key) = pick(end, index) {
                end.feed(key, 0, true);
            }
        }
        Step::GiveUp(index) => {
            if let Some(key) = pick(end, index) {
                end.give_up(key);
            }
        }
        Step::Pause(index) => {
            if let Some(key) = pick(end, index) {
                end.side(key).reads = false;
            }
        }
        Step::Consume(index, bytes) => {
            if let Some(key) = pick(end, index) {
                end.consume(key, *bytes, now);
            }
        }
        Step::Transmit(max) => {
            pair.transmit(at_client, (*max).into());
        }
        Step::Deliver(max) => {
            pair.deliver(at_client, (*max).into());
        }
        Step::Pass(milliseconds) => pair.now += Duration::from_millis((*milliseconds).into()),
    }
}

fn end_limit() -> usize {
    20
}

/// Lets every local side read again, and everything arrive.
fn calm_down<W: Wire>(pair: &mut Pair<W>) {
    let now = pair.now;
    loop {
        let moved = pair.settle();
        let mut consumed = 0;
        for end in [&mut pair.client, &mut pair.server] {
            let keys: Vec<_> = end.sides.0.keys().copied().collect();
            for key in keys {
                end.side(key).reads = true;
                consumed += end.side(key).held;
                end.consume(key, u32::MAX, now);
            }
        }
        if moved == 0 && consumed == 0 {
            return;
        }
    }
}

fn by_name<W>(end: &End<W>) -> BTreeMap<Name, &Side> {
    end.sides.0.values().map(|side| (side.name, side)).collect()
}

fn check_result<W: Wire>(pair: &Pair<W>) {
    for (near, far) in [(&pair.client, &pair.server), (&pair.server, &pair.client)] {
        assert_eq!(near.error, None);
        let far_sides = by_name(far);
        for (name, side) in by_name(near) {
            let Some(other) = far_sides.get(&name) else {
                assert!(
                    side.gave_up,
                    "{side:?} has never arrived, although it was not given up"
                );
                continue;
            };
            assert!(
                side.received <= other.sent,
                "more has come out than went in"
            );
            if side.gave_up || other.gave_up {
                assert!(
                    side.gave_up || side.got_reset || side.got_end,
                    "{side:?} has heard no end"
                );
                continue;
            }
            assert!(!side.got_reset, "neither end has given {name:?} up");
            assert_eq!(side.received, other.wanted, "{name:?}");
            assert_eq!(side.got_end, other.finishes, "{name:?}");
        }
        let is_open =
            |side: &Side| !(side.gave_up || side.got_reset || side.got_end && side.finishes);
        let open = near.sides.0.values().filter(|side| is_open(side)).count();
        assert_eq!(
            near.session.streams(),
            open,
            "exactly the open streams are left"
        );
    }
}

fn limits() -> SessionLimits {
    SessionLimits {
        max_streams: 2 * end_limit(),
        ..SessionLimits::default()
    }
}

fn play<W: Wire>(pair: &mut Pair<W>, steps: &[(bool, Step)]) {
    for (at_client, step) in steps {
        take_step(pair, *at_client, step);
    }
}

fn check_schedule<W: Wire>(mut pair: Pair<W>, steps: &[(bool, Step)]) {
    play(&mut pair, steps);
    calm_down(&mut pair);
    check_result(&pair);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn yamux_keeps_every_stream_whole(steps in steps()) {
        check_schedule(yamux_pair(&limits()), &steps);
    }

    #[test]
    fn a_link_that_is_lost_at_any_step_gives_each_stream_its_fate(steps in steps()) {
        let (mut yamux, mut multiplex) = (yamux_pair(&limits()), multiplex_pair(&limits()));
        play(&mut yamux, &steps);
        check_fates(&mut yamux);
        play(&mut multiplex, &steps);
        check_fates(&mut multiplex);
    }

    #[test]
    fn multiplex_keeps_every_stream_whole(steps in steps()) {
        check_schedule(multiplex_pair(&limits()), &steps);
    }
}
