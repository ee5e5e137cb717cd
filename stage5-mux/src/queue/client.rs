//! One client: its requests on the way in, its responses on the way out.
//!
//! ```text
//!             request held         its turn            response complete
//!   Reading --------------> Waiting ------> InFlight --------------------> Reading
//!      |                       |                |     (or it does not persist)
//!      +-----------------------+----------------+---> Farewell ----> (closed)
//!            refused, ended                           the last reply is delivered
//! ```
//!
//! A client never touches the queue or the upstream: it says what its bytes have come to as a
//! [`Collected`], and the worker does the rest. While its request waits or is in flight, nothing
//! is read from it: what it sends meanwhile stays in the kernel, and TCP tells it to wait.

mod time;

use std::io;
use std::time::Instant;

use stage4_proxy::buffer::Buffer;

use crate::endpoint::Endpoint;
use crate::pace::Pace;
use crate::queue::framing::{Framing, Refusal, Requests, Status, Summary};

/// How far a client is with its present request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase<D> {
    /// It is idle or sends a request.
    Reading,
    /// Its request is in the queue.
    Waiting(Summary<D>),
    /// Its request is with the upstream.
    InFlight,
    /// It gets what is left of its last reply, and time to read it.
    Farewell {
        /// The FIN was sent.
        fin_sent: bool,
    },
}

/// What a client's bytes have come to.
#[derive(Debug)]
pub(super) enum Collected<D> {
    /// Nothing yet.
    Nothing,
    /// A request, complete or as much of it as may be held.
    Request(Summary<D>),
    /// It has asked everything it wanted to.
    Ended,
    /// What it sent cannot be served.
    Refused(Refusal),
}

/// A client.
#[derive(Debug)]
pub(super) struct Client<F: Framing> {
    /// The socket that was accepted.
    pub(super) endpoint: Endpoint,
    /// How far it is.
    pub(super) phase: Phase<F::Details>,
    /// Set while the client waits for another turn of the worker.
    pub(super) again: bool,
    /// The deadline that the timers know; the real one may be later.
    pub(super) timer: Option<Instant>,
    /// What it has moved.
    pub(super) traffic: Traffic,
    /// When it was accepted.
    pub(super) opened: Instant,
    requests: F::Requests,
    /// Bytes that were read and belong to a later request, or to one that is not complete.
    input: Buffer,
    input_ended: bool,
    /// The request, as the upstream shall get it.
    request: Vec<u8>,
    output: Buffer,
    clock: Clock,
}

/// The bytes that a client has moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub(super) up: u64,
    pub(super) down: u64,
}

impl Traffic {
    fn total(self) -> u64 {
        self.up + self.down
    }
}

/// When a client last did something.
#[derive(Clone, Copy, Debug)]
struct Clock {
    active: Instant,
    /// A request began to arrive.
    request_since: Option<Instant>,
    /// The upstream may be waiting for this client.
    pace: Pace,
}

impl<F: Framing> Client<F> {
    /// Begins with a client that was just accepted.
    pub(super) fn new(endpoint: Endpoint, requests: F::Requests, now: Instant) -> Self {
        Self {
            endpoint,
            phase: Phase::Reading,
            again: false,
            timer: None,
            traffic: Traffic::default(),
            opened: now,
            requests,
            input: Buffer::new(),
            input_ended: false,
            request: Vec::new(),
            output: Buffer::new(),
            clock: Clock {
                active: now,
                request_since: None,
                pace: Pace::default(),
            },
        }
    }

    /// Says whether it is between two requests, with nothing owed to it.
    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Reading
            && self.output.is_empty()
            && self.input.is_empty()
            && !self.requests.is_inside()
    }

    /// Says whether it may have sent something that was not looked at.
    pub(super) fn has_more(&self) -> bool {
        !self.input.is_empty() || self.endpoint.is_readable() || self.input_ended
    }

    /// Says whether a request has begun to arrive.
    pub(super) fn is_inside_request(&self) -> bool {
        self.requests.is_inside()
    }

    /// Returns how many bytes of its response are held.
    pub(super) fn buffered(&self) -> usize {
        self.output.len()
    }
}

/// The way in.
impl<F: Framing> Client<F> {
    /// Reads until there is a request, or nothing more to read.
    ///
    /// # Errors
    ///
    /// When the connection is broken.
    pub(super) fn collect(
        &mut self,
        scratch: &mut [u8],
        now: Instant,
    ) -> io::Result<Collected<F::Details>> {
        let mut parsed = self.parse(&[], now);
        loop {
            match parsed {
                Ok(Status::Partial) => {}
                Ok(Status::Full(exchange) | Status::Complete(exchange)) => {
                    return Ok(Collected::Request(exchange));
                }
                Err(refusal) => return Ok(Collected::Refused(refusal)),
            }
            self.tell_to_continue()?;
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

    /// Reads once into the request that is in flight, for the part that was not held, and puts
    /// what came into `request`; `None` when nothing is there.
    ///
    /// # Errors
    ///
    /// When the connection is broken.
    pub(super) fn upload(
        &mut self,
        scratch: &mut [u8],
        request: &mut Vec<u8>,
        now: Instant,
    ) -> io::Result<Option<Result<Status<F::Details>, Refusal>>> {
        std::mem::swap(&mut self.request, request);
        let outcome = self.upload_into_own(scratch, now);
        std::mem::swap(&mut self.request, request);
        outcome
    }

    fn upload_into_own(
        &mut self,
        scratch: &mut [u8],
        now: Instant,
    ) -> io::Result<Option<Result<Status<F::Details>, Refusal>>> {
        let kept = self.parse(&[], now);
        if !self.request.is_empty() || kept != Ok(Status::Partial) {
            return Ok(Some(kept));
        }
        match self.endpoint.read_some(scratch)? {
            None => Ok(None),
            Some(0) => {
                self.input_ended = true;
                Ok(Some(Err(Refusal::BadRequest(
                    "the request is not complete",
                ))))
            }
            Some(count) => Ok(Some(self.parse(&scratch[..count], now))),
        }
    }

    /// Looks at bytes that were kept and at those that have just come; what is not taken is kept.
    fn parse(&mut self, fresh: &[u8], now: Instant) -> Result<Status<F::Details>, Refusal> {
        self.traffic.up += fresh.len() as u64;
        if !fresh.is_empty() {
            self.clock.active = now;
            self.clock.request_since.get_or_insert(now);
        }
        if self.input.is_empty() {
            let taken = self.requests.take(fresh, &mut self.request)?;
            self.input.append(&fresh[taken.used..]);
            return Ok(taken.status);
        }
        self.input.append(fresh);
        let taken = self
            .requests
            .take(self.input.pending(), &mut self.request)?;
        self.input.consume(taken.used);
        Ok(taken.status)
    }

    fn finish(&mut self) -> Collected<F::Details> {
        let ended = self
            .requests
            .end_of_input(self.input.pending(), &mut self.request);
        self.input.clear();
        match ended {
            Ok(Some(exchange)) => Collected::Request(exchange),
            Ok(None) => Collected::Ended,
            Err(refusal) => Collected::Refused(refusal),
        }
    }

    /// Gives its permission to a client that waits with its body.
    fn tell_to_continue(&mut self) -> io::Result<()> {
        match self.requests.take_interim() {
            Some(interim) => self.write(interim, &[]),
            None => Ok(()),
        }
    }

    /// Hands the request out, because its turn has come; `false` says that the rest of it has to
    /// stream.
    ///
    /// # Errors
    ///
    /// When the connection is broken.
    pub(super) fn begin_turn(&mut self, now: Instant) -> io::Result<(Vec<u8>, bool)> {
        let whole = !matches!(self.phase, Phase::Waiting(_)) || !self.requests.is_inside();
        self.phase = Phase::InFlight;
        self.clock.active = now;
        let mut request = std::mem::take(&mut self.request);
        if !whole {
            self.requests.stream(&mut request);
            self.tell_to_continue()?;
            self.clock.pace.begin(now, self.traffic.total());
        }
        Ok((request, whole))
    }

    /// Drops what is left of a request that is not served.
    pub(super) fn discard_request(&mut self) {
        self.request = Vec::new();
    }

    /// Notes that its request waits.
    pub(super) fn wait(&mut self, exchange: Summary<F::Details>) {
        self.phase = Phase::Waiting(exchange);
        self.clock.request_since = None;
    }

    /// Begins with the next request, or with the end of the connection.
    pub(super) fn end_turn(&mut self, persistent: bool, now: Instant) {
        self.clock = Clock {
            active: now,
            request_since: (!self.input.is_empty()).then_some(now),
            pace: Pace::default(),
        };
        if persistent {
            self.phase = Phase::Reading;
        } else {
            self.say_farewell(now);
        }
    }
}

/// The way out.
impl<F: Framing> Client<F> {
    /// Writes what can be written and keeps the rest.
    ///
    /// # Errors
    ///
    /// When the connection is broken.
    pub(super) fn write(&mut self, first: &[u8], second: &[u8]) -> io::Result<()> {
        if !self.output.is_empty() {
            self.output.append(first);
            self.output.append(second);
            return Ok(());
        }
        let count = self.endpoint.write_some(first, second)?;
        self.traffic.down += count as u64;
        self.output.append(&first[count.min(first.len())..]);
        self.output
            .append(&second[count.saturating_sub(first.len())..]);
        Ok(())
    }

    /// Writes what was kept.
    ///
    /// # Errors
    ///
    /// When the connection is broken.
    pub(super) fn flush(&mut self, now: Instant) -> io::Result<()> {
        while !self.output.is_empty() {
            let count = self.endpoint.write_some(self.output.pending(), &[])?;
            if count == 0 {
                break;
            }
            self.output.consume(count);
            self.traffic.down += count as u64;
            self.clock.active = now;
        }
        Ok(())
    }

    /// Notes whether the upstream waits for this client now.
    pub(super) fn hold(&mut self, holds: bool, now: Instant) {
        if holds {
            self.clock.pace.begin(now, self.traffic.total());
        } else if self.output.is_empty() && !self.requests.is_inside() {
            // A moment without a full buffer proves nothing: only having caught up does.
            self.clock.pace.end();
        }
    }

    /// Begins to end the connection: what is kept is still written, then a FIN is sent, and what
    /// still comes is dropped for a while. A close(2) with unread bytes would send a reset, and
    /// the reset would overtake the reply (RFC 9112 section 9.6).
    pub(super) fn say_farewell(&mut self, now: Instant) {
        self.phase = Phase::Farewell { fin_sent: false };
        self.clock.active = now;
        self.input.clear();
        self.request = Vec::new();
    }

    /// Goes on with the farewell; `true` when it is over.
    ///
    /// # Errors
    ///
    /// When the connection is broken.
    pub(super) fn see_off(&mut self, scratch: &mut [u8], steps: usize) -> io::Result<Option<bool>> {
        if !self.output.is_empty() {
            return Ok(Some(false));
        }
        if self.phase == (Phase::Farewell { fin_sent: false }) {
            self.endpoint.send_fin()?;
            self.phase = Phase::Farewell { fin_sent: true };
        }
        for _ in 0..steps {
            if self.input_ended {
                return Ok(Some(true));
            }
            match self.endpoint.read_some(scratch)? {
                None => return Ok(Some(false)),
                Some(count) => self.input_ended = count == 0,
            }
        }
        Ok(None)
    }
}
