//! The request on its way out.

use std::time::Instant;

use stage4_proxy::token::Token;

use crate::queue::framing::{Framing, Refusal, Responses, Status};
use crate::queue::upstream::Event;
use crate::queue::worker::Worker;

impl<F: Framing> Worker<F> {
    /// Sends what is held, and then what the client still brings.
    pub(super) fn send(&mut self, now: Instant) -> bool {
        self.send_held(now) || self.refill(now)
    }

    /// Writes once; `false` when there is nothing to write or no room.
    pub(super) fn send_held(&mut self, now: Instant) -> bool {
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
        let row = flight.client.map_or(0, Token::row);
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
