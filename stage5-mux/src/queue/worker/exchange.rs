//! The exchange with the upstream: whose turn it is, and how turns end badly.

use std::time::Instant;

use stage4_proxy::buffer::Buffer;
use stage4_proxy::token::Side;

use crate::queue::client::Phase;
use crate::queue::flight::Flight;
use crate::queue::framing::{Ending, Framing, Refusal, Responses};
use crate::queue::upstream::{Action, Event, State};
use crate::queue::worker::Worker;

impl<F: Framing> Worker<F> {
    /// Does what the upstream's socket and the queue allow now.
    pub(super) fn drive_upstream(&mut self, now: Instant) {
        self.upstream.unfinished = false;
        for _ in 0..self.limits.steps_per_turn {
            let progress = match self.upstream.machine.state() {
                State::Dead => self.begin_turn(now),
                State::Connecting => self.conclude_connect(now) || self.begin_turn(now),
                State::Idle => self.check_idle(now) || self.begin_turn(now),
                // What has come already says more than what is still to be sent.
                State::Sending => self.receive(now) || self.send(now),
                State::AwaitingHead => self.receive(now),
                State::Relaying => self.receive(now) || self.send(now),
            };
            if !progress {
                return;
            }
        }
        self.upstream.unfinished = true;
    }

    /// Tells the machine what has happened and does what it says.
    pub(super) fn tell(&mut self, event: Event, now: Instant) {
        match self.upstream.machine.on(event, now) {
            Action::Nothing | Action::Send => {}
            Action::Connect => self.connect(now),
            Action::NextAddress => self.try_next_address(Refusal::UpstreamTimeout, now),
            Action::Close => {
                self.upstream.link.close();
                self.upstream.flight = None;
            }
            Action::Refuse(refusal) => {
                self.upstream.link.close();
                self.refuse_flight(refusal, now);
            }
            Action::Abort => {
                self.upstream.link.close();
                self.abort_flight(now);
            }
        }
    }

    /// Gives the next request its turn; `false` when there is none.
    pub(super) fn begin_turn(&mut self, now: Instant) -> bool {
        if !self.upstream.machine.is_free() || self.queue.is_empty() {
            return false;
        }
        let Some((row, since)) = self.queue.take_first() else {
            return false;
        };
        self.turns.wait.record(now.saturating_duration_since(since));
        let token = self.clients.table.token(row, Side::Client);
        let Some(client) = self.clients.table.row_mut(row) else {
            return true;
        };
        let Phase::Waiting(exchange) = client.phase else {
            return true;
        };
        let Ok((request, whole)) = client.begin_turn(now) else {
            self.forget(row, now);
            return true;
        };
        self.upstream.flight = Some(Flight {
            client: token,
            exchange,
            request,
            sent: 0,
            whole,
            broken: false,
            responses: self.framing.responses(exchange),
            carry: Buffer::new(),
            dropped: 0,
            since: now,
        });
        if !whole {
            self.set_timer(row);
        }
        let repeatable = exchange.repeatable && whole;
        self.tell(Event::Turn { repeatable }, now);
        true
    }

    /// Looks at a connection that nobody uses: an end, or bytes that nobody asked for.
    ///
    /// Before a request leaves, the look is a system call whatever the events have said. Only a
    /// request that leaves in the very moment when the response before it has ended does without:
    /// that read has just found the connection empty.
    fn check_idle(&mut self, now: Instant) -> bool {
        let Some(endpoint) = self.upstream.link.endpoint() else {
            return false;
        };
        let looks = endpoint.is_readable() || !self.queue.is_empty();
        if !looks || self.upstream.link.is_quiet() {
            return false;
        }
        tracing::debug!("the upstream connection is closed while idle");
        self.tell(Event::Lost, now);
        true
    }
}

/// Exchanges that end badly.
impl<F: Framing> Worker<F> {
    /// The client in flight has gone: its response, if one comes, is read and dropped.
    pub(super) fn abandon_flight(&mut self, now: Instant) {
        let Some(flight) = &mut self.upstream.flight else {
            return;
        };
        flight.client = None;
        let whole = flight.whole;
        if self.upstream.machine.state() == State::Connecting {
            self.upstream.flight = None;
        }
        self.tell(Event::Abandoned { whole }, now);
    }

    /// Tells the client in flight why it gets no response.
    pub(super) fn refuse_flight(&mut self, refusal: Refusal, now: Instant) {
        if let Some(flight) = self.upstream.flight.take()
            && let Some(token) = flight.client
        {
            self.refuse(token.row(), Some(flight.exchange), refusal, now);
        }
    }

    /// Ends the client in flight in the middle of its response.
    ///
    /// Where the client can tell that something is missing, it gets what there is; otherwise only
    /// a reset keeps it from taking the end for a good one.
    pub(super) fn abort_flight(&mut self, now: Instant) {
        let Some(flight) = self.upstream.flight.take() else {
            return;
        };
        let Some(token) = flight.client else {
            return;
        };
        match flight.responses.end_of_input(false) {
            Ending::Truncated => self.end_client_turn(token.row(), false, now),
            Ending::Hidden | Ending::Complete => {
                self.reset(token.row(), "the upstream broke off its response");
            }
        }
    }

    /// Returns when the upstream has taken too long; never, while it waits for a client.
    pub(super) fn upstream_deadline(&self) -> Option<Instant> {
        self.upstream.machine.deadline()
    }

    pub(super) fn expire_upstream(&mut self, now: Instant) {
        let waits_for_upload = self
            .upstream
            .flight
            .as_ref()
            .is_some_and(|flight| !flight.whole && flight.unsent().is_empty());
        let connecting = self.upstream.machine.state() == State::Connecting;
        if !connecting && (waits_for_upload || self.waits_for_reader()) {
            // It is not the upstream that is slow; the client has a deadline of its own.
            return self.tell(Event::Progress, now);
        }
        self.tell(Event::Expired, now);
    }
}
