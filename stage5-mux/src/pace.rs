//! How long a client may keep the upstream waiting.
//!
//! While the upstream waits for a client, because its buffer is full or its upload has not come,
//! the client has a time limit. Moving a whole buffer's worth of bytes within it buys the same
//! time again; a byte now and then does not, or one client could keep the upstream from all
//! others for hours.

use std::time::Instant;

/// The most that a client has to move within its time limit.
const MOST: usize = 1024 * 1024;

/// Since when the upstream waits for a client, and how many bytes the client had moved then.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    window: Option<(Instant, u64)>,
}

impl Pace {
    /// Returns since when the upstream waits, if it does.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.window.map(|(since, _)| since)
    }

    /// Notes that the upstream waits for a client that has moved so many bytes.
    pub(crate) fn begin(&mut self, now: Instant, moved: u64) {
        self.window.get_or_insert((now, moved));
    }

    /// Notes that the upstream does not wait any more.
    pub(crate) fn end(&mut self) {
        self.window = None;
    }

    /// Counts anew: what was slow until now was not the client.
    pub(crate) fn restart(&mut self, now: Instant, moved: u64) {
        self.window = Some((now, moved));
    }

    /// Says whether the client has moved enough, `buffer` being what it has filled, and counts
    /// anew if it has.
    pub(crate) fn is_kept(&mut self, now: Instant, moved: u64, buffer: usize) -> bool {
        let Some((_, before)) = self.window else {
            return false;
        };
        let kept = moved - before >= buffer.min(MOST) as u64;
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
        assert!(!pace.is_kept(later, 1000, 10), "it does not even wait");
        pace.begin(start, 1000);
        pace.begin(later, 1005);
        assert_eq!(pace.since(), Some(start), "the first moment counts");
        assert!(!pace.is_kept(later, 1009, 10));
        assert!(pace.is_kept(later, 1010, 10));
        assert_eq!(pace.since(), Some(later));
        assert!(!pace.is_kept(later, 1019, 10), "counted anew");
        pace.end();
        assert_eq!(pace.since(), None);
    }

    #[test]
    fn a_huge_buffer_asks_for_no_more_than_a_mebibyte() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.begin(now, 0);
        assert!(pace.is_kept(now, 1 << 20, usize::MAX));
    }
}
