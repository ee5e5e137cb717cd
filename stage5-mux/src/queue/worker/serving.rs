//! Serving clients: reading requests, delivering responses, closing.

use std::time::Instant;

use stage4_proxy::inspect::RefusalReason;
use stage4_proxy::token::Token;

use crate::queue::client::{Collected, Lingering, Phase};
use crate::queue::framing::{Framing, Persistence, Refusal};
use crate::queue::worker::Worker;

impl<F: Framing> Worker<F> {
    /// Does what a client's socket allows now.
    pub(super) fn drive_client(&mut self, row: u32, now: Instant) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        // A lingering client has ended both directions, as it should: that is no failure.
        let broken = client.endpoint.ending() && !client.is_lingering();
        if broken || client.flush(now).is_err() {
            return self.forget(row, now);
        }
        if client.is_lingering() {
            self.linger(row, now);
        } else if client.takes_requests() {
            self.collect(row, now);
        }
        self.clients.set_timer(row, &self.limits);
    }

    /// Reads up to the next request.
    fn collect(&mut self, row: u32, now: Instant) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        match client.collect(self.scratch.room(), now) {
            Ok(Collected::Nothing) if self.ends_at.is_some() && client.is_idle() => {
                client.begin_lingering(now);
                self.linger(row, now);
            }
            Ok(Collected::Nothing) => {}
            Ok(Collected::Request(summary)) => {
                if self.clients.wait(row, summary, now).is_err() {
                    self.refuse(row, Refusal::QueueFull, now);
                }
            }
            Ok(Collected::Ended) => {
                client.begin_lingering(now);
                self.linger(row, now);
            }
            Ok(Collected::Refused(refusal)) => self.refuse(row, refusal, now),
            Err(_) => self.forget(row, now),
        }
    }

    /// Tells a client why it gets no response. The connection persists if the request is complete
    /// and was understood.
    pub(super) fn refuse(&mut self, row: u32, refusal: Refusal, now: Instant) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        self.log.refused(client.endpoint.peer_addr(), refusal, now);
        self.totals.refuse(RefusalReason::Request);
        let summary = client.summary();
        let persistent = summary.is_some_and(|summary| summary.persistent)
            && !client.is_inside_request()
            && self.ends_at.is_none();
        let mut reply = Vec::new();
        let persistence = if persistent {
            Persistence::Keep
        } else {
            Persistence::Close
        };
        F::refuse(refusal, summary, persistence, &mut reply);
        if reply.is_empty() {
            return self.reset(row, "no reply is possible", now);
        }
        client.discard_request();
        if client.write(&reply, &[]).is_err() {
            return self.forget(row, now);
        }
        self.clients
            .end_exchange(row, persistent, &self.limits, now);
    }

    /// Delivers the part of a response that is in the scratch memory.
    pub(super) fn deliver(&mut self, to: Token, now: Instant) {
        let Some(client) = self.clients.table.get_mut(to) else {
            return;
        };
        let (head, body) = self.scratch.response();
        if client.write(head, body).is_err() {
            return self.forget(to.row(), now);
        }
        let full = client.buffered() >= self.limits.max_buffered;
        client.hold(full, now);
        if full {
            self.clients.set_timer(to.row(), &self.limits);
        }
    }

    /// Continues a lingering close.
    fn linger(&mut self, row: u32, now: Instant) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        match client.linger(self.scratch.room(), self.limits.steps_per_turn) {
            Ok(Lingering::Done) => self.clients.remove(row),
            Ok(Lingering::Waiting) => self.clients.set_timer(row, &self.limits),
            Ok(Lingering::Unfinished) => self.clients.drive_again(row),
            Err(_) => self.forget(row, now),
        }
    }

    /// Acts on a client that has taken too long.
    pub(super) fn on_timeout(&mut self, row: u32, now: Instant) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        match client.phase {
            Phase::Reading if client.buffered() > 0 => {
                if !client.has_kept_pace(&self.limits, now) {
                    self.totals.timeouts.idle += 1;
                    self.reset(row, "it reads too slowly", now);
                }
            }
            Phase::Reading if client.is_idle() => {
                self.totals.timeouts.idle += 1;
                client.begin_lingering(now);
                self.linger(row, now);
            }
            Phase::Reading => {
                self.totals.timeouts.handshake += 1;
                self.refuse(row, Refusal::TooSlow, now);
            }
            Phase::InFlight(_) => self.on_slow_client(row, now),
            Phase::Waiting(_) => {}
            Phase::Lingering { .. } => self.clients.remove(row),
        }
    }

    /// Ends a client's connection with a reset, so that it cannot mistake the end for a clean one.
    pub(super) fn reset(&mut self, row: u32, reason: &str, now: Instant) {
        if let Some(client) = self.clients.reset(row) {
            self.log.reset(client, reason, now);
        }
    }

    /// Removes a client that has closed, wherever its request is.
    ///
    /// One that waits is never sent. One that is in flight cannot be taken back: the exchange is told that its
    /// client has closed, and reads the response to its end for no client.
    pub(super) fn forget(&mut self, row: u32, now: Instant) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        tracing::debug!(client = %client.endpoint.peer_addr(), "the client has closed");
        if client.is_in_flight() {
            self.exchange.abandon(now);
        }
        self.clients.remove(row);
    }
}
