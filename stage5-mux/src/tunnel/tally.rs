//! What a local side has carried since when, and whether it has been quiet for too long.

use std::time::{Duration, Instant};

/// How often a side is looked at within its limit: so the limit ends at most a quarter late, and no byte moves a timer.
const LOOKS: u8 = 4;

/// The bytes of a local side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    /// When it was created.
    pub(super) opened: Instant,
    to_link: u64,
    to_local: u64,
    /// Whether a byte was carried since the last look.
    has_carried: bool,
    /// How many looks in a row have found no byte.
    quiet: u8,
}

impl Tally {
    /// Begins to count.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            opened: now,
            to_link: 0,
            to_local: 0,
            has_carried: false,
            quiet: 0,
        }
    }

    /// Counts bytes that were put into frames.
    pub(super) fn note_to_link(&mut self, bytes: usize) {
        self.to_link += bytes as u64;
        self.has_carried |= bytes > 0;
    }

    /// Counts bytes that the socket has taken.
    pub(super) fn note_to_local(&mut self, bytes: usize) {
        self.to_local += bytes as u64;
        self.has_carried |= bytes > 0;
    }

    /// Returns the bytes that were put into frames.
    pub(super) fn to_link(self) -> u64 {
        self.to_link
    }

    /// Returns the bytes that the socket has taken.
    pub(super) fn to_local(self) -> u64 {
        self.to_local
    }

    /// Returns when to look next, for a side that may be quiet for so long.
    pub(super) fn next_look(limit: Duration, now: Instant) -> Instant {
        now + limit / u32::from(LOOKS)
    }

    /// Begins with the looks.
    pub(super) fn begin_looks(&mut self) {
        self.has_carried = false;
        self.quiet = 0;
    }

    /// Looks, and returns whether the side was quiet for the whole limit.
    pub(super) fn look(&mut self) -> bool {
        self.quiet = if std::mem::take(&mut self.has_carried) {
            0
        } else {
            self.quiet.saturating_add(1)
        };
        self.quiet >= LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_limit_without_a_byte_is_quiet() {
        let mut tally = Tally::new(Instant::now());
        tally.note_to_link(5);
        tally.begin_looks();
        for byte in 0..10 {
            for look in 0..LOOKS - 1 {
                assert!(!tally.look(), "byte {byte}, look {look}");
            }
            tally.note_to_local(1);
            assert!(!tally.look());
        }
        let looks: Vec<_> = (0..LOOKS).map(|_| tally.look()).collect();
        assert_eq!(looks, [false, false, false, true]);
    }
}
