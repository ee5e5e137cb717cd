//! How other threads reach a worker: a channel of messages, and a waker that ends its wait.

use std::cell::Cell;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use mio::{Poll, Waker};
use stage4_proxy::control::{Command, CommandSender};
use stage4_proxy::token::Token;

use crate::tokens;

/// Messages that are read in one turn of the loop, so that senders that never pause do not keep the worker
/// from its sockets.
const MESSAGES_PER_TURN: usize = 64;

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
    waker: Arc<Waker>,
    /// Messages that may still be read in this turn.
    left: Cell<usize>,
}

/// Creates a mailbox that wakes `poll`.
///
/// # Errors
///
/// Fails if no descriptor is left for the waker.
pub(crate) fn mailbox<M>(poll: &Poll) -> io::Result<(Mailbox<M>, Inbox<M>)> {
    let waker = Arc::new(Waker::new(poll.registry(), tokens::pack(Token::WAKER))?);
    let (sender, receiver) = channel();
    let inbox = Inbox {
        messages: receiver,
        waker: Arc::clone(&waker),
        left: Cell::new(MESSAGES_PER_TURN),
    };
    let mailbox = Mailbox {
        messages: sender,
        waker,
    };
    Ok((mailbox, inbox))
}

impl<M> Mailbox<M> {
    /// Sends a message; one to a worker that has ended is dropped.
    pub(crate) fn send(&self, message: M) {
        if self.messages.send(message).is_ok() {
            wake(&self.waker);
        }
    }
}

fn wake(waker: &Waker) {
    if let Err(error) = waker.wake() {
        tracing::error!(%error, "cannot wake the worker");
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
    /// Takes the oldest message; returns `None` if there is none, or if this turn has read enough.
    pub(crate) fn take(&self) -> Option<M> {
        if self.left.get() > 0
            && let Ok(message) = self.messages.try_recv()
        {
            self.left.set(self.left.get() - 1);
            return Some(message);
        }
        if self.left.get() == 0 {
            // The event that announced the rest was this turn's, too.
            wake(&self.waker);
        }
        self.left.set(MESSAGES_PER_TURN);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::Events;

    use super::*;

    /// Returns how many messages one turn of the loop reads, if the waker ends its wait at once.
    fn turn(poll: &mut Poll, inbox: &Inbox<u8>) -> usize {
        let mut events = Events::with_capacity(1);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        if events.is_empty() {
            return 0;
        }
        std::iter::from_fn(|| inbox.take()).count()
    }

    #[test]
    fn a_turn_reads_a_bounded_number_of_messages_and_the_next_one_the_rest() {
        let mut poll = Poll::new().unwrap();
        let (mailbox, inbox) = mailbox(&poll).unwrap();
        for _ in 0..MESSAGES_PER_TURN + 3 {
            mailbox.send(0);
        }
        assert_eq!(turn(&mut poll, &inbox), MESSAGES_PER_TURN);
        assert_eq!(turn(&mut poll, &inbox), 3);
        assert_eq!(turn(&mut poll, &inbox), 0);
    }
}
