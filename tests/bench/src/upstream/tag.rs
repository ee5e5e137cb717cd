//! What a client wants from an upstream that serves several kinds at once, because a tunnel has only one upstream.

use std::time::{Duration, Instant};

/// Clients that are counted, each on its own.
pub(crate) const TALLIES: usize = 16;

/// The first byte of a client that only sends; any other first byte, which is ASCII, wants an echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// Where its bytes are counted.
    pub(crate) tally: usize,
    pub(crate) reading: Reading,
}

/// How fast the upstream reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    AtOnce,
    /// A piece now and then: see [`SlowClock`].
    Slow,
}

const IS_TAG: u8 = 0x80;
const IS_SLOW: u8 = 0x40;

impl Tag {
    /// Returns the byte that says it.
    pub(crate) fn byte(self) -> u8 {
        let slow = match self.reading {
            Reading::AtOnce => 0,
            Reading::Slow => IS_SLOW,
        };
        IS_TAG | slow | u8::try_from(self.tally % TALLIES).unwrap_or(0)
    }

    /// Reads the byte; `None` if the client wants an echo.
    pub(super) fn parse(byte: u8) -> Option<Self> {
        let reading = match byte & IS_SLOW {
            0 => Reading::AtOnce,
            _slow => Reading::Slow,
        };
        let tally = usize::from(byte & !IS_TAG & !IS_SLOW) % TALLIES;
        (byte & IS_TAG != 0).then_some(Self { tally, reading })
    }
}

/// When the slow readers read: about 1.6 MB/s each.
#[derive(Debug)]
pub(super) struct SlowClock {
    next: Instant,
}

impl SlowClock {
    /// The bytes of one read.
    pub(super) const PIECE: usize = 16 * 1024;
    const PAUSE: Duration = Duration::from_millis(10);

    pub(super) fn new() -> Self {
        Self {
            next: Instant::now(),
        }
    }

    /// Returns how long to wait for the next time.
    pub(super) fn timeout(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Returns whether it is time, and if so, begins the next pause.
    pub(super) fn tick(&mut self) -> bool {
        let now = Instant::now();
        let is_due = now >= self.next;
        if is_due {
            self.next = now + Self::PAUSE;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_they_were_written_and_text_is_none() {
        for reading in [Reading::AtOnce, Reading::Slow] {
            for tally in 0..TALLIES {
                let tag = Tag { tally, reading };
                assert_eq!(Tag::parse(tag.byte()), Some(tag));
            }
        }
        assert_eq!(Tag::parse(b'?'), None);
    }

    #[test]
    fn the_slow_clock_ticks_once_in_a_pause() {
        let mut clock = SlowClock::new();
        assert!(clock.tick());
        assert!(!clock.tick());
        assert!(clock.timeout() <= SlowClock::PAUSE);
    }
}
