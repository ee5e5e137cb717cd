//! Reading requests.

use std::io;
use std::mem;
use std::time::Instant;

use crate::queue::client::{Client, Collected, Phase, Upload};
use crate::queue::flight::Outgoing;
use crate::queue::framing::{Framing, Refusal, Requests as _, Status};

impl<F: Framing> Client<F> {
    /// Reads until there is a request, or no byte is left to read.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken.
    pub(in crate::queue) fn collect(
        &mut self,
        scratch: &mut [u8],
        now: Instant,
    ) -> io::Result<Collected<F::Details>> {
        let mut parsed = self.parse(&[], now);
        loop {
            match parsed {
                Ok(Status::Partial) => {}
                Ok(Status::Full(summary) | Status::Complete(summary)) => {
                    return Ok(Collected::Request(summary));
                }
                Err(refusal) => return Ok(Collected::Refused(refusal)),
            }
            self.send_interim()?;
            if self.input_ended {
                return Ok(self.finish());
            }
            match self.endpoint.read_some(scratch)? {
                None => return Ok(Collected::Nothing),
                Some(0) => {
                    self.input_ended = true;
                    parsed = Ok(Status::Partial);
                }
                Some(count) => {
                    parsed = self.parse(&scratch[..count], now);
                    if parsed == Ok(Status::Partial) && !self.endpoint.is_readable() {
                        self.endpoint.acknowledge();
                    }
                }
            }
        }
    }

    /// Reads once for the request in flight, and puts the next part of it into `request`.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken.
    pub(in crate::queue) fn upload(
        &mut self,
        scratch: &mut [u8],
        request: &mut Vec<u8>,
        now: Instant,
    ) -> io::Result<Upload> {
        // The parser appends to the client's own request, so that one lends its place.
        mem::swap(&mut self.request, request);
        let upload = self.read_on(scratch, now);
        mem::swap(&mut self.request, request);
        upload
    }

    fn read_on(&mut self, scratch: &mut [u8], now: Instant) -> io::Result<Upload> {
        let mut parsed = self.parse(&[], now);
        if self.request.is_empty() && parsed == Ok(Status::Partial) {
            parsed = match self.endpoint.read_some(scratch)? {
                None => return Ok(Upload::Nothing),
                Some(0) => {
                    self.input_ended = true;
                    Err(Refusal::BadRequest("the request is not complete"))
                }
                Some(count) => self.parse(&scratch[..count], now),
            };
        }
        Ok(match parsed {
            Ok(Status::Partial | Status::Full(_))
                if self.request.is_empty() && !self.has_more() =>
            {
                Upload::Nothing
            }
            Ok(Status::Partial | Status::Full(_)) => Upload::Part,
            Ok(Status::Complete(_)) => {
                self.hold(false, now);
                Upload::Whole
            }
            Err(refusal) => Upload::Refused(refusal),
        })
    }

    /// Parses the kept bytes and the fresh ones, and keeps the rest.
    fn parse(&mut self, fresh: &[u8], now: Instant) -> Result<Status<F::Details>, Refusal> {
        self.traffic.up += fresh.len() as u64;
        let status = if self.input.is_empty() {
            let taken = self.requests.take(fresh, &mut self.request)?;
            self.input.append(&fresh[taken.used..]);
            taken.status
        } else {
            self.input.append(fresh);
            let input = self.input.pending();
            let taken = self.requests.take(input, &mut self.request)?;
            self.input.consume(taken.used);
            taken.status
        };
        // Asked after the bytes were taken, because bytes that a framing ignores between two requests
        // must neither start the clock nor keep an idle client.
        if self.requests.is_inside() {
            self.note_progress(!fresh.is_empty(), now);
        }
        Ok(status)
    }

    /// Notes that a request has begun, and whether a part of it has just arrived.
    fn note_progress(&mut self, arrived: bool, now: Instant) {
        if arrived {
            self.clock.active = now;
        }
        self.clock.request_since.get_or_insert(now);
    }

    fn finish(&mut self) -> Collected<F::Details> {
        let ended = self
            .requests
            .end_of_input(self.input.pending(), &mut self.request);
        self.input.clear();
        match ended {
            Ok(Some(summary)) => Collected::Request(summary),
            Ok(None) => Collected::Ended,
            Err(refusal) => Collected::Refused(refusal),
        }
    }

    /// Sends the interim response for which a client holds back its body.
    fn send_interim(&mut self) -> io::Result<()> {
        match self.requests.take_interim() {
            Some(interim) => self.write(interim, &[]),
            None => Ok(()),
        }
    }

    /// Hands out the request that waits, because its exchange begins; `None` if no request waits.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken.
    pub(in crate::queue) fn begin_exchange(
        &mut self,
        now: Instant,
    ) -> io::Result<Option<Outgoing<F::Details>>> {
        let Phase::Waiting(summary) = self.phase else {
            return Ok(None);
        };
        self.phase = Phase::InFlight(summary);
        self.clock.active = now;
        // A window of an earlier request says nothing of this one.
        self.clock.pace.end();
        let whole = !self.requests.is_inside();
        let mut bytes = mem::take(&mut self.request);
        if !whole {
            self.requests.stream(&mut bytes);
            self.send_interim()?;
            self.begin_pace(now);
        }
        Ok(Some(Outgoing {
            summary,
            bytes,
            whole,
        }))
    }

    /// Drops the rest of a request that is not served.
    pub(in crate::queue) fn discard_request(&mut self) {
        self.request = Vec::new();
    }
}
