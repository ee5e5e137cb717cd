//! The clock of the silent phases: bytes that leave restart it, also those that the kernel sends.

use std::time::Instant;

use crate::deadline::Timeout;
use crate::endpoint::Endpoint;
use crate::limits::Limits;
use crate::session::{Phase, Session};
use crate::token::Side;

/// The looks at the send queues in one time limit: a session ends at most a quarter of its limit
/// later than the last byte has left.
const LOOKS: u32 = 4;

impl Session {
    /// Returns when the session must be looked at next: at its deadline, or earlier if bytes that
    /// leave meanwhile put it off.
    ///
    /// `last` is the time of the last look, and `None` if there was none since a byte has moved.
    pub(crate) fn next_look(&self, limits: &Limits, last: Option<Instant>) -> Option<Instant> {
        let from = last.unwrap_or(self.active);
        let (deadline, timeout) = self.deadline(limits)?;
        match timeout {
            Timeout::NextRequest
            | Timeout::Handshake
            | Timeout::WrongPassword
            | Timeout::Connect => Some(deadline),
            Timeout::Idle | Timeout::HalfClose | Timeout::Linger => {
                let limit = deadline.saturating_duration_since(self.active);
                Some(deadline.min(from + limit / LOOKS))
            }
        }
    }

    /// Restarts the clock if bytes have left for a peer since the last look.
    ///
    /// Between two moves of bytes a send queue can only shrink, so a difference means that some
    /// have left. The first look after a move sees one, too: then the last byte may have left at
    /// any moment until now.
    pub(crate) fn note_departures(&mut self, now: Instant) {
        let on_its_way = self.on_its_way();
        if on_its_way != self.on_its_way {
            self.on_its_way = on_its_way;
            self.active = now;
        }
    }

    /// Returns the memory of the send queues that the session still has to empty.
    fn on_its_way(&self) -> u32 {
        let client = || self.client.on_its_way();
        let upstream = || self.upstream.as_ref().map_or(0, Endpoint::on_its_way);
        match self.phase {
            Phase::Handshake
            | Phase::Delayed(_)
            | Phase::Resolving(_)
            | Phase::Connecting(_)
            | Phase::Chaining(_)
            | Phase::Associated => 0,
            Phase::Relay | Phase::Forward(_) => client().wrapping_add(upstream()),
            Phase::Lingering | Phase::Aborting(Side::Client) => client(),
            Phase::Aborting(Side::Upstream) => upstream(),
        }
    }
}
