//! How long a connection may be silent after a request.
//!
//! A connection that was kept may have died without a sign: a firewall has forgotten it, or the
//! upstream's machine has lost its power. On such a connection no FIN and no reset ever arrives.

use std::time::{Duration, Instant};

use crate::queue::upstream::Timeouts;

/// The time without a byte after which the kernel is asked whether the upstream is there at all.
///
/// A sender in Linux waits for an acknowledgement for 200 ms at least, and then twice as long each
/// time, so two repeated packets have been lost by now.
pub(in crate::queue) const DOUBT_AFTER: Duration = Duration::from_secs(1);

/// The part of the whole time after which a request over a silent connection is sent again.
const SHARE: u32 = 4;

/// How far the connection is trusted with the request in flight.
///
/// ```text
///   idle, a repeatable request begins                        idle, another one; a new connection
///     │                                                          │
///     ▼       1 s             a quarter            lost          ▼
///   Kept ─────────▶ Doubted ────────────▶ Second ◀─────────── Full
///     │                │                   │  │      if it may be repeated
///     │                │                   │  └──▶ 504: its time is over
///     └────────────────┴───────────────────┴─────▶ Full: a byte has arrived, or the client has closed
/// ```
///
/// If the whole time is not longer than [`DOUBT_AFTER`], a kept connection begins with `Full`, too.
///
/// The upstream's kernel acknowledges a request long before its program answers, if there is room for it
/// in the receive window. So a connection whose small request is not acknowledged is dead, and a slow
/// program is no reason to ask it twice: it gets its quarter of the time, and so does a large request.
/// `Kept` and `Doubted` are lost like `Full`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// It has the whole time.
    Full,
    /// The connection was kept, and the request may be repeated.
    Kept,
    /// No byte has arrived for [`DOUBT_AFTER`].
    Doubted,
    /// The second attempt, without a byte until now: it has what the first has left of the time.
    Second {
        /// When the first attempt would have ended.
        until: Instant,
    },
}

impl Trust {
    /// Returns the trust in a kept connection. Without the time for a doubt, it is full.
    pub(super) fn in_kept(timeouts: &Timeouts) -> Self {
        if timeouts.response > DOUBT_AFTER {
            Self::Kept
        } else {
            Self::Full
        }
    }

    /// Returns when the silence since `active` has lasted too long.
    pub(super) fn deadline(self, active: Instant, timeouts: &Timeouts) -> Instant {
        match self {
            Self::Full => active + timeouts.response,
            Self::Kept => active + DOUBT_AFTER,
            Self::Doubted => active + (timeouts.response / SHARE).max(DOUBT_AFTER),
            Self::Second { .. } => self.bound(active + timeouts.response),
        }
    }

    /// Bounds a deadline by the time that the first attempt has left.
    pub(super) fn bound(self, deadline: Instant) -> Instant {
        self.until().map_or(deadline, |until| deadline.min(until))
    }

    /// Returns when the time of both attempts is over, if this is the second one.
    pub(super) fn until(self) -> Option<Instant> {
        match self {
            Self::Full | Self::Kept | Self::Doubted => None,
            Self::Second { until } => Some(until),
        }
    }
}
