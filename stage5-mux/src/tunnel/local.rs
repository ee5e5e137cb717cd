//! The local side of a stream: one TCP connection, and the bytes that either of the two has not taken yet.
//!
//! ```text
//!   of a client:    Handshake ── its target is known ──▶ Open, or Forward for one HTTP request ── answered ──▶ Handshake
//!                       │                                  │
//!                       └─▶ (Delayed) ─▶ Lingering ◀───────┘ refused in the words of its protocol
//!
//!   of an upstream: Request ─▶ Resolving ─▶ Connecting ─▶ Open
//!                       └──────────┴─────────────┴──▶ Parting: the refusal goes out on the stream
//!
//!   to the local side:  Flowing ── the peer has ended ──▶ FinOwed ── all was taken ──▶ FinSent
//!                          └────── the link is lost ────▶ AbortOwed ── all was taken ──▶ reset
//! ```
//!
//! A client without a handshake begins in `Open`, and an upstream that the operator has named in `Resolving`.
//! Everything here is free of clocks; the [`Bridge`](super::bridge) keeps the time.

mod answer;
mod conversing;
mod message;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stage2_client::Target;
use stage4_proxy::http::Invalid;
use stage4_proxy::http::exchange::Exchange;
use stage4_proxy::ingress::conversation::Conversation;
use stage4_proxy::inspect::Carried;
use stage4_proxy::resolve::Ticket;
use stage4_proxy::token::Side;

use crate::endpoint::Endpoint;
use crate::tunnel::event::Pulled;
use crate::tunnel::key::StreamKey;
use crate::tunnel::limits::TunnelLimits;
use crate::tunnel::racing::Racing;
use crate::tunnel::rare::RareBuffer;
use crate::tunnel::tally::Tally;

pub(super) use answer::{Fault, far_end};
pub(super) use conversing::Talk;

/// How far the local side is.
#[derive(Debug)]
pub(super) enum Phase {
    /// The client has not said yet where it wants to go; it has no stream.
    Handshake,
    /// The refusal of a wrong password is held back, so that guessing costs time.
    Delayed,
    /// The peer has not sent all of its request header.
    Request,
    /// A thread looks the target's name up; without the ticket, its answer is not delivered.
    Resolving {
        target: Arc<Target>,
        _ticket: Ticket,
    },
    /// Addresses of the target are tried beside each other.
    Connecting(Box<Racing>),
    /// Bytes are relayed, both ways.
    Open,
    /// One HTTP request goes up, and its response comes down.
    Forward(Box<Exchange>),
    /// The client gets its last bytes and a FIN, and is read until it closes, because a reset would overtake them.
    Lingering { until: Instant },
    /// There is no socket any more: the stream gets its last bytes and its end, and what it brings is dropped.
    Parting,
}

impl Phase {
    /// Returns the name that people see.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Delayed => "delayed",
            Self::Request => "request",
            Self::Resolving { .. } => "resolving",
            Self::Connecting(_) => "connecting",
            Self::Open | Self::Forward(_) => "relay",
            Self::Lingering { .. } => "lingering",
            Self::Parting => "parting",
        }
    }
}

/// The direction from the link to the local side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// More may come.
    Flowing,
    /// No more comes; the FIN is owed behind the held bytes.
    FinOwed,
    /// The FIN was sent.
    FinSent,
    /// The link was lost: a reset is owed behind the held bytes.
    AbortOwed,
}

/// The local side of a stream.
#[derive(Debug)]
pub(super) struct Local {
    /// Its stream; `None` before a client has one, and once the link is lost.
    pub(super) key: Option<StreamKey>,
    pub(super) phase: Phase,
    /// The connection; `None` before an upstream is connected, and while only the stream is left.
    pub(super) socket: Option<Endpoint>,
    pub(super) delivery: Delivery,
    /// Bytes that the stream gets before those of the socket. In a handshake, bytes that it has not consumed.
    pub(super) lead: RareBuffer,
    /// Bytes that the socket has not taken; the window of the stream bounds them.
    pub(super) held: RareBuffer,
    /// Payload of the stream for which the peer has no credit yet.
    pub(super) uncredited: usize,
    /// Whether the end of the local side was read.
    pub(super) has_ended: bool,
    /// The client's protocol, for its handshake and for each refusal.
    pub(super) conversation: Option<Box<Conversation>>,
    /// The part that has come of the response header that the client waits for.
    pub(super) awaited: Option<Vec<u8>>,
    /// Why the client's bytes are no valid request.
    pub(super) invalid: Option<Invalid>,
    /// What it has carried.
    pub(super) tally: Tally,
}

/// What is to be done with a local side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: it goes on.
    Wait,
    /// It is complete, and its socket can be closed.
    Close,
    /// Its socket has to be reset.
    Abort,
    /// The client has its whole response.
    Answered,
}

impl Local {
    /// Creates a local side without a stream.
    pub(super) fn new(phase: Phase, socket: Option<Endpoint>) -> Self {
        Self {
            key: None,
            phase,
            socket,
            delivery: Delivery::Flowing,
            lead: RareBuffer::default(),
            held: RareBuffer::default(),
            uncredited: 0,
            has_ended: false,
            conversation: None,
            awaited: None,
            invalid: None,
            tally: Tally::new(Instant::now()),
        }
    }

    /// Returns the bytes that it has carried, from the client to the upstream and back.
    pub(super) fn carried(&self, side: Side) -> Carried {
        let Tally {
            to_link, to_local, ..
        } = self.tally;
        let (up, down) = match side {
            Side::Client => (to_link, to_local),
            Side::Upstream => (to_local, to_link),
        };
        Carried { up, down }
    }

    /// Returns the target that is being reached, as it was named.
    pub(super) fn target_name(&self) -> Option<String> {
        match &self.phase {
            Phase::Resolving { target, .. } => Some(target.to_string()),
            Phase::Connecting(racing) => Some(racing.target.to_string()),
            Phase::Handshake
            | Phase::Delayed
            | Phase::Request
            | Phase::Open
            | Phase::Forward(_)
            | Phase::Lingering { .. }
            | Phase::Parting => None,
        }
    }

    /// Returns how long it may be quiet: less once one direction has ended, or the link is lost, because the other may
    /// wait forever. A client that waits for its connection has a deadline of its own.
    pub(super) fn quiet_limit(&self, limits: &TunnelLimits) -> Option<Duration> {
        if !self.is_relaying() || self.awaited.is_some() {
            return None;
        }
        match self.delivery {
            Delivery::FinSent | Delivery::AbortOwed => Some(limits.half_close_timeout),
            Delivery::Flowing | Delivery::FinOwed if self.has_ended => {
                Some(limits.half_close_timeout)
            }
            Delivery::Flowing | Delivery::FinOwed => limits.idle_timeout,
        }
    }

    /// Returns the socket, or the newest one that may become it.
    pub(super) fn newest_socket(&self) -> Option<&Endpoint> {
        let racer = match &self.phase {
            Phase::Connecting(racing) => racing.race.newest(),
            Phase::Handshake
            | Phase::Delayed
            | Phase::Request
            | Phase::Resolving { .. }
            | Phase::Open
            | Phase::Forward(_)
            | Phase::Lingering { .. }
            | Phase::Parting => None,
        };
        let racer = racer.map(|racer| &racer.endpoint);
        racer.or(self.socket.as_ref())
    }

    /// Returns whether the client was served a request, and has not begun with the next one.
    pub(super) fn waits_for_next(&self) -> bool {
        let conversation = self.conversation.as_ref();
        conversation.is_some_and(|conversation| conversation.waits_for_next())
    }

    /// Returns whether bytes go from one side to the other.
    pub(super) fn is_relaying(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Forward(_))
    }

    /// Reads bytes for the link.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Pulled {
        if !self.lead.is_empty() {
            return self.read_lead(buffer);
        }
        match &mut self.phase {
            Phase::Open => self.read_socket(buffer),
            Phase::Forward(_) => self.read_request(buffer),
            Phase::Parting => {
                self.has_ended = true;
                Pulled::End
            }
            Phase::Handshake
            | Phase::Delayed
            | Phase::Request
            | Phase::Resolving { .. }
            | Phase::Connecting(_)
            | Phase::Lingering { .. } => Pulled::Blocked,
        }
    }

    fn read_lead(&mut self, buffer: &mut [u8]) -> Pulled {
        let count = self.lead.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.lead.pending()[..count]);
        self.lead.consume(count);
        Pulled::Bytes(count)
    }

    fn read_socket(&mut self, buffer: &mut [u8]) -> Pulled {
        let Some(endpoint) = &mut self.socket else {
            return Pulled::Blocked;
        };
        match endpoint.read_some(buffer) {
            Ok(None) => Pulled::Blocked,
            Ok(Some(0)) => {
                self.has_ended = true;
                Pulled::End
            }
            Ok(Some(bytes)) if endpoint.is_readable() => Pulled::Bytes(bytes),
            Ok(Some(bytes)) => Pulled::Last(bytes),
            Err(_) => Pulled::Failed,
        }
    }

    /// Takes bytes of the link and returns for how many the peer gets credit; the others are held.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken, or if the bytes are not those that have to come now.
    pub(super) fn deliver(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        self.uncredited += bytes.len();
        let taken = match &self.phase {
            Phase::Open | Phase::Forward(_) if self.awaited.is_some() => self.read_answer(bytes)?,
            Phase::Open => self.pass(bytes, &[])?,
            Phase::Forward(_) => self.pass_response(bytes)?,
            Phase::Request | Phase::Resolving { .. } | Phase::Connecting(_) => {
                self.held.append(bytes);
                0
            }
            // Nothing of the stream is wanted any more.
            Phase::Handshake | Phase::Delayed | Phase::Lingering { .. } | Phase::Parting => {
                return Ok(std::mem::take(&mut self.uncredited));
            }
        };
        Ok(self.credit(taken))
    }

    /// Passes bytes to the socket, behind those that are held, and returns how many it has taken now.
    fn pass(&mut self, first: &[u8], second: &[u8]) -> io::Result<usize> {
        let taken = match &mut self.socket {
            Some(endpoint) if self.held.is_empty() => endpoint.write_some(first, second)?,
            Some(_) | None => 0,
        };
        for (bytes, taken) in [(first, taken), (second, taken.saturating_sub(first.len()))] {
            if taken < bytes.len() {
                self.held.append(&bytes[taken..]);
            }
        }
        Ok(taken)
    }

    /// Returns for how many bytes of the stream the peer gets credit, now that the socket has taken some.
    ///
    /// A response that is rewritten on its way has another length; so the last held byte settles the account.
    pub(super) fn credit(&mut self, taken: usize) -> usize {
        let credit = if self.held.is_empty() {
            self.uncredited
        } else {
            taken.min(self.uncredited)
        };
        self.uncredited -= credit;
        credit
    }

    /// Writes held bytes, then the FIN if it is owed, and returns how many bytes the socket has taken.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken.
    pub(super) fn flush(&mut self) -> io::Result<usize> {
        let Some(endpoint) = &mut self.socket else {
            return Ok(0);
        };
        let mut all = 0;
        while !self.held.is_empty() && endpoint.is_writable() {
            let taken = endpoint.write_some(self.held.pending(), &[])?;
            self.held.consume(taken);
            all += taken;
        }
        // The end of a response is known from its framing: the client may send a further request.
        let is_answered = matches!(self.next(), Next::Answered);
        if self.held.is_empty() && self.delivery == Delivery::FinOwed && !is_answered {
            if let Some(endpoint) = &self.socket {
                endpoint.send_fin()?;
            }
            self.delivery = Delivery::FinSent;
        }
        Ok(all)
    }

    /// Returns what is to be done.
    pub(super) fn next(&self) -> Next {
        match (&self.phase, self.delivery) {
            (Phase::Forward(exchange), _) if self.has_answer(exchange) => Next::Answered,
            (_, Delivery::AbortOwed) if self.held.is_empty() => Next::Abort,
            (Phase::Open | Phase::Lingering { .. }, Delivery::FinSent) if self.has_ended => {
                Next::Close
            }
            (Phase::Parting, Delivery::FinOwed) if self.has_ended => Next::Close,
            (
                Phase::Handshake
                | Phase::Delayed
                | Phase::Request
                | Phase::Resolving { .. }
                | Phase::Connecting(_)
                | Phase::Open
                | Phase::Forward(_)
                | Phase::Lingering { .. }
                | Phase::Parting,
                Delivery::Flowing | Delivery::FinOwed | Delivery::FinSent | Delivery::AbortOwed,
            ) => Next::Wait,
        }
    }

    /// Reads and drops the bytes of a client that has got its last ones; returns whether it has more than these.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken.
    pub(super) fn drop_input(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        let Some(endpoint) = &mut self.socket else {
            return Ok(false);
        };
        for _ in 0..DROPS_PER_TURN {
            match endpoint.read_some(scratch)? {
                None => return Ok(false),
                Some(0) => {
                    self.has_ended = true;
                    return Ok(false);
                }
                Some(_) => {}
            }
        }
        Ok(true)
    }
}

/// Reads of unwanted bytes in one turn, because a client that sends without end must not keep the others waiting.
const DROPS_PER_TURN: usize = 32;
