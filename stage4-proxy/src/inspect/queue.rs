//! What the inspector shows of a request queue (stage 5): plain values, free of I/O.

use std::net::SocketAddr;

use serde::Serialize;

use super::Histogram;

/// A queue of requests in front of one upstream connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct QueueView {
    /// Requests that wait for their turn.
    pub length: u64,
    /// How long the one that has waited longest waits already, in milliseconds.
    pub longest_wait_ms: u64,
    /// Whose request the upstream is answering.
    pub in_flight: Option<InFlight>,
    /// Requests answered since the start.
    pub served: u64,
    /// How long requests waited for their turn.
    pub wait: Histogram,
}

/// The request that the upstream is answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct InFlight {
    /// Who asked.
    pub client: SocketAddr,
    /// Since how many milliseconds it is in flight.
    pub for_ms: u64,
}
