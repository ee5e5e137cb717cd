//! The phases of a local side; the page of [`local`](super) has their diagram.

use std::sync::Arc;
use std::time::Instant;

use stage2_client::Target;
use stage4_proxy::http::exchange::Exchange;
use stage4_proxy::resolve::Ticket;

use crate::tunnel::racing::Racing;

/// How far the local side is.
#[derive(Debug)]
pub(in crate::tunnel) enum Phase {
    /// The client has not said yet where it wants to go; it has no stream.
    Handshake,
    /// The refusal of a wrong password is held back, so that guessing costs time.
    Delayed,
    /// The peer has not sent all of its request header.
    Request,
    /// A thread looks the target's name up; without the ticket, its answer is not delivered.
    Resolving(Box<Resolving>),
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

/// A target whose name is looked up.
#[derive(Debug)]
pub(in crate::tunnel) struct Resolving {
    pub(in crate::tunnel) target: Arc<Target>,
    pub(in crate::tunnel) _ticket: Ticket,
}

impl Phase {
    /// Returns the name that people see.
    pub(in crate::tunnel) fn name(&self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Delayed => "delayed",
            Self::Request => "request",
            Self::Resolving(_) => "resolving",
            Self::Connecting(_) => "connecting",
            Self::Open | Self::Forward(_) => "relay",
            Self::Lingering { .. } => "lingering",
            Self::Parting => "parting",
        }
    }
}
