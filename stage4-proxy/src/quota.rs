//! A quota for the log lines of one kind.
//!
//! A line for each failure would fill the disk while an upstream is down, and slow the event loop
//! down with writes to standard error. So only some are written, and the next one says how many
//! were not: `suppressed=1990`.

use std::mem;
use std::time::{Duration, Instant};

/// The log lines of one kind that may still be written in the present window of time.
#[derive(Debug)]
pub struct Quota {
    /// How many lines a window has.
    lines: u32,
    /// How long a window lasts.
    window: Duration,
    /// When the present window has begun.
    begun: Option<Instant>,
    /// The lines that were written in it.
    written: u32,
    /// The lines that were not written since the last one.
    suppressed: u64,
}

impl Quota {
    /// Creates a quota of `lines` in a `window` of time.
    #[must_use]
    pub fn new(lines: u32, window: Duration) -> Self {
        Self {
            lines,
            window,
            begun: None,
            written: 0,
            suppressed: 0,
        }
    }

    /// Creates the quota for what one client or one request brings about: ten lines in a second.
    #[must_use]
    pub fn for_events() -> Self {
        Self::new(10, Duration::from_secs(1))
    }

    /// Creates the quota for a state that lasts, such as a lack of descriptors: a line in ten
    /// seconds.
    #[must_use]
    pub fn for_states() -> Self {
        Self::new(1, Duration::from_secs(10))
    }

    /// Calls `write` if a line may be written `now`, with the number of lines that were not written
    /// since the last one, if there are any; otherwise counts this one.
    pub fn log(&mut self, now: Instant, write: impl FnOnce(Option<u64>)) {
        let begun = *self.begun.get_or_insert(now);
        if now.saturating_duration_since(begun) >= self.window {
            self.begun = Some(now);
            self.written = 0;
        }
        if self.written == self.lines {
            self.suppressed += 1;
            return;
        }
        self.written += 1;
        write(self.take_suppressed());
    }

    /// Returns how many lines were not written since the last one, and forgets them; `None` if all
    /// were.
    pub fn take_suppressed(&mut self) -> Option<u64> {
        Some(mem::take(&mut self.suppressed)).filter(|&count| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for a line; returns the number that it would carry, or `None` if it is not written.
    fn ask(quota: &mut Quota, now: Instant) -> Option<u64> {
        let mut carried = None;
        quota.log(now, |suppressed| carried = Some(suppressed.unwrap_or(0)));
        carried
    }

    #[test]
    fn lines_beyond_the_quota_are_counted_and_told_by_the_next() {
        let start = Instant::now();
        let mut quota = Quota::new(10, Duration::from_secs(1));
        for _ in 0..10 {
            assert_eq!(ask(&mut quota, start), Some(0));
        }
        for _ in 0..5 {
            assert_eq!(ask(&mut quota, start), None);
        }
        let later = start + Duration::from_secs(1);
        assert_eq!(ask(&mut quota, later), Some(5));
        assert_eq!(ask(&mut quota, later), Some(0));
        assert_eq!(quota.take_suppressed(), None);
    }

    #[test]
    fn what_was_not_written_at_the_end_can_be_told() {
        let start = Instant::now();
        let mut quota = Quota::for_states();
        for passed in 0..10 {
            ask(&mut quota, start + Duration::from_secs(passed));
        }
        assert_eq!(quota.take_suppressed(), Some(9));
        assert_eq!(ask(&mut quota, start + Duration::from_secs(10)), Some(0));
    }
}
