//! Accepting: whether the door is open. Time is an argument here, so tests need not wait.

use std::time::{Duration, Instant};

use crate::Interest;

/// How long the listener rests when file descriptors have run out and no client leaves.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);

/// Whether new clients are accepted.
///
/// ```text
///            file descriptors ran out
///    Open ──────────────────────────────▶ Paused
///      ▲                                    │
///      └────────────────────────────────────┘
///           a client left, or time is over
/// ```
///
/// A client that cannot be accepted stays in the backlog, and the listener stays readable. If the
/// loop went on asking, it would spin: awake all the time, without getting anything done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepting {
    /// The listener is watched.
    Open,
    /// The listener is not watched for a while.
    Paused {
        /// When to try again even if no client has left.
        until: Instant,
    },
}

impl Accepting {
    /// Begins a pause at `now`.
    pub(crate) fn pause(now: Instant) -> Self {
        Self::Paused { until: now + PAUSE }
    }

    /// Returns the state at `now`: a pause that is over has become open.
    pub(crate) fn at(self, now: Instant) -> Self {
        match self {
            Self::Paused { until } if until <= now => Self::Open,
            Self::Open | Self::Paused { .. } => self,
        }
    }

    /// Returns what the listener is to be registered for.
    pub(crate) fn interest(self) -> Interest {
        match self {
            Self::Open => Interest::READABLE,
            Self::Paused { .. } => Interest::NONE,
        }
    }

    /// Returns how long the poll may wait: for ever, or until the pause is over.
    pub(crate) fn timeout(self, now: Instant) -> Option<Duration> {
        match self {
            Self::Open => None,
            Self::Paused { until } => Some(until.saturating_duration_since(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_door_is_watched_for_ever() {
        let now = Instant::now();
        assert_eq!(Accepting::Open.interest(), Interest::READABLE);
        assert_eq!(Accepting::Open.timeout(now), None);
        assert_eq!(Accepting::Open.at(now), Accepting::Open);
    }

    #[test]
    fn a_pause_is_silent_and_ends_by_itself() {
        let start = Instant::now();
        let paused = Accepting::pause(start);
        assert_eq!(paused.interest(), Interest::NONE);
        assert_eq!(paused.timeout(start), Some(PAUSE));
        assert_eq!(paused.at(start + PAUSE / 2), paused);
        assert_eq!(paused.timeout(start + PAUSE * 2), Some(Duration::ZERO));
        assert_eq!(paused.at(start + PAUSE), Accepting::Open);
    }
}
