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
mod caller;
mod conversing;
mod delivering;
mod message;
mod phase;

use std::io;
use std::time::{Duration, Instant};

use stage4_proxy::inspect::Carried;
use stage4_proxy::token::Side;

use crate::endpoint::Endpoint;
use crate::tunnel::event::Pulled;
use crate::tunnel::key::StreamKey;
use crate::tunnel::limits::TunnelLimits;
use crate::tunnel::rare::RareBuffer;
use crate::tunnel::tally::Tally;

pub(super) use answer::{Fault, far_end};
pub(super) use caller::Caller;
pub(super) use conversing::Talk;
pub(super) use phase::{Phase, Resolving};

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
    /// What only some clients have.
    pub(super) caller: Option<Box<Caller>>,
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
            caller: None,
            tally: Tally::new(Instant::now()),
        }
    }

    /// Returns the bytes that it has carried, from the client to the upstream and back.
    pub(super) fn carried(&self, side: Side) -> Carried {
        let (to_link, to_local) = (self.tally.to_link(), self.tally.to_local());
        let (up, down) = match side {
            Side::Client => (to_link, to_local),
            Side::Upstream => (to_local, to_link),
        };
        Carried { up, down }
    }

    /// Returns the target that is being reached, as it was named.
    pub(super) fn target_name(&self) -> Option<String> {
        match &self.phase {
            Phase::Resolving(resolving) => Some(resolving.target.to_string()),
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
        if !self.is_relaying() || self.is_awaiting() {
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
            | Phase::Resolving(_)
            | Phase::Open
            | Phase::Forward(_)
            | Phase::Lingering { .. }
            | Phase::Parting => None,
        };
        let racer = racer.map(|racer| &racer.endpoint);
        racer.or(self.socket.as_ref())
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
            | Phase::Resolving(_)
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
                | Phase::Resolving(_)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_side_without_a_protocol_is_small() {
        // One for each connection, idle ones included: what only some of them need is in a box.
        let sizes = [size_of::<Phase>(), size_of::<Tally>(), size_of::<Local>()];
        let bounds = [16, 40, 144];
        let mut pairs = sizes.iter().zip(&bounds);
        assert!(pairs.all(|(size, bound)| size <= bound), "{sizes:?}");
    }
}
