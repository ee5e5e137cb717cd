//! What other threads tell the tunnel's worker.

use std::sync::Arc;

use stage2_client::Target;
use stage4_proxy::control::Command;
use stage4_proxy::resolve::Answer;
use stage4_proxy::token::Token;

use crate::endpoint::Endpoint;
use crate::tunnel::byte_stream::Ending;

/// An application of this process that wants a stream.
#[derive(Debug)]
pub(super) struct Application {
    /// The worker's end of its pair of sockets.
    pub(super) endpoint: Endpoint,
    /// Where the stream leads; `None` if the far end knows that.
    pub(super) target: Option<Target>,
    /// Where it learns how its stream has ended.
    pub(super) ending: Arc<Ending>,
}

/// A message to the worker.
#[derive(Debug)]
pub(super) enum Message {
    /// The resolver's answer for the name that the link, or a stream, with this token waits for.
    Resolved(Token, Answer),
    /// An application wants a stream.
    Open(Application),
    /// A command for every worker: send a snapshot, or end.
    Command(Command),
}

impl From<Command> for Message {
    fn from(command: Command) -> Self {
        Self::Command(command)
    }
}
