//! How many bytes a link takes in a second, and how long a frame may be because of that.
//!
//! A frame that has begun delays everything else until its last byte is out: 64 KiB are nothing at 1 GB/s, and half a
//! second at 1 Mbit/s. A rate is only believed to be low if the link has refused bytes; otherwise there was no more to
//! send.

use std::time::{Duration, Instant};

/// The rate is measured over this time.
const PERIOD: Duration = Duration::from_millis(100);
/// A frame takes about a millisecond, within these bounds: shorter ones are mostly headers and system calls, and
/// longer ones let small requests wait. Only a stream that is alone sends long ones, which save a quarter of the
/// processor time.
const FRAMES_PER_SECOND: u64 = 1000;
const MIN_FRAME: u64 = 4 * 1024;
const MAX_FRAME: u64 = 64 * 1024;
const MAX_FRAME_ALONE: u64 = 256 * 1024;
/// The bytes that may wait unsent in the kernel are about 4 ms of the link, within these bounds.
const UNSENT_PER_SECOND: u64 = 250;
const MIN_UNSENT: u64 = 16 * 1024;
const MAX_UNSENT: u64 = 1024 * 1024;
/// What is assumed of a new link, in bytes a second: frames of 16 KiB.
const FIRST_GUESS: u64 = 16 * 1024 * FRAMES_PER_SECOND;

/// The rate of a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkRate {
    /// Bytes in a second.
    rate: u64,
    begin: Instant,
    last: Instant,
    bytes: u64,
    was_full: bool,
}

impl LinkRate {
    /// Creates the rate of a new link.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            rate: FIRST_GUESS,
            begin: now,
            last: now,
            bytes: 0,
            was_full: false,
        }
    }

    /// Notes a write of so many bytes; `is_full` says whether the link has refused more.
    pub(super) fn written(&mut self, bytes: usize, is_full: bool, now: Instant) {
        // A pause is no property of the link.
        if now.saturating_duration_since(self.last) >= PERIOD && !self.was_full {
            self.restart(now);
        }
        self.last = now;
        self.bytes += bytes as u64;
        self.was_full |= is_full;
        let time = now.saturating_duration_since(self.begin);
        if time < PERIOD {
            return;
        }
        let nanoseconds = u128::from(self.bytes) * 1_000_000_000 / time.as_nanos();
        let rate = u64::try_from(nanoseconds).unwrap_or(u64::MAX);
        self.rate = if self.was_full {
            rate
        } else {
            rate.max(self.rate)
        };
        self.restart(now);
    }

    fn restart(&mut self, now: Instant) {
        self.begin = now;
        self.bytes = 0;
        self.was_full = false;
    }

    /// Returns how long a frame may be, in bytes.
    pub(super) fn frame(&self) -> usize {
        clamp(self.rate / FRAMES_PER_SECOND, MIN_FRAME, MAX_FRAME)
    }

    /// Returns how long a frame may be if no other stream sends, in bytes.
    pub(super) fn frame_alone(&self) -> usize {
        clamp(self.rate / FRAMES_PER_SECOND, MIN_FRAME, MAX_FRAME_ALONE)
    }

    /// Returns how many bytes should wait unsent in the kernel at most.
    pub(super) fn unsent_bound(&self) -> usize {
        clamp(self.rate / UNSENT_PER_SECOND, MIN_UNSENT, MAX_UNSENT)
    }
}

fn clamp(bytes: u64, min: u64, max: u64) -> usize {
    usize::try_from(bytes.clamp(min, max)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes in steps of 10 ms for a second.
    fn carry(rate: &mut LinkRate, now: &mut Instant, bytes: usize, is_full: bool) {
        for _ in 0..100 {
            *now += Duration::from_millis(10);
            rate.written(bytes / 100, is_full, *now);
        }
    }

    #[test]
    fn a_slow_link_has_short_frames_and_a_fast_one_long_ones() {
        let mut now = Instant::now();
        let mut rate = LinkRate::new(now);
        assert_eq!(rate.frame(), 16 * 1024);
        carry(&mut rate, &mut now, 1_250_000, true);
        assert_eq!((rate.frame(), rate.unsent_bound()), (4 * 1024, 16 * 1024));
        carry(&mut rate, &mut now, 12_500_000, true);
        assert!(
            (12_000..=12_500).contains(&rate.frame()),
            "{}",
            rate.frame()
        );
        assert!((48_000..=50_000).contains(&rate.unsent_bound()));
        carry(&mut rate, &mut now, 1_000_000_000, true);
        assert_eq!(
            (rate.frame(), rate.unsent_bound()),
            (64 * 1024, 1024 * 1024)
        );
    }

    #[test]
    fn a_stream_that_is_alone_has_longer_frames_on_a_fast_link_only() {
        let mut now = Instant::now();
        let mut rate = LinkRate::new(now);
        carry(&mut rate, &mut now, 12_500_000, true);
        assert_eq!(rate.frame_alone(), rate.frame());
        carry(&mut rate, &mut now, 1_000_000_000, true);
        assert_eq!((rate.frame(), rate.frame_alone()), (64 * 1024, 256 * 1024));
    }

    #[test]
    fn a_link_with_little_to_carry_is_not_taken_for_a_slow_one() {
        let mut now = Instant::now();
        let mut rate = LinkRate::new(now);
        carry(&mut rate, &mut now, 100_000_000, true);
        carry(&mut rate, &mut now, 1000, false);
        assert_eq!(rate.frame(), 64 * 1024);
        now += Duration::from_secs(60);
        carry(&mut rate, &mut now, 100_000_000, true);
        assert_eq!(rate.frame(), 64 * 1024, "the pause does not count");
    }
}
