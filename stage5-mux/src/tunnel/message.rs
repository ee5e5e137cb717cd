//! What other threads tell the tunnel's worker.

use stage4_proxy::control::Command;
use stage4_proxy::resolve::Answer;
use stage4_proxy::token::Token;

/// A message to the worker.
#[derive(Debug)]
pub(super) enum Message {
    /// The resolver's answer for the name that the link, or a stream, with this token waits for.
    Resolved(Token, Answer),
    /// A command for every worker: send a snapshot, or end.
    Command(Command),
}

impl From<Command> for Message {
    fn from(command: Command) -> Self {
        Self::Command(command)
    }
}
