//! What other threads tell the queue's worker.

use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::inspect::Snapshot;

/// A message to the worker.
#[derive(Debug)]
pub(super) enum Message {
    /// The resolver's answer for the upstream's name.
    Resolved(Result<Vec<SocketAddr>, ConnectError>),
    /// The inspector asks for a snapshot, to be sent into the channel.
    Inspect(Sender<Snapshot>),
    /// Stop accepting, and end with the last client or at the drain limit.
    Drain,
    /// End now.
    Stop,
}
