//! How other threads reach a worker: a queue of messages and an eventfd that ends its wait.
//!
//! The eventfd adds writes up, so it only says *that* something is in the queue; what it is
//! travels in the queue, by value.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use stage3_epoll::{Poll, Waker};

use crate::connect_error::ConnectError;
use crate::inspect::Snapshot;
use crate::token::Token;

/// What other threads say to a worker.
#[derive(Debug)]
pub(crate) enum Message {
    /// A name was looked up for the client that the token means, if it is still there.
    Resolved(Token, Result<Vec<SocketAddr>, ConnectError>),
    /// The inspector asks what there is; the answer goes into the channel.
    Inspect(Sender<Snapshot>),
    /// Accept nobody more, and end when the last session has ended or the drain limit is over.
    Drain,
    /// End now.
    Stop,
}

/// The sending end, one for each thread that has something to say.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    queue: Sender<Message>,
    waker: Arc<Waker>,
}

/// The worker's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Receiver<Message>,
    waker: Arc<Waker>,
}

/// Makes a mailbox that wakes `poll`.
///
/// # Errors
///
/// When no descriptor is left for the eventfd.
pub(crate) fn mailbox(poll: &Poll) -> io::Result<(Mailbox, Inbox)> {
    let waker = Arc::new(Waker::new(poll, stage3_epoll::Token(Token::WAKER.pack()))?);
    let (sender, receiver) = channel();
    let mailbox = Mailbox {
        queue: sender,
        waker: Arc::clone(&waker),
    };
    let inbox = Inbox {
        queue: receiver,
        waker,
    };
    Ok((mailbox, inbox))
}

impl Mailbox {
    /// Leaves a message; a worker that has ended gets none.
    pub(crate) fn send(&self, message: Message) {
        if self.queue.send(message).is_ok()
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "cannot wake a worker");
        }
    }
}

impl Inbox {
    /// Quiets the eventfd; messages that come from here on wake the poll again.
    pub(crate) fn reset(&self) {
        if let Err(error) = self.waker.reset() {
            tracing::error!(%error, "cannot quiet the waker");
        }
    }

    /// Takes the next message out.
    pub(crate) fn take(&self) -> Option<Message> {
        self.queue.try_recv().ok()
    }
}
