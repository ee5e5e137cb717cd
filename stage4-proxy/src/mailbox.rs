//! How other threads reach a worker: a queue of messages and an eventfd that ends its wait.
//!
//! The eventfd only adds writes up, so it says *that* there is a message; the message itself goes
//! through the queue, by value.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use stage3_epoll::{Poll, Waker};

use crate::control::{Command, CommandSender};
use crate::resolve::Answer;
use crate::token::Token;

/// What other threads tell a worker.
#[derive(Debug)]
pub(crate) enum Message {
    /// A resolver's answer for the client that the token names, if it is still there.
    Resolved(Token, Answer),
    /// It is this worker's turn to accept: another one has released a slot.
    SlotFree,
    /// A command for every worker: send a snapshot, or end.
    Command(Command),
}

/// The sending end: a clone for each thread.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    queue: Sender<Message>,
    waker: Arc<Waker>,
}

/// The worker's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Receiver<Message>,
    mailbox: Mailbox,
}

impl Mailbox {
    /// Sends a message; without effect if the worker has ended.
    pub(crate) fn send(&self, message: Message) {
        if self.queue.send(message).is_ok()
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "cannot wake a worker");
        }
    }
}

impl CommandSender for Mailbox {
    fn send_command(&self, command: Command) {
        self.send(Message::Command(command));
    }
}

impl Inbox {
    /// Creates the inbox of the worker that waits in `poll`.
    ///
    /// # Errors
    ///
    /// Fails if there is no descriptor left for the eventfd.
    pub(crate) fn new(poll: &Poll) -> io::Result<Self> {
        let waker = Waker::new(poll, stage3_epoll::Token(Token::WAKER.pack()))?;
        let (sender, queue) = channel();
        let mailbox = Mailbox {
            queue: sender,
            waker: Arc::new(waker),
        };
        Ok(Self { queue, mailbox })
    }

    /// Returns the sending end, for other threads and for replies to this worker.
    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Resets the eventfd; messages that are sent from here on wake the poll again.
    pub(crate) fn reset(&self) {
        if let Err(error) = self.mailbox.waker.reset() {
            tracing::error!(%error, "cannot reset the waker");
        }
    }

    /// Takes the next message.
    pub(crate) fn take(&self) -> Option<Message> {
        self.queue.try_recv().ok()
    }
}
