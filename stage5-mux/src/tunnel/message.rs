//! What other threads tell the tunnel's worker.

use stage2_client::Target;
use stage4_proxy::control::Command;
use stage4_proxy::resolve::Answer;
use stage4_proxy::token::Token;

use crate::endpoint::Endpoint;

/// A message to the worker.
#[derive(Debug)]
pub(super) enum Message {
    /// The resolver's answer for the name that the link, or a stream, with this token waits for.
    Resolved(Token, Answer),
    /// An application in this process wants a stream, to a target unless the far end knows where it leads.
    Open(Endpoint, Option<Target>),
    /// A command for every worker: send a snapshot, or end.
    Command(Command),
}

impl From<Command> for Message {
    fn from(command: Command) -> Self {
        Self::Command(command)
    }
}
