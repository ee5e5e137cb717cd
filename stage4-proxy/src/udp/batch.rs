//! Datagrams in batches: up to 32 messages in one recvmmsg(2), and up to 32 in one sendmmsg(2). A message is a
//! datagram, or a run of them ([`runs`]).
//!
//! One worker has one [`Batches`], which every socket shares: a flow owns no buffer. The memory of 32 slots of
//! 64 KiB is only reserved; the kernel fills each slot from its beginning, so that small datagrams touch one page
//! of each.

mod incoming;
mod outgoing;
mod runs;

use std::net::SocketAddr;

use crate::udp::flow_table::FlowId;
use crate::udp::packet::Header;

pub(super) use incoming::{Head, Incoming};
pub(super) use outgoing::{Outbound, Outgoing, Sent};

/// Messages in one system call.
pub(super) const BATCH: usize = 32;

/// The memory that one worker lends to all of its datagram sockets.
///
/// It has raw pointers for the kernel, and so it stays on the worker's thread.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    /// What was received last.
    pub(super) incoming: Incoming,
    /// Which of it goes up, and with which flow.
    pub(super) pieces: Vec<Piece>,
    /// Which of it goes up, and where, without a flow.
    pub(super) aimed: Vec<Aimed>,
    /// What is put in front of each answer for an association.
    pub(super) headers: Vec<Header>,
    /// What sends.
    pub(super) outgoing: Outgoing,
}

/// The payload of a received datagram that goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The flow that it belongs to.
    pub(super) flow: FlowId,
    /// The number of the datagram in its batch.
    pub(super) number: usize,
    /// Where the payload begins, behind the headers for this proxy.
    pub(super) start: usize,
}

/// The payload of a received datagram that goes up without a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Aimed {
    /// Where it goes.
    pub(super) to: SocketAddr,
    /// The number of the datagram in its batch.
    pub(super) number: usize,
    /// Where the payload begins, behind the header for this proxy.
    pub(super) start: usize,
}
