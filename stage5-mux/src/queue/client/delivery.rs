//! The bytes that the kernel sends to a client: also those that leave later than they were written.
//!
//! Without the send queue, a client that reads slowly would look like one that has stopped (see
//! [`send_queue`](stage4_proxy::send_queue)).

use std::time::Instant;

use crate::queue::client::Client;
use crate::queue::framing::Framing;
use crate::queue::limits::Limits;

/// The looks at the send queue in one time limit.
const LOOKS: u32 = 4;

/// The last look at a client's send queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    at: Instant,
    on_its_way: u32,
}

impl Look {
    /// Creates the first one: nothing is on its way.
    pub(super) fn first(now: Instant) -> Self {
        Self {
            at: now,
            on_its_way: 0,
        }
    }
}

impl<F: Framing> Client<F> {
    /// Looks at the send queue, and restarts the clock if it has changed since the last look: bytes have
    /// left, or further ones were written.
    pub(in crate::queue) fn note_departures(&mut self, now: Instant) {
        let on_its_way = self.endpoint.on_its_way();
        if on_its_way != self.look.on_its_way {
            self.clock.active = now;
        }
        self.look = Look {
            at: now,
            on_its_way,
        };
    }

    /// Returns when the next look is due: at the deadline, or earlier if bytes that leave meanwhile
    /// put it off.
    pub(in crate::queue) fn next_look(&self, limits: &Limits) -> Option<Instant> {
        let deadline = self.deadline(limits)?;
        let last = self.look.at.max(self.clock.active);
        let limit = deadline.saturating_duration_since(self.clock.active);
        Some(deadline.min(last + limit / LOOKS))
    }

    /// Returns a number that grows with every byte that has come from the client or left for it.
    ///
    /// It falls for a while after a write, because the kernel's memory for a packet is more than its bytes.
    pub(super) fn progress(&self) -> u64 {
        // A sum, because a plain difference could be negative for the same reason.
        self.traffic.total() + u64::from(u32::MAX - self.endpoint.on_its_way())
    }
}
