//! The response on its way back.

use std::mem;
use std::time::Instant;

use crate::queue::framing::{Ending, Framing, InvalidResponse, Passage, Refusal, Responses};
use crate::queue::upstream::{Event, State};
use crate::queue::worker::{Bench, Worker};

/// A body that is copied behind its head: up to here, a copy is cheaper than a vector of two.
const COPY: usize = 4096;

impl<F: Framing> Worker<F> {
    /// Reads once; `false` when nothing is there or the client has no room for it.
    pub(super) fn receive(&mut self, now: Instant) -> bool {
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
                    self.ask_for_the_rest();
                }
                self.pass_on(&passage, head, input, now);
            }
            Err(InvalidResponse(reason)) => {
                tracing::warn!("the upstream's response is invalid: {reason}");
                self.tell(Event::Invalid(Refusal::BadGateway(reason)), now);
            }
        }
    }

    /// Lets an upstream go on that has stopped in the middle of its response.
    fn ask_for_the_rest(&self) {
        if let Some(endpoint) = self.upstream.link.endpoint()
            && !endpoint.is_readable()
        {
            endpoint.acknowledge();
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
        self.turns.served += 1;
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
                flight.dropped += head.len() + body.len();
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
            self.turns.served += 1;
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
    pub(super) fn waits_for_reader(&mut self) -> bool {
        let Some(flight) = &self.upstream.flight else {
            return false;
        };
        flight
            .client
            .and_then(|token| self.clients.table.get_mut(token))
            .is_some_and(|client| client.buffered() >= self.limits.max_buffered)
    }
}
