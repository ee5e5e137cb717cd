//! How other threads reach a worker: a channel of messages, and a waker that ends its wait.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use mio::{Poll, Waker};
use stage4_proxy::control::{Command, CommandSender};
use stage4_proxy::token::Token;

use crate::tokens;

/// The sending end, one for each thread that sends to the worker.
#[derive(Debug)]
pub(crate) struct Mailbox<M> {
    messages: Sender<M>,
    waker: Arc<Waker>,
}

/// The worker's end.
#[derive(Debug)]
pub(crate) struct Inbox<M> {
    messages: Receiver<M>,
}

/// Creates a mailbox that wakes `poll`.
///
/// # Errors
///
/// Fails if no descriptor is left for the waker.
pub(crate) fn mailbox<M>(poll: &Poll) -> io::Result<(Mailbox<M>, Inbox<M>)> {
    let waker = Arc::new(Waker::new(poll.registry(), tokens::pack(Token::WAKER))?);
    let (sender, receiver) = channel();
    let mailbox = Mailbox {
        messages: sender,
        waker,
    };
    let inbox = Inbox { messages: receiver };
    Ok((mailbox, inbox))
}

impl<M> Mailbox<M> {
    /// Sends a message; one to a worker that has ended is dropped.
    pub(crate) fn send(&self, message: M) {
        if self.messages.send(message).is_ok()
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "cannot wake the worker");
        }
    }
}

// Written by hand, because a derived one would ask that `M` can be cloned, too.
impl<M> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Self {
            messages: self.messages.clone(),
            waker: Arc::clone(&self.waker),
        }
    }
}

impl<M: Debug + From<Command> + Send> CommandSender for Mailbox<M> {
    fn send_command(&self, command: Command) {
        self.send(command.into());
    }
}

impl<M> Inbox<M> {
    /// Takes the oldest message, if there is one.
    pub(crate) fn take(&self) -> Option<M> {
        self.messages.try_recv().ok()
    }
}
