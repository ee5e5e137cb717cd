//! The lowest speed of a client for which the upstream waits.
//!
//! While the upstream waits for a client, because its buffer is full or the rest of its upload has
//! not arrived, the client has a time limit. If it moves a whole buffer's worth of bytes within the
//! limit, the limit starts again. A byte now and then is not enough; otherwise one client could
//! keep the upstream from all others for hours.

use std::time::Instant;

/// The largest number of bytes that a client has to move within its time limit.
const MOST: usize = 1024 * 1024;

/// The window in which a client is measured: its beginning, and the bytes moved until then.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    window: Option<(Instant, u64)>,
}

impl Pace {
    /// Returns when the window began; `None` while the upstream does not wait.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.window.map(|(since, _)| since)
    }

    /// Begins a window, unless there is one, for a client that has moved `moved` bytes.
    pub(crate) fn begin(&mut self, now: Instant, moved: u64) {
        self.window.get_or_insert((now, moved));
    }

    /// Ends the window, because the upstream does not wait any more.
    pub(crate) fn end(&mut self) {
        self.window = None;
    }

    /// Begins a new window, because not the client was slow until now.
    pub(crate) fn restart(&mut self, now: Instant, moved: u64) {
        self.window = Some((now, moved));
    }

    /// Returns whether the client has moved the size of its `buffer` since the window began, and
    /// begins a new window if so.
    pub(crate) fn is_kept(&mut self, now: Instant, moved: u64, buffer: usize) -> bool {
        let Some((_, before)) = self.window else {
            return false;
        };
        // `moved` may be an estimate that falls for a while.
        let kept = moved.saturating_sub(before) >= buffer.min(MOST) as u64;
        if kept {
            self.restart(now, moved);
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_a_buffers_worth_buys_time() {
        let start = Instant::now();
        let later = start + Duration::from_secs(30);
        let mut pace = Pace::default();
        assert!(!pace.is_kept(later, 1000, 10), "the upstream does not wait");
        pace.begin(start, 1000);
        pace.begin(later, 1005);
        assert_eq!(pace.since(), Some(start), "the first moment counts");
        assert!(!pace.is_kept(later, 1009, 10));
        assert!(pace.is_kept(later, 1010, 10));
        assert_eq!(pace.since(), Some(later));
        assert!(!pace.is_kept(later, 1019, 10), "a new window");
        pace.end();
        assert_eq!(pace.since(), None);
    }

    #[test]
    fn a_number_that_falls_is_no_progress() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.begin(now, 1000);
        assert!(!pace.is_kept(now, 999, 10));
        assert!(!pace.is_kept(now, 1009, 10), "the window is the old one");
        assert!(pace.is_kept(now, 1010, 10));
    }

    #[test]
    fn a_huge_buffer_asks_for_no_more_than_a_mebibyte() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.begin(now, 0);
        assert!(pace.is_kept(now, 1 << 20, usize::MAX));
    }
}
