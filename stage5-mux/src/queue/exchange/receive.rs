//! Reading the response.

use crate::queue::exchange::{Exchange, Lent, Reader, Step};
use crate::queue::framing::{
    EndOfInput, Ending, Framing, InvalidResponse, Keep, Persistence, Refusal, Responses as _,
};
use crate::queue::upstream::{Event, State};

const SPOKE_FIRST: Refusal = Refusal::BadGateway("the upstream has answered before it was asked");
const TOO_MANY_INTERIM: &str = "too many interim responses before the final one";

impl<F: Framing> Exchange<F> {
    /// Reads once, unless the client has no room for more.
    pub(super) fn receive(&mut self, lent: &mut Lent<'_>) -> Step {
        // Unread bytes stay in the kernel, so that TCP slows the upstream down.
        if lent.reader == Reader::Full {
            return Step::Wait;
        }
        let Some(endpoint) = self.link.endpoint_mut() else {
            return Step::Wait;
        };
        match endpoint.read_some(lent.scratch.room()) {
            Ok(None) => Step::Wait,
            Ok(Some(0)) => self.on_end_of_input(EndOfInput::Fin, lent),
            Ok(Some(count)) => self.on_bytes(count, lent),
            Err(error) => {
                tracing::debug!(%error, "the upstream connection is broken");
                self.on_end_of_input(EndOfInput::Error, lent)
            }
        }
    }

    /// Gives the framing the bytes that were just read.
    fn on_bytes(&mut self, count: usize, lent: &mut Lent<'_>) -> Step {
        // RFC 9112 section 9.2: before its request, it is no response. A greeting would otherwise reach
        // the client as its answer, and the answer the next client.
        if self.flight.as_ref().is_some_and(|flight| !flight.begun) {
            lent.log.wrong_response(F::UNASKED, lent.now);
            return self.tell(Event::Invalid(SPOKE_FIRST), lent.now);
        }
        // Not first at the end of the response, because the rest of it may take hours.
        self.link.trust();
        let told = self.tell(Event::Bytes, lent.now);
        // A response that begins before the request has left ends the client's connection, because
        // the rest of the request may never be read.
        let persistence = if lent.draining || !self.machine.has_sent() {
            Persistence::Close
        } else {
            Persistence::Keep
        };
        let Some(flight) = &mut self.flight else {
            return told;
        };
        let (input, head) = lent.scratch.take_in(&mut flight.carry, count);
        let passage = match flight.responses.take(input, persistence, head) {
            Ok(passage) => passage,
            Err(InvalidResponse(reason)) => return self.fail_response(reason, lent),
        };
        let rest = &input[passage.used..];
        let surplus = !rest.is_empty();
        if passage.end.is_none() {
            flight.carry.append(rest);
        }
        lent.scratch.pass(passage.verbatim);
        if flight.responses.has_begun() && self.machine.state() != State::Relaying {
            self.tell(Event::Head, lent.now);
        }
        match passage.end {
            Some(keep) => self.finish(keep, surplus, lent),
            None => self.pass_part(passage.used, lent),
        }
    }

    /// Passes on a part that is not the end of a response, and for which `used` bytes were read.
    fn pass_part(&mut self, used: usize, lent: &mut Lent<'_>) -> Step {
        if let Some(endpoint) = self.link.endpoint()
            && !endpoint.is_readable()
        {
            // The upstream may hold back the rest until this part is acknowledged.
            endpoint.acknowledge();
        }
        let Some(flight) = &mut self.flight else {
            return Step::Again;
        };
        let passed_on = lent.scratch.response_len() > 0;
        let swallowed = !passed_on && !flight.responses.has_begun();
        // The bytes that were read, because what the client would have got may be nothing at all.
        if flight.client.is_none() || swallowed {
            flight.dropped += used;
        }
        // Without a bound, an endless response to a closed client would hold the queue forever.
        if flight.dropped > lent.limits.max_buffered {
            return self.end_flood(lent);
        }
        match flight.client {
            Some(to) if passed_on => {
                self.tell(Event::Progress, lent.now);
                Step::Deliver { to }
            }
            Some(to) => Step::Deliver { to },
            None => Step::Again,
        }
    }

    /// Ends an exchange of which too many bytes were dropped.
    fn end_flood(&mut self, lent: &mut Lent<'_>) -> Step {
        if self.client().is_none() {
            return self.tell(Event::Flooded, lent.now);
        }
        self.fail_response(TOO_MANY_INTERIM, lent)
    }

    /// Ends an exchange whose response is invalid.
    fn fail_response(&mut self, reason: &'static str, lent: &mut Lent<'_>) -> Step {
        lent.log.wrong_response(InvalidResponse(reason), lent.now);
        self.tell(Event::Invalid(Refusal::BadGateway(reason)), lent.now)
    }

    /// Ends the exchange with a complete response.
    fn finish(&mut self, keep: Keep, surplus: bool, lent: &mut Lent<'_>) -> Step {
        if surplus {
            lent.log.wrong_response(F::UNASKED, lent.now);
        }
        let to = self.flight.take().and_then(|flight| flight.client);
        // Surplus bytes answer no request, so the connection cannot be trusted with the next one.
        let upstream = keep.upstream && !surplus;
        self.tell(Event::End { keep: upstream }, lent.now);
        let keep = keep.client;
        Step::Finished { to, keep }
    }

    /// Acts on the end of the upstream's output.
    fn on_end_of_input(&mut self, end: EndOfInput, lent: &mut Lent<'_>) -> Step {
        lent.scratch.pass_nothing();
        let ending = self.flight.as_ref().map(|flight| {
            // Sending has failed already, so this FIN is not an orderly one.
            let end = if flight.broken {
                EndOfInput::Error
            } else {
                end
            };
            flight.responses.end_of_input(end)
        });
        match ending {
            Some(Ending::Complete) => {
                let neither = Keep {
                    upstream: false,
                    client: false,
                };
                self.finish(neither, false, lent)
            }
            Some(Ending::Truncated | Ending::Hidden) | None => self.tell(Event::Lost, lent.now),
        }
    }
}
