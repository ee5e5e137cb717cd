//! How other threads reach the worker: a queue of messages, and a waker that ends its wait.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use mio::{Poll, Waker};
use stage4_proxy::connect::ConnectError;
use stage4_proxy::inspect::Snapshot;
use stage4_proxy::token::Token;

use super::tokens;

/// What other threads say to the worker.
#[derive(Debug)]
pub(super) enum Message {
    /// The upstream's name was looked up.
    Resolved(Result<Vec<SocketAddr>, ConnectError>),
    /// The inspector asks what there is; the answer goes into the channel.
    Inspect(Sender<Snapshot>),
    /// Accept nobody more, and end when the last client has ended or the drain limit is over.
    Drain,
    /// End now.
    Stop,
}

/// The sending end, one for each thread that has something to say.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    queue: Sender<Message>,
    waker: Arc<Waker>,
}

/// The worker's end.
#[derive(Debug)]
pub(super) struct Inbox {
    queue: Receiver<Message>,
}

/// Makes a mailbox that wakes `poll`.
///
/// # Errors
///
/// When no descriptor is left for the waker.
pub(super) fn mailbox(poll: &Poll) -> io::Result<(Mailbox, Inbox)> {
    let waker = Arc::new(Waker::new(poll.registry(), tokens::pack(Token::WAKER))?);
    let (sender, receiver) = channel();
    let mailbox = Mailbox {
        queue: sender,
        waker,
    };
    Ok((mailbox, Inbox { queue: receiver }))
}

impl Mailbox {
    /// Leaves a message; a worker that has ended gets none.
    pub(super) fn send(&self, message: Message) {
        if self.queue.send(message).is_ok()
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "cannot wake the worker");
        }
    }
}

impl Inbox {
    /// Takes the next message out.
    pub(super) fn take(&self) -> Option<Message> {
        self.queue.try_recv().ok()
    }
}
