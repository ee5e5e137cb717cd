//! How other threads reach a worker: a queue of messages and an eventfd that ends its wait.
//!
//! The eventfd only adds writes up, so it says *that* there is a message; the message itself goes
//! through the queue, by value.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use stage3_epoll::{Poll, Waker};

use crate::control::{Command, CommandSender};
use crate::resolve::Answer;
use crate::token::Token;
use crate::udp::key::Key;

/// Messages that are read in one turn of the loop, so that senders that never pause do not keep the worker
/// from its sockets.
const MESSAGES_PER_TURN: usize = 64;

/// What other threads tell a worker.
#[derive(Debug)]
pub(crate) enum Message {
    /// A resolver's answer for the client that the token names, if it is still there.
    Resolved(Token, Answer),
    /// A resolver's answer for a flow of datagrams, if it is still there.
    FlowResolved(Box<Key>, Answer),
    /// A resolver's answer for a name that the client of an association has sent to.
    NameResolved(Box<Key>, Answer),
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
    /// Messages that may still be read in this turn.
    left: Cell<usize>,
}

impl Mailbox {
    /// Sends a message; without effect if the worker has ended.
    pub(crate) fn send(&self, message: Message) {
        if self.queue.send(message).is_ok() {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
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
        Ok(Self {
            queue,
            mailbox,
            left: Cell::new(MESSAGES_PER_TURN),
        })
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

    /// Takes the next message; returns `None` if there is none, or if this turn has read enough.
    pub(crate) fn take(&self) -> Option<Message> {
        if self.left.get() > 0
            && let Ok(message) = self.queue.try_recv()
        {
            self.left.set(self.left.get() - 1);
            return Some(message);
        }
        if self.left.get() == 0 {
            // The eventfd was reset for the messages that are left, too.
            self.mailbox.wake();
        }
        self.left.set(MESSAGES_PER_TURN);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stage3_epoll::Events;

    use super::*;

    /// Returns how many messages one turn of the loop reads, if the waker ends its wait at once.
    fn turn(poll: &Poll, inbox: &Inbox) -> usize {
        let mut events = Events::with_capacity(1);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        if events.iter().next().is_none() {
            return 0;
        }
        inbox.reset();
        std::iter::from_fn(|| inbox.take()).count()
    }

    #[test]
    fn a_turn_reads_a_bounded_number_of_messages_and_the_next_one_the_rest() {
        let poll = Poll::new().unwrap();
        let inbox = Inbox::new(&poll).unwrap();
        for _ in 0..MESSAGES_PER_TURN + 3 {
            inbox.mailbox().send(Message::Command(Command::Drain));
        }
        assert_eq!(turn(&poll, &inbox), MESSAGES_PER_TURN);
        assert_eq!(turn(&poll, &inbox), 3);
        assert_eq!(turn(&poll, &inbox), 0);
    }
}
