//! Driving the exchange, and applying its steps to the clients.

use std::time::Instant;

use stage4_proxy::token::Token;

use crate::queue::exchange::{Exchange, Lent, Step};
use crate::queue::flight::{Flight, Sending};
use crate::queue::framing::{Ending, Framing, Refusal};
use crate::queue::worker::Worker;

impl<F: Framing> Worker<F> {
    /// Makes steps of the exchange until it has to wait, but not more than one turn allows.
    pub(super) fn drive_exchange(&mut self, now: Instant) {
        self.exchange_queued = false;
        for _ in 0..self.limits.steps_per_turn {
            let (exchange, mut lent) = self.lend(now);
            let mut step = exchange.advance(&mut lent);
            if let Step::Refill { from } = step {
                step = self.refill(from, now);
            }
            if step == Step::Wait {
                return;
            }
            self.apply(step, now);
        }
        self.exchange_queued = true;
    }

    /// Splits the worker into the exchange and what it may use for one step.
    pub(super) fn lend(&mut self, now: Instant) -> (&mut Exchange<F>, Lent<'_>) {
        let reader = self.clients.reader(self.exchange.client(), &self.limits);
        let lent = Lent {
            registry: self.poll.registry(),
            scratch: &mut self.scratch,
            log: &mut self.log,
            totals: &mut self.totals,
            limits: &self.limits,
            reader,
            queued: !self.clients.queue.is_empty(),
            draining: self.ends_at.is_some(),
            now,
        };
        (&mut self.exchange, lent)
    }

    /// Does what a step of the exchange asks for.
    pub(super) fn apply(&mut self, step: Step, now: Instant) {
        match step {
            // A refill is asked for again by the next step.
            Step::Wait | Step::Again | Step::Refill { .. } => {}
            Step::NextRequest => self.begin_next(now),
            Step::Deliver { to } => self.deliver(to, now),
            Step::Finished { to, keep } => self.finish(to, keep, now),
            Step::Refuse { to, why } => self.refuse(to.row(), why, now),
            // The client can tell that bytes are missing, so it gets those that have arrived.
            Step::Abort {
                to,
                ending: Ending::Truncated,
            } => {
                self.clients
                    .end_exchange(to.row(), false, &self.limits, now);
            }
            // The client would take a FIN for the end of the response: only a reset is honest.
            Step::Abort {
                to,
                ending: Ending::Hidden | Ending::Complete,
            } => {
                self.reset(to.row(), "the upstream broke off its response", now);
            }
        }
    }

    /// Begins the exchange of the client whose request has waited longest.
    fn begin_next(&mut self, now: Instant) {
        let Some((token, since)) = self.clients.take_turn() else {
            return;
        };
        self.counters
            .wait
            .record(now.saturating_duration_since(since));
        let Some(client) = self.clients.table.get_mut(token) else {
            return;
        };
        match client.begin_exchange(now) {
            Ok(Some(outgoing)) => {
                let responses = self.framing.responses(outgoing.summary);
                let flight = Flight::new(token, outgoing, responses, now);
                self.exchange.begin(flight, now);
                // A request that streams has a deadline from now on.
                self.clients.set_timer(token.row(), &self.limits);
            }
            Ok(None) => {}
            Err(_) => self.forget(token.row(), now),
        }
    }

    /// Reads on from a client whose request streams.
    fn refill(&mut self, from: Token, now: Instant) -> Step {
        let Some(client) = self.clients.table.get_mut(from) else {
            return Step::Wait;
        };
        let mut part = self.exchange.lend_memory();
        match client.upload(self.scratch.room(), &mut part, now) {
            Ok(upload) => self.exchange.refilled(part, upload, now),
            Err(_) => {
                self.forget(from.row(), now);
                Step::Again
            }
        }
    }

    /// Ends an exchange with its response, of which the last part is in the scratch memory.
    fn finish(&mut self, to: Option<Token>, keep: bool, now: Instant) {
        self.counters.served += 1;
        // The next request leaves before this response is delivered, because the upstream can
        // work on it meanwhile.
        if self.exchange.is_emptied() {
            self.begin_next(now);
            self.exchange.send_held(now);
        }
        let Some(to) = to else {
            return;
        };
        // The client's exchange ends before the bytes are written: if the write fails, the request
        // in flight must go on, because it may be another client's already.
        self.clients.end_exchange(to.row(), keep, &self.limits, now);
        self.deliver(to, now);
    }

    /// Acts on a client that keeps the upstream waiting.
    pub(super) fn on_slow_client(&mut self, row: u32, now: Instant) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        let sending = self.exchange.sending();
        // Bytes at hand that do not leave are the upstream's delay; it has a deadline of its own.
        if sending == Sending::Leaving && self.exchange.streams() {
            return client.restart_pace(now);
        }
        if client.has_kept_pace(&self.limits, now) {
            return;
        }
        self.totals.timeouts.idle += 1;
        if self.exchange.streams() {
            let step = self.exchange.fail_upload(Refusal::TooSlow, now);
            self.apply(step, now);
        } else {
            self.exchange.abandon(now);
            self.reset(row, "it reads too slowly", now);
        }
    }
}
