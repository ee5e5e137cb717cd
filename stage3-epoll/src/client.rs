//! One client of the event loop: its socket, its unfinished line, its unsent answers.
//!
//! A client is generic over its socket, so that tests can put a script in its place. It never
//! waits and never looks at the poll: it says what it wants, and the server registers it.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use stage1_server::{LineBuffer, answer_lines, answer_rest};

use crate::interest::Interest;
use crate::poll::Event;

/// The unsent bytes at which a client is not read any more: 64 KiB.
///
/// A client that sends and never reads fills this and no more. Then the kernel's buffers fill up,
/// TCP closes the window, and the client has to wait: backpressure.
pub const MAX_PENDING: usize = 64 * 1024;

/// The state of the conversation with a client.
///
/// ```text
///            its FIN was read              all answers are sent
///    Open ───────────────────▶ Draining ───────────────────────▶ Closed
///      │                           │                               ▲
///      └───────────────────────────┴───────────────────────────────┘
///                          the connection failed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The client may send, and gets answers.
    Open,
    /// The client has ended its input: it gets the answers that are left, and then our FIN.
    Draining,
    /// Nothing is left to do: the socket can be closed.
    Closed,
}

/// An event in the conversation with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Its FIN was read.
    EndOfInput,
    /// The output is empty at the end of a turn.
    AllSent,
    /// Reading or writing failed, or a line was too long.
    Failure,
}

impl State {
    /// Returns the state after `fact`, as the diagram of [`State`] shows it.
    #[must_use]
    pub fn after(self, fact: Fact) -> Self {
        match (self, fact) {
            (Self::Open, Fact::AllSent) => Self::Open,
            (Self::Open | Self::Draining, Fact::EndOfInput) => Self::Draining,
            (Self::Draining, Fact::AllSent) => Self::Closed,
            (Self::Open | Self::Draining, Fact::Failure) => Self::Closed,
            (Self::Closed, Fact::EndOfInput | Fact::AllSent | Fact::Failure) => Self::Closed,
        }
    }
}

/// A client: its socket, its bytes in both directions, its state.
///
/// Its memory is bounded: by one line in the input, and in the output by [`MAX_PENDING`] and the
/// answers to the lines that one more read completes.
#[derive(Debug)]
pub struct Client<S> {
    socket: S,
    address: SocketAddr,
    state: State,
    /// The interest that was returned last by [`Client::change_of_interest`].
    registered: Interest,
    /// The bytes of a line without its newline.
    input: LineBuffer,
    /// Unsent answers.
    output: Vec<u8>,
}

impl<S: Read + Write> Client<S> {
    /// Takes over a socket, which must be in non-blocking mode and connected to `address`.
    ///
    /// A new client wants to be read: register it for [`Client::interest`].
    pub fn new(socket: S, address: SocketAddr) -> Self {
        Self {
            socket,
            address,
            state: State::Open,
            registered: Interest::READABLE,
            input: LineBuffer::new(),
            output: Vec::new(),
        }
    }

    /// Returns the socket, to register it.
    pub fn socket(&self) -> &S {
        &self.socket
    }

    /// Returns the client's own address, for the log.
    pub fn peer_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns the state of the conversation.
    pub fn state(&self) -> State {
        self.state
    }

    /// Returns the readiness that would bring this client further, computed from its state.
    ///
    /// No code switches single bits on and off, so no code can forget to switch one.
    pub fn interest(&self) -> Interest {
        Interest::wanting(self.wants_read(), self.wants_write())
    }

    /// Returns the interest if it is not the one that was registered last, to be registered now.
    ///
    /// In a conversation that flows nothing changes, and `epoll_ctl(2)` is never called. A closed
    /// client leaves the poll with its socket, so it has nothing to register.
    pub fn change_of_interest(&mut self) -> Option<Interest> {
        let wanted = self.interest();
        if self.state == State::Closed || wanted == self.registered {
            return None;
        }
        self.registered = wanted;
        Some(wanted)
    }

    /// Returns whether to read: the client may still send, and its answers have room.
    fn wants_read(&self) -> bool {
        match self.state {
            State::Open => self.output.len() < MAX_PENDING,
            State::Draining | State::Closed => false,
        }
    }

    /// Returns whether to write: answers are unsent, or the FIN that follows the last one.
    fn wants_write(&self) -> bool {
        match self.state {
            State::Open => !self.output.is_empty(),
            State::Draining => true,
            State::Closed => false,
        }
    }

    /// Takes one turn: at most one read into `scratch` and one write, so that no client delays
    /// the others. The rest stays ready, and epoll reports it again (level-triggered).
    ///
    /// The event is a hint; only the system calls tell the truth. The write comes at once after the
    /// read, because a socket nearly always has room: to ask epoll first would
    /// cost two more system calls for each answer.
    ///
    /// # Errors
    /// Fails if the connection is broken or a line is too long. The client is then closed.
    pub fn on_event(&mut self, event: Event, scratch: &mut [u8]) -> io::Result<()> {
        let received = if self.wants_read() && may_read(event) {
            self.receive(scratch)
        } else {
            Ok(())
        };
        // Sent even after a failure, because the lines before one that is too long were valid.
        let sent = self.send();
        let outcome = received.and(sent);
        if outcome.is_err() {
            self.state = self.state.after(Fact::Failure);
        } else if self.output.is_empty() {
            self.state = self.state.after(Fact::AllSent);
        }
        outcome
    }

    /// Reads once and puts the answers into the output.
    ///
    /// - Bytes: every line that they complete is answered.
    /// - Nothing yet (`EAGAIN`, `EINTR`): not an error and not an end; the event was only a hint.
    /// - 0 bytes: the client's FIN. A last line without newline is answered, too.
    ///
    /// # Errors
    /// Fails if the connection is broken (`ECONNRESET`) or if a line is too long.
    fn receive(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        match self.socket.read(scratch) {
            Ok(0) => {
                answer_rest(&mut self.input, &mut self.output);
                self.state = self.state.after(Fact::EndOfInput);
                Ok(())
            }
            Ok(count) => {
                self.input.extend(&scratch[..count]);
                Ok(answer_lines(&mut self.input, &mut self.output)?)
            }
            Err(error) if is_not_yet(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes once, as many bytes as the socket takes; the rest stays in the output.
    ///
    /// # Errors
    /// Fails if the connection is broken (`EPIPE`, `ECONNRESET`).
    fn send(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        match self.socket.write(&self.output) {
            Ok(count) => {
                self.output.drain(..count);
                Ok(())
            }
            Err(error) if is_not_yet(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Returns whether a read could return bytes, the end of the input, or an error.
fn may_read(event: Event) -> bool {
    event.is_readable() || event.is_read_closed() || event.is_error()
}

/// Returns whether an error only says that the socket has no bytes, or no room, right now.
fn is_not_yet(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::WouldBlock || kind == io::ErrorKind::Interrupted
}

#[cfg(test)]
mod tests;
