//! Sending the request.

use std::mem;
use std::time::Instant;

use crate::queue::client::Upload;
use crate::queue::exchange::{Exchange, Step};
use crate::queue::flight::Sending;
use crate::queue::framing::{Framing, Refusal, Responses as _};
use crate::queue::upstream::Event;

impl<F: Framing> Exchange<F> {
    /// Writes the bytes at hand; if all have left and the request streams, asks for more.
    pub(super) fn send(&mut self, now: Instant) -> Step {
        self.send_held(now).or_else(|| self.ask_for_more())
    }

    /// Writes once.
    pub(in crate::queue) fn send_held(&mut self, now: Instant) -> Step {
        let (Some(flight), Some(endpoint)) = (&mut self.flight, self.link.endpoint_mut()) else {
            return Step::Wait;
        };
        if flight.unsent().is_empty() || flight.broken {
            return Step::Wait;
        }
        match endpoint.write_some(flight.unsent(), &[]) {
            Ok(0) => return Step::Wait,
            Ok(count) => {
                flight.sent += count;
                flight.begun = true;
            }
            // Not the end yet, because the upstream may have sent a response before it closed:
            // the next read finds it.
            Err(error) => {
                tracing::debug!(%error, "cannot send to the upstream");
                flight.broken = true;
            }
        }
        match flight.sending() {
            Sending::Complete => self.tell(Event::Sent, now),
            Sending::Leaving | Sending::Awaited => self.tell(Event::Progress, now),
        }
    }

    fn ask_for_more(&self) -> Step {
        match &self.flight {
            Some(flight) if flight.sending() == Sending::Awaited && !flight.broken => flight
                .client
                .map_or(Step::Wait, |from| Step::Refill { from }),
            Some(_) | None => Step::Wait,
        }
    }

    /// Hands out the memory of the part that has left, for the next one.
    pub(in crate::queue) fn lend_memory(&mut self) -> Vec<u8> {
        let Some(flight) = &mut self.flight else {
            return Vec::new();
        };
        flight.sent = 0;
        let mut memory = mem::take(&mut flight.request);
        memory.clear();
        memory
    }

    /// Takes the next part of the request.
    pub(in crate::queue) fn refilled(
        &mut self,
        part: Vec<u8>,
        upload: Upload,
        now: Instant,
    ) -> Step {
        let Some(flight) = &mut self.flight else {
            return Step::Wait;
        };
        flight.request = part;
        match upload {
            Upload::Nothing => Step::Wait,
            Upload::Part => Step::Again,
            Upload::Whole => {
                flight.whole = true;
                match flight.sending() {
                    Sending::Complete => self.tell(Event::Sent, now),
                    Sending::Leaving | Sending::Awaited => Step::Again,
                }
            }
            Upload::Refused(why) => self.fail_upload(why, now),
        }
    }

    /// Ends an upload that cannot be completed. The connection ends with it, because the upstream
    /// has a part of the request and would take the next request for its rest.
    pub(in crate::queue) fn fail_upload(&mut self, why: Refusal, now: Instant) -> Step {
        let begun = self
            .flight
            .as_ref()
            .is_some_and(|flight| flight.responses.has_begun());
        let step = if begun {
            self.abort()
        } else {
            self.refuse(why)
        };
        self.tell(Event::Abandoned { whole: false }, now);
        step
    }
}
