//! The deadlines of a client.

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
            // The limit of a head counts from its first byte, because a client could send one byte
            // at a time forever; that of a body counts from its last byte.
            Phase::Reading => match request_since {
                Some(since) if self.request.is_empty() => Some(since),
                Some(_) => Some(active),
                None => F::CLOSES_IDLE.then_some(active),
            },
            Phase::Waiting(_) => None,
            Phase::InFlight(_) => pace.since(),
            Phase::Lingering { fin_sent: false } => Some(active),
            Phase::Lingering { fin_sent: true } => return Some(active + limits.linger),
        };
        since.map(|since| since + limits.client_timeout)
    }

    /// Measures the pace from now on, unless it is measured already.
    pub(super) fn begin_pace(&mut self, now: Instant) {
        if self.clock.pace.since().is_none() {
            self.clock.pace.begin(now, self.progress());
        }
    }

    /// Returns whether the client was fast enough since the upstream began to wait for it.
    pub(in crate::queue) fn has_kept_pace(&mut self, limits: &Limits, now: Instant) -> bool {
        let buffer = if self.requests.is_inside() {
            limits.max_body
        } else {
            limits.max_buffered
        };
        self.clock.pace.is_kept(now, self.progress(), buffer)
    }

    /// Measures the pace from now on, because not the client was slow until now.
    pub(in crate::queue) fn restart_pace(&mut self, now: Instant) {
        self.clock.pace.restart(now, self.progress());
    }
}
