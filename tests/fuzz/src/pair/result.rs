//! How a script ends: with everything delivered, or with a lost link.

use std::collections::BTreeMap;

use stage5_mux::tunnel::event::OpenError;
use stage5_mux::tunnel::stream::Fate;

use crate::pair::side::{Name, Side};
use crate::pair::{End, Pair};
use crate::speak::Speak;

impl<W: Speak> Pair<W> {
    /// Lets every local side read again, and everything arrive.
    pub(super) fn calm_down(&mut self) {
        loop {
            let mut moved = 0;
            for from in [0, 1] {
                self.ends[from].transmit(usize::MAX, self.now);
                moved += self.ends[from].output.len();
                self.deliver(from, usize::MAX);
            }
            for end in &mut self.ends {
                moved += end.read_all(self.now);
            }
            if moved == 0 || self.is_cut_off() {
                return;
            }
        }
    }

    /// Checks that everything has arrived, except on streams that were given up.
    pub(super) fn check_result(&self) {
        let has_left = self.ends.iter().any(|end| end.has_left);
        for (near, far) in [(0, 1), (1, 0)] {
            let others = by_name(&self.ends[far]);
            for (_, side) in self.ends[near].sides.iter() {
                match others.get(&side.name) {
                    Some(other) => check_direction(side, other),
                    // It was refused, or given up before it was opened.
                    None => assert!(
                        side.gave_up || side.got_reset,
                        "it has never arrived: {side:?}"
                    ),
                }
            }
            let open = self.ends[near]
                .sides
                .iter()
                .filter(|(_, side)| is_open(side));
            assert_eq!(
                self.ends[near].session.streams(),
                open.count(),
                "exactly the open ones are left"
            );
            // multiplex has no word for the end that leaves.
            let knows = self.ends[near].has_left || has_left && W::HAS_PINGS;
            let is_over = self.ends[near].session.is_over();
            assert_eq!(is_over, knows && self.ends[near].session.streams() == 0);
        }
    }

    /// Loses the link, and checks what the ends make of it.
    pub(super) fn lose(mut self) {
        for end in &mut self.ends {
            let fates: BTreeMap<_, _> = end.session.handle_lost_link().into_iter().collect();
            for (key, side) in end.sides.iter() {
                match fates.get(&key) {
                    Some(Fate::Truncated) => assert!(!side.got_end, "{side:?}"),
                    Some(Fate::Unsent) => assert!(side.got_end, "{side:?}"),
                    Some(Fate::Complete) => {
                        assert!(side.got_end && side.finishes && side.held > 0, "{side:?}")
                    }
                    None => assert!(!is_open(side), "it has no fate: {side:?}"),
                }
            }
            assert_eq!(end.session.streams(), 0);
            assert_eq!(end.session.open(), Err(OpenError::Lost));
            assert!(!end.session.poll_transmit(&mut end.sides));
        }
    }
}

impl<W: Speak> End<W> {
    /// Lets all local sides take what is held, from now on at once, and returns how much it was.
    fn read_all(&mut self, now: std::time::Instant) -> usize {
        let keys: Vec<_> = self.sides.iter().map(|(key, _)| key).collect();
        let mut all = 0;
        for key in keys {
            let side = self.sides.of(key);
            side.reads = true;
            all += side.held as usize;
            self.consume_of(key, u32::MAX, now);
        }
        self.receive(now);
        all
    }
}

fn by_name<W>(end: &End<W>) -> BTreeMap<Name, &Side> {
    end.sides
        .iter()
        .map(|(_, side)| (side.name, side))
        .collect()
}

/// Returns whether one of the directions has not ended.
fn is_open(side: &Side) -> bool {
    !(side.is_given_up() || side.got_end && side.finishes && side.held == 0)
}

/// Checks what has come to one end of a stream against what has left the other.
fn check_direction(side: &Side, other: &Side) {
    assert!(
        side.received <= other.sent,
        "more has come out than went in"
    );
    if side.is_given_up() || other.is_given_up() {
        assert!(
            side.is_given_up() || side.got_end,
            "the other end is gone: {side:?}"
        );
        assert!(
            side.gave_up || other.gave_up,
            "neither has given it up: {side:?}"
        );
        return;
    }
    assert_eq!(side.received, other.wanted, "{side:?}");
    assert_eq!(side.got_end, other.finishes, "{side:?}");
}
