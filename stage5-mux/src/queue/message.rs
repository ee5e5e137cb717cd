//! What other threads tell the queue's worker.

use stage4_proxy::control::Command;
use stage4_proxy::resolve::Answer;

/// A message to the worker.
#[derive(Debug)]
pub(super) enum Message {
    /// The resolver's answer for the upstream's name.
    Resolved(Answer),
    /// A command for every worker: send a snapshot, or end.
    Command(Command),
}

impl From<Command> for Message {
    fn from(command: Command) -> Self {
        Self::Command(command)
    }
}
