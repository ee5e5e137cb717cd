//! The local side of a stream: one TCP connection, and what it has not taken yet.
//!
//! ```text
//!   of a client:                  Open
//!   of an upstream:  Resolving ─▶ Connecting ─▶ Open
//!
//!   to the local side:  Flowing ── the peer has ended ──▶ FinOwed ── all was taken ──▶ FinSent
//!                          └────── the link is lost ────▶ AbortOwed ── all was taken ──▶ reset
//! ```

use std::io;

use stage4_proxy::buffer::Buffer;
use stage4_proxy::resolve::Ticket;

use crate::endpoint::Endpoint;
use crate::tunnel::dial::Dial;
use crate::tunnel::event::Pulled;
use crate::tunnel::key::StreamKey;

/// How far the local connection is.
#[derive(Debug)]
pub(super) enum Phase {
    /// A thread looks the target's name up; without the ticket, its answer is not delivered.
    Resolving {
        /// Keeps the place among those that wait.
        _ticket: Option<Ticket>,
    },
    /// A connect(2) is in progress.
    Connecting {
        /// The further addresses.
        dial: Dial,
        /// The socket.
        endpoint: Endpoint,
    },
    /// It is connected.
    Open(Endpoint),
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
    /// Its stream; `None` once the link is lost.
    pub(super) key: Option<StreamKey>,
    pub(super) phase: Phase,
    pub(super) delivery: Delivery,
    /// Bytes that the socket has not taken; the window of the stream bounds them.
    pub(super) held: Buffer,
    /// Whether the end of the local side was read.
    pub(super) has_ended: bool,
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
}

impl Local {
    /// Creates the local side of a stream.
    pub(super) fn new(key: StreamKey, phase: Phase) -> Self {
        Self {
            key: Some(key),
            phase,
            delivery: Delivery::Flowing,
            held: Buffer::new(),
            has_ended: false,
        }
    }

    /// Returns the socket, connected or not.
    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        match &self.phase {
            Phase::Resolving { .. } => None,
            Phase::Connecting { endpoint, .. } | Phase::Open(endpoint) => Some(endpoint),
        }
    }

    /// Returns the socket, connected or not.
    pub(super) fn endpoint_mut(&mut self) -> Option<&mut Endpoint> {
        match &mut self.phase {
            Phase::Resolving { .. } => None,
            Phase::Connecting { endpoint, .. } | Phase::Open(endpoint) => Some(endpoint),
        }
    }

    /// Reads bytes for the link.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Pulled {
        let Phase::Open(endpoint) = &mut self.phase else {
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

    /// Takes bytes of the link and returns how many of them the socket has taken; the others are held.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken.
    pub(super) fn deliver(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match &mut self.phase {
            Phase::Open(endpoint) if self.held.is_empty() => endpoint.write_some(bytes, &[])?,
            Phase::Open(_) | Phase::Resolving { .. } | Phase::Connecting { .. } => 0,
        };
        if taken < bytes.len() {
            self.held.append(&bytes[taken..]);
        }
        Ok(taken)
    }

    /// Writes held bytes, then the FIN if it is owed, and returns how many bytes the socket has taken.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken.
    pub(super) fn flush(&mut self) -> io::Result<usize> {
        let Phase::Open(endpoint) = &mut self.phase else {
            return Ok(0);
        };
        let mut all = 0;
        while !self.held.is_empty() && endpoint.is_writable() {
            let taken = endpoint.write_some(self.held.pending(), &[])?;
            self.held.consume(taken);
            all += taken;
        }
        if self.held.is_empty() && self.delivery == Delivery::FinOwed {
            endpoint.send_fin()?;
            self.delivery = Delivery::FinSent;
        }
        Ok(all)
    }

    /// Returns what is to be done.
    pub(super) fn next(&self) -> Next {
        match self.delivery {
            Delivery::AbortOwed if self.held.is_empty() => Next::Abort,
            Delivery::FinSent if self.has_ended => Next::Close,
            Delivery::AbortOwed | Delivery::FinSent | Delivery::Flowing | Delivery::FinOwed => {
                Next::Wait
            }
        }
    }
}
