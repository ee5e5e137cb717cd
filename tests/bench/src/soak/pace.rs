//! The bounded rate of a load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::stop;
use crate::wait::TICK;

/// A clock that ticks at a fixed rate until the soak is over.
#[derive(Debug)]
pub(super) struct Pace<'a> {
    is_over: &'a AtomicBool,
    interval: Duration,
    next: Instant,
}

impl<'a> Pace<'a> {
    /// Creates a clock whose first tick is now.
    pub(super) fn new(interval: Duration, is_over: &'a AtomicBool) -> Self {
        Self {
            is_over,
            interval,
            next: Instant::now(),
        }
    }

    /// Waits for the next tick; returns false when the soak is over.
    ///
    /// Ticks that were missed are not caught up with, because a load that was held up must not come as a burst.
    pub(super) fn tick(&mut self) -> bool {
        loop {
            if self.is_over.load(Ordering::Relaxed) || stop::requested() {
                return false;
            }
            let left = self.next.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::sleep(left.min(TICK));
        }
        self.next = Instant::now().max(self.next + self.interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_ticks_are_not_caught_up_with() {
        let is_over = AtomicBool::new(false);
        let interval = Duration::from_millis(20);
        let mut pace = Pace::new(interval, &is_over);
        pace.next -= 10 * interval;
        assert!(pace.tick());
        let begin = Instant::now();
        assert!(pace.tick() && pace.tick());
        assert!(begin.elapsed() >= interval, "{:?}", begin.elapsed());
    }

    #[test]
    fn the_end_of_the_soak_ends_it() {
        let is_over = AtomicBool::new(true);
        assert!(!Pace::new(Duration::from_secs(60), &is_over).tick());
    }
}
