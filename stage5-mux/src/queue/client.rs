//! One client: its requests on the way in, its responses on the way out.
//!
//! ```text
//!             request held         its exchange      response complete
//!   Reading ──────────────▶ Waiting ──────▶ InFlight ────────────────────▶ Reading
//!      │                       │                │     (or no connection kept)
//!      └───────────────────────┴────────────────┴───▶ Lingering ────▶ (closed)
//!            refused, ended                           after the last reply
//! ```
//!
//! A client never touches the queue or the upstream: it returns what its bytes amount to as a
//! [`Collected`], and the worker acts on it. While its request waits or is in flight, nothing
//! is read from it: further bytes stay in the kernel, and TCP makes the client wait.
//!
//! | file | what it does |
//! |---|---|
//! | `client.rs` | phases, and what is known of a client |
//! | `client/input.rs` | reads requests |
//! | `client/output.rs` | writes responses, and closes |
//! | `client/time.rs` | knows when a client has taken too long |
//! | `client/halves.rs` | shows the bytes that are held in both directions |
//! | `client/delivery.rs` | notices bytes that leave later than they were written |

mod delivery;
mod halves;
mod input;
mod output;
mod time;

use std::time::Instant;

use stage4_proxy::buffer::Buffer;
use stage4_proxy::inspect::Carried;

use crate::endpoint::Endpoint;
use crate::pace::Pace;
use crate::queue::client::delivery::Look;
use crate::queue::framing::{Framing, Refusal, Requests as _, Summary};

/// How far a client is with its present request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase<D> {
    /// Idle, or sending a request.
    Reading,
    /// Its request is in the queue.
    Waiting(Summary<D>),
    /// Its request is with the upstream.
    InFlight(Summary<D>),
    /// Its last reply is being sent, and then it has time to read it (a lingering close).
    Lingering {
        /// The FIN was sent.
        fin_sent: bool,
    },
}

/// What a client's bytes amount to.
#[derive(Debug)]
pub(super) enum Collected<D> {
    /// No request yet.
    Nothing,
    /// A request: complete, or as much of it as may be held.
    Request(Summary<D>),
    /// The end of the client's output.
    Ended,
    /// A request that cannot be served.
    Refused(Refusal),
}

/// What reading on from a streaming request has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upload {
    /// No bytes yet.
    Nothing,
    /// A part.
    Part,
    /// The end of the request.
    Whole,
    /// A request that turns out to be invalid.
    Refused(Refusal),
}

/// How far a lingering close is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lingering {
    /// The client has closed, too.
    Done,
    /// It continues with the client's next event.
    Waiting,
    /// There is more to read, but other clients come first.
    Unfinished,
}

/// A client.
#[derive(Debug)]
pub(super) struct Client<F: Framing> {
    /// The socket that was accepted.
    pub(super) endpoint: Endpoint,
    /// How far it is.
    pub(super) phase: Phase<F::Details>,
    /// It is in the list of clients that are driven again without an event.
    pub(super) queued: bool,
    /// The deadline that the timers know; the real one may be later.
    pub(super) timer: Option<Instant>,
    /// The bytes that it has moved.
    pub(super) traffic: Traffic,
    /// When it was accepted.
    pub(super) opened: Instant,
    requests: F::Requests,
    /// Bytes that were read and belong to a later request, or to an incomplete one.
    input: Buffer,
    input_ended: bool,
    /// The request, as it goes to the upstream.
    request: Vec<u8>,
    output: Buffer,
    clock: Clock,
    look: Look,
}

/// The bytes that a client has moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub(super) up: u64,
    pub(super) down: u64,
}

impl Traffic {
    /// Returns the bytes in the inspector's form.
    pub(super) fn carried(self) -> Carried {
        Carried {
            up: self.up,
            down: self.down,
        }
    }

    fn total(self) -> u64 {
        self.up + self.down
    }
}

/// When a client last did something.
#[derive(Clone, Copy, Debug)]
struct Clock {
    active: Instant,
    /// When the first byte of a request was read.
    request_since: Option<Instant>,
    /// The speed of the client while the upstream waits for it.
    pace: Pace,
}

impl<F: Framing> Client<F> {
    /// Creates a client that was just accepted.
    pub(super) fn new(endpoint: Endpoint, requests: F::Requests, now: Instant) -> Self {
        Self {
            endpoint,
            phase: Phase::Reading,
            queued: false,
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
            look: Look::first(now),
        }
    }

    /// Returns whether it is between two requests and has read its last response.
    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Reading && self.output.is_empty() && !self.requests.is_inside()
    }

    /// Returns whether its next request is read: not before the one that it has sent is answered, because each client has
    /// one turn at a time, and not before it has taken the response, because that bounds what is held for it.
    ///
    /// Whatever it sends meanwhile stays in the kernel, and TCP makes it wait.
    pub(super) fn takes_requests(&self) -> bool {
        match self.phase {
            Phase::Reading => self.output.is_empty(),
            Phase::Waiting(_) | Phase::InFlight(_) | Phase::Lingering { .. } => false,
        }
    }

    /// Returns whether its request is in flight.
    pub(super) fn is_in_flight(&self) -> bool {
        matches!(self.phase, Phase::InFlight(_))
    }

    /// Returns whether its connection is being closed.
    pub(super) fn is_lingering(&self) -> bool {
        matches!(self.phase, Phase::Lingering { .. })
    }

    /// Returns whether it may have sent bytes that were not looked at.
    pub(super) fn has_more(&self) -> bool {
        !self.input.is_empty() || self.endpoint.is_readable() || self.input_ended
    }

    /// Returns whether a request has begun to arrive.
    pub(super) fn is_inside_request(&self) -> bool {
        self.requests.is_inside()
    }

    /// Returns how many bytes of its response are held.
    pub(super) fn buffered(&self) -> usize {
        self.output.len()
    }

    /// Returns what is remembered of the request that waits or is in flight.
    pub(super) fn summary(&self) -> Option<Summary<F::Details>> {
        match self.phase {
            Phase::Waiting(summary) | Phase::InFlight(summary) => Some(summary),
            Phase::Reading | Phase::Lingering { .. } => None,
        }
    }

    /// Notes that its request is in the queue.
    pub(super) fn wait(&mut self, summary: Summary<F::Details>) {
        self.phase = Phase::Waiting(summary);
        self.clock.request_since = None;
    }

    /// Ends its exchange: the next request may begin, or the connection is closed.
    pub(super) fn end_exchange(&mut self, persistent: bool, now: Instant) {
        self.clock = Clock {
            active: now,
            // Set when the bytes at hand are parsed, because they may be no more than an empty line.
            request_since: None,
            pace: Pace::default(),
        };
        if persistent {
            self.phase = Phase::Reading;
        } else {
            self.begin_lingering(now);
        }
    }
}

#[cfg(test)]
mod tests;
