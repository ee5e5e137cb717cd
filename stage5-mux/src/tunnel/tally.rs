//! What a local side has carried since when, and whether it has been quiet for too long.

use std::time::{Duration, Instant};

/// How often a side is looked at within its limit: so the limit ends at most a quarter late, and no byte moves a timer.
const LOOKS: u32 = 4;

/// The bytes of a local side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    /// When it was created.
    pub(super) opened: Instant,
    /// Bytes that were put into frames.
    pub(super) to_link: u64,
    /// Bytes that its socket has taken.
    pub(super) to_local: u64,
    /// The bytes at the last look, and how many looks in a row have found no more.
    seen: u64,
    quiet: u32,
}

impl Tally {
    /// Begins to count.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            opened: now,
            to_link: 0,
            to_local: 0,
            seen: 0,
            quiet: 0,
        }
    }

    /// Returns when to look next, for a side that may be quiet for so long.
    pub(super) fn next_look(limit: Duration, now: Instant) -> Instant {
        now + limit / LOOKS
    }

    /// Begins with the looks.
    pub(super) fn begin_looks(&mut self) {
        self.seen = self.to_link + self.to_local;
        self.quiet = 0;
    }

    /// Looks, and returns whether the side was quiet for the whole limit.
    pub(super) fn look(&mut self) -> bool {
        let bytes = self.to_link + self.to_local;
        self.quiet = if bytes == self.seen {
            self.quiet + 1
        } else {
            0
        };
        self.seen = bytes;
        self.quiet >= LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_limit_without_a_byte_is_quiet() {
        let mut tally = Tally::new(Instant::now());
        tally.to_link = 5;
        tally.begin_looks();
        for byte in 0..10 {
            for look in 0..LOOKS - 1 {
                assert!(!tally.look(), "byte {byte}, look {look}");
            }
            tally.to_local += 1;
            assert!(!tally.look());
        }
        let looks: Vec<_> = (0..LOOKS).map(|_| tally.look()).collect();
        assert_eq!(looks, [false, false, false, true]);
    }
}
