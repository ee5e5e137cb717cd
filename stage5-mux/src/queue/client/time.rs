//! When a client has taken too long.

use std::time::Instant;

use crate::queue::client::{Client, Clock, Phase};
use crate::queue::framing::{Framing, Requests};
use crate::queue::limits::Limits;

impl<F: Framing> Client<F> {
    /// Returns when the client has taken too long.
    pub(in crate::queue) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let Clock {
            active,
            request_since,
            pace,
        } = self.clock;
        let since = match self.phase {
            Phase::Reading if !self.output.is_empty() => Some(pace.since().unwrap_or(active)),
            // A head has its time from its first byte, a body from its last one.
            Phase::Reading => match request_since {
                Some(since) if self.request.is_empty() => Some(since),
                Some(_) => Some(active),
                None => F::CLOSES_IDLE.then_some(active),
            },
            Phase::Waiting(_) => None,
            Phase::InFlight => pace.since(),
            Phase::Farewell { fin_sent: false } => Some(active),
            Phase::Farewell { fin_sent: true } => return Some(active + limits.linger),
        };
        since.map(|since| since + limits.client_timeout)
    }

    /// Says whether the client has kept the pace since the upstream began to wait for it.
    pub(in crate::queue) fn has_kept_pace(&mut self, limits: &Limits, now: Instant) -> bool {
        let buffer = if self.requests.is_inside() {
            limits.max_body
        } else {
            limits.max_buffered
        };
        self.clock.pace.is_kept(now, self.traffic.total(), buffer)
    }

    /// Forgives what was slow until now: it was not the client.
    pub(in crate::queue) fn count_anew(&mut self, now: Instant) {
        self.clock.pace.restart(now, self.traffic.total());
    }
}
