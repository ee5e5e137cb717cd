//! The upstream's side: the next request out, the response back.

use std::mem;
use std::time::Instant;

use super::{Bench, Worker};
use crate::queue::bytes::Bytes;
use crate::queue::client::Phase;
use crate::queue::flight::Flight;
use crate::queue::framing::{
    Ending, Framing, InvalidResponse, Passage, Refusal, Responses, Status,
};
use crate::queue::upstream::{Action, Event, State};

/// A body that is copied behind its head: up to here, a copy is cheaper than a vector of two.
const COPY: usize = 4096;

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
    fn begin_turn(&mut self, now: Instant) -> bool {
        if !self.upstream.machine.is_free() || self.queue.is_empty() {
            return false;
        }
        let Some((row, _)) = self.queue.take_first() else {
            return false;
        };
        let token = self
            .clients
            .table
            .token(row, stage4_proxy::token::Side::Client);
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
            carry: Bytes::default(),
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

/// The request on its way out.
impl<F: Framing> Worker<F> {
    /// Sends what is held, and then what the client still brings.
    fn send(&mut self, now: Instant) -> bool {
        self.send_held(now) || self.refill(now)
    }

    /// Writes once; `false` when there is nothing to write or no room.
    fn send_held(&mut self, now: Instant) -> bool {
        let (Some(flight), Some(endpoint)) =
            (&mut self.upstream.flight, self.upstream.link.endpoint_mut())
        else {
            return false;
        };
        if flight.unsent().is_empty() || flight.broken {
            return false;
        }
        match endpoint.write_some(flight.unsent(), &[]) {
            Ok(0) => return false,
            Ok(count) => flight.sent += count,
            // The upstream may have said why before it went: reading finds out.
            Err(error) => {
                tracing::debug!(%error, "cannot send to the upstream");
                flight.broken = true;
            }
        }
        let done = flight.whole && flight.unsent().is_empty();
        self.tell(if done { Event::Sent } else { Event::Progress }, now);
        true
    }

    /// Reads on from a client whose request streams.
    fn refill(&mut self, now: Instant) -> bool {
        let Some(flight) = &mut self.upstream.flight else {
            return false;
        };
        if flight.whole || flight.broken || !flight.unsent().is_empty() {
            return false;
        }
        let Some(client) = flight
            .client
            .and_then(|token| self.clients.table.get_mut(token))
        else {
            return false;
        };
        flight.request.clear();
        flight.sent = 0;
        let row = flight.client.map_or(0, stage4_proxy::token::Token::row);
        match client.upload(&mut self.bench.scratch, &mut flight.request, now) {
            Ok(None) => false,
            Ok(Some(Ok(Status::Partial | Status::Full(_)))) => {
                !flight.request.is_empty() || client.has_more()
            }
            Ok(Some(Ok(Status::Complete(_)))) => {
                flight.whole = true;
                client.hold(false, now);
                if flight.request.is_empty() {
                    self.tell(Event::Sent, now);
                }
                true
            }
            Ok(Some(Err(refusal))) => {
                self.fail_upload(refusal, now);
                true
            }
            Err(_) => {
                self.forget(row, now);
                true
            }
        }
    }

    /// Ends an upload that cannot be completed: the upstream has a part of the request and must
    /// not take what follows for the rest.
    fn fail_upload(&mut self, refusal: Refusal, now: Instant) {
        let begun = self
            .upstream
            .flight
            .as_ref()
            .is_some_and(|flight| flight.responses.has_begun());
        if begun {
            self.abort_flight(now);
        } else {
            self.refuse_flight(refusal, now);
        }
        self.tell(Event::Abandoned { whole: false }, now);
    }

    /// Acts on a client that keeps the upstream waiting.
    pub(super) fn on_slow_client(&mut self, row: u32, now: Instant) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        let flight = self.upstream.flight.as_ref();
        let uploads = flight.is_some_and(|flight| !flight.whole);
        if uploads && flight.is_some_and(|flight| !flight.unsent().is_empty()) {
            // It is the upstream that takes nothing; it has a deadline of its own.
            return client.count_anew(now);
        }
        if client.has_kept_pace(&self.limits, now) {
            return;
        }
        self.totals.timeouts.idle += 1;
        if uploads {
            self.fail_upload(Refusal::TooSlow, now);
        } else {
            self.abandon_flight(now);
            self.reset(row, "it reads too slowly");
        }
    }
}

/// The response on its way back.
impl<F: Framing> Worker<F> {
    /// Reads once; `false` when nothing is there or the client has no room for it.
    fn receive(&mut self, now: Instant) -> bool {
        if self.waits_for_reader() {
            return false;
        }
        let Some(endpoint) = self.upstream.link.endpoint_mut() else {
            return false;
        };
        let mut bench = mem::take(&mut self.bench);
        let progress = match endpoint.read_some(&mut bench.scratch) {
            Ok(None) => false,
            Ok(Some(0)) => {
                self.on_upstream_end(true, now);
                true
            }
            Ok(Some(count)) => {
                self.on_bytes(&mut bench, count, now);
                true
            }
            Err(error) => {
                tracing::debug!(%error, "the upstream connection is broken");
                self.on_upstream_end(false, now);
                true
            }
        };
        self.bench = bench;
        progress
    }

    /// Passes on what was just read.
    fn on_bytes(&mut self, bench: &mut Bench, count: usize, now: Instant) {
        self.tell(Event::Bytes, now);
        let Some(flight) = &mut self.upstream.flight else {
            return;
        };
        let Bench { scratch, head } = bench;
        let fresh = &scratch[..count];
        head.clear();
        let closing = self.ends_at.is_some() || !self.upstream.machine.has_sent();
        let mut carry = mem::take(&mut flight.carry);
        let input = if carry.is_empty() {
            fresh
        } else {
            carry.append(fresh);
            carry.pending()
        };
        match flight.responses.take(input, closing, head) {
            Ok(passage) => {
                if passage.end.is_none() {
                    flight.carry.append(&input[passage.used..]);
                }
                self.pass_on(&passage, head, input, now);
            }
            Err(InvalidResponse(reason)) => {
                tracing::warn!("the upstream's response is invalid: {reason}");
                self.tell(Event::Invalid(Refusal::BadGateway(reason)), now);
            }
        }
    }

    fn pass_on(&mut self, passage: &Passage, head: &mut Vec<u8>, input: &[u8], now: Instant) {
        let Some(flight) = &mut self.upstream.flight else {
            return;
        };
        let mut body = &input[passage.verbatim.clone()];
        if body.len() <= COPY {
            head.extend_from_slice(body);
            body = &[];
        }
        if flight.responses.has_begun() && self.upstream.machine.state() != State::Relaying {
            self.tell(Event::Head, now);
        }
        let Some(keep) = passage.end else {
            return self.pass_part(head, body, now);
        };
        let surplus = passage.used < input.len();
        if surplus {
            tracing::warn!("the upstream has sent more than its response");
        }
        let flight = self.upstream.flight.take();
        let keep_upstream = keep.upstream && !surplus;
        self.tell(
            Event::End {
                keep: keep_upstream,
            },
            now,
        );
        // The next request leaves before this response is delivered: the upstream works on it
        // meanwhile.
        let empty = self
            .upstream
            .link
            .endpoint()
            .is_some_and(|endpoint| !endpoint.is_readable());
        if empty && self.begin_turn(now) {
            self.send_held(now);
        }
        if let Some(token) = flight.and_then(|flight| flight.client) {
            self.finish_delivery(token.row(), (head, body), keep.client, now);
        }
    }

    /// Passes on what is not the end of a response.
    fn pass_part(&mut self, head: &[u8], body: &[u8], now: Instant) {
        let Some(flight) = &mut self.upstream.flight else {
            return;
        };
        match flight.client {
            Some(token) => {
                if !self.deliver(token.row(), head, body, now) {
                    self.forget(token.row(), now);
                }
            }
            None => {
                flight.dropped += body.len();
                if flight.dropped > self.limits.max_buffered {
                    self.tell(Event::Flooded, now);
                }
            }
        }
    }

    /// The upstream's output has ended, cleanly or not.
    fn on_upstream_end(&mut self, clean: bool, now: Instant) {
        let ending = self
            .upstream
            .flight
            .as_ref()
            .map(|flight| flight.responses.end_of_input(clean && !flight.broken));
        if ending == Some(Ending::Complete) {
            let flight = self.upstream.flight.take();
            self.tell(Event::End { keep: false }, now);
            if let Some(token) = flight.and_then(|flight| flight.client) {
                self.end_client_turn(token.row(), false, now);
            }
        } else {
            self.tell(Event::Lost, now);
        }
    }

    /// Says whether the client in flight has to read before more is taken from the upstream.
    fn waits_for_reader(&mut self) -> bool {
        let Some(flight) = &self.upstream.flight else {
            return false;
        };
        flight
            .client
            .and_then(|token| self.clients.table.get_mut(token))
            .is_some_and(|client| client.buffered() >= self.limits.max_buffered)
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
    fn abort_flight(&mut self, now: Instant) {
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
