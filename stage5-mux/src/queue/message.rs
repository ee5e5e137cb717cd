//! What other threads tell the queue's worker.

use std::net::SocketAddr;

use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::control::Command;

/// A message to the worker.
#[derive(Debug)]
pub(super) enum Message {
    /// The resolver's answer for the upstream's name.
    Resolved(Result<Vec<SocketAddr>, ConnectError>),
    /// A command for every worker: send a snapshot, or end.
    Command(Command),
}

impl From<Command> for Message {
    fn from(command: Command) -> Self {
        Self::Command(command)
    }
}
