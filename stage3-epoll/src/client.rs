//! One client: what it sent, what it still gets, and which of the two it is ready for.
//!
//! A client is generic over its socket, so that tests can put a script in its place. It never
//! waits and never looks at the poll: it says what it wants, and the server registers it.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use stage1_server::{LineBuffer, answer_lines, answer_rest};

use crate::{Event, Interest};

/// While this many bytes wait to be sent, a client is not read: 64 KiB.
///
/// A client that sends and never reads fills this and no more. Then the kernel's buffers fill up,
/// TCP closes the window, and the client has to wait: backpressure.
pub const MAX_PENDING: usize = 64 * 1024;

/// How far the conversation with a client is.
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

/// What has happened to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Its FIN was read.
    EndOfInput,
    /// Nothing waits to be sent, at the end of a turn.
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
    /// What the server was told last by [`Client::change_of_interest`].
    registered: Interest,
    /// Bytes that are not a whole line yet.
    input: LineBuffer,
    /// Answers that are not sent yet.
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
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells how far the conversation is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Returns the readiness that would bring this client further, computed from its state.
    ///
    /// Nobody switches single bits on and off, so nobody can forget to switch one.
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

    /// Tells whether bytes are welcome: the client may still send, and its answers have room.
    fn wants_read(&self) -> bool {
        match self.state {
            State::Open => self.output.len() < MAX_PENDING,
            State::Draining | State::Closed => false,
        }
    }

    /// Tells whether something waits to be sent: answers, or the FIN that follows the last one.
    fn wants_write(&self) -> bool {
        match self.state {
            State::Open => !self.output.is_empty(),
            State::Draining => true,
            State::Closed => false,
        }
    }

    /// Takes one turn: at most one read into `chunk` and one write, so that no client holds the
    /// others up. What is left over is still ready, and epoll reports it again (level-triggered).
    ///
    /// The event is a hint about what to try; what is true, the system calls tell. The write comes
    /// at once after the read, because a socket nearly always has room: to ask epoll first would
    /// cost two more system calls for each answer.
    ///
    /// # Errors
    /// Fails if the connection is broken or a line is too long. The client is then closed.
    pub fn on_event(&mut self, event: Event, chunk: &mut [u8]) -> io::Result<()> {
        let received = if self.wants_read() && may_read(event) {
            self.receive(chunk)
        } else {
            Ok(())
        };
        // Even after a failure: the lines before one that is too long have earned their answers.
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
    fn receive(&mut self, chunk: &mut [u8]) -> io::Result<()> {
        match self.socket.read(chunk) {
            Ok(0) => {
                answer_rest(&mut self.input, &mut self.output);
                self.state = self.state.after(Fact::EndOfInput);
                Ok(())
            }
            Ok(count) => {
                self.input.extend(&chunk[..count]);
                Ok(answer_lines(&mut self.input, &mut self.output)?)
            }
            Err(error) if is_not_yet(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes once, as much as the socket takes; the rest stays in the output.
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

/// Tells whether a read could bring anything: bytes, the end of the input, or an error.
fn may_read(event: Event) -> bool {
    event.is_readable() || event.is_read_closed() || event.is_error()
}

/// Tells whether an error only says that the socket has nothing, or no room, right now.
fn is_not_yet(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::WouldBlock || kind == io::ErrorKind::Interrupted
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use stage1_server::MAX_LINE;

    use super::*;
    use crate::{Readiness, Token};

    const CHUNK: usize = 1024;

    /// A socket that follows a script; at the end of the script it is not ready.
    #[derive(Debug, Default)]
    struct Script {
        /// What each read brings; an empty piece is the client's FIN.
        reads: VecDeque<io::Result<Vec<u8>>>,
        /// How much each write takes.
        writes: VecDeque<io::Result<usize>>,
        received: Vec<u8>,
    }

    impl Read for Script {
        fn read(&mut self, chunk: &mut [u8]) -> io::Result<usize> {
            let not_ready = || Err(io::ErrorKind::WouldBlock.into());
            let mut piece = self.reads.pop_front().unwrap_or_else(not_ready)?;
            let count = piece.len().min(chunk.len());
            chunk[..count].copy_from_slice(&piece[..count]);
            if count < piece.len() {
                self.reads.push_front(Ok(piece.split_off(count)));
            }
            Ok(count)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let not_ready = || Err(io::ErrorKind::WouldBlock.into());
            let count = self.writes.pop_front().unwrap_or_else(not_ready)?;
            let count = count.min(bytes.len());
            self.received.extend(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn client(reads: &[&[u8]], writes: &[usize]) -> Client<Script> {
        let script = Script {
            reads: reads.iter().map(|piece| Ok(piece.to_vec())).collect(),
            writes: writes.iter().map(|count| Ok(*count)).collect(),
            received: Vec::new(),
        };
        Client::new(script, "192.0.2.1:1024".parse().unwrap())
    }

    fn turn(client: &mut Client<Script>, readiness: Readiness) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        client.on_event(Event::new(Token(0), readiness), &mut chunk)
    }

    #[test]
    fn every_state_and_fact() {
        use Fact::{AllSent, EndOfInput, Failure};
        use State::{Closed, Draining, Open};
        let table = [
            (Open, EndOfInput, Draining),
            (Open, AllSent, Open),
            (Open, Failure, Closed),
            (Draining, EndOfInput, Draining),
            (Draining, AllSent, Closed),
            (Draining, Failure, Closed),
            (Closed, EndOfInput, Closed),
            (Closed, AllSent, Closed),
            (Closed, Failure, Closed),
        ];
        for (state, fact, next) in table {
            assert_eq!(state.after(fact), next, "{state:?} after {fact:?}");
        }
    }

    #[test]
    fn interest_follows_from_state_and_output() {
        let table = [
            (State::Open, 0, Interest::READABLE),
            (State::Open, 1, Interest::BOTH),
            (State::Open, MAX_PENDING - 1, Interest::BOTH),
            (State::Open, MAX_PENDING, Interest::WRITABLE),
            (State::Draining, 0, Interest::WRITABLE),
            (State::Draining, 1, Interest::WRITABLE),
            (State::Closed, 0, Interest::NONE),
            (State::Closed, 1, Interest::NONE),
        ];
        for (state, pending, interest) in table {
            let mut client = client(&[], &[]);
            client.state = state;
            client.output = vec![0; pending];
            assert_eq!(
                client.interest(),
                interest,
                "{state:?} with {pending} bytes"
            );
        }
    }

    #[test]
    fn only_a_change_of_interest_is_told() {
        let mut client = client(&[], &[]);
        assert_eq!(
            client.change_of_interest(),
            None,
            "READABLE is registered at the start"
        );
        client.output = vec![0; 1];
        assert_eq!(client.change_of_interest(), Some(Interest::BOTH));
        assert_eq!(client.change_of_interest(), None);
        client.output.clear();
        assert_eq!(client.change_of_interest(), Some(Interest::READABLE));
        client.state = State::Closed;
        assert_eq!(client.change_of_interest(), None);
    }

    #[test]
    fn an_answer_leaves_in_the_turn_of_its_line() {
        let mut client = client(&[b"one\ntw"], &[100]);
        turn(&mut client, Readiness::EPOLLIN).unwrap();
        assert_eq!(client.socket.received, b"eno\n");
        assert_eq!(client.interest(), Interest::READABLE);
    }

    #[test]
    fn a_short_write_keeps_the_rest_and_asks_for_room() {
        let mut client = client(&[b"one\n"], &[1]);
        turn(&mut client, Readiness::EPOLLIN).unwrap();
        assert_eq!(client.interest(), Interest::BOTH);
        client.socket.writes.push_back(Ok(100));
        turn(&mut client, Readiness::EPOLLOUT).unwrap();
        assert_eq!(client.socket.received, b"eno\n");
        assert_eq!(client.interest(), Interest::READABLE);
    }

    #[test]
    fn after_the_fin_the_rest_is_answered_and_then_it_closes() {
        let mut client = client(&[b"one\nlast", b""], &[]);
        turn(&mut client, Readiness::EPOLLIN).unwrap();
        turn(&mut client, Readiness::EPOLLIN | Readiness::EPOLLRDHUP).unwrap();
        assert_eq!(
            (client.state(), client.interest()),
            (State::Draining, Interest::WRITABLE)
        );
        client.socket.writes.extend([Ok(5), Ok(100)]);
        turn(&mut client, Readiness::EPOLLOUT).unwrap();
        assert_eq!(client.state(), State::Draining);
        turn(&mut client, Readiness::EPOLLOUT).unwrap();
        assert_eq!(client.state(), State::Closed);
        assert_eq!(client.socket.received, b"eno\ntsal");
    }

    #[test]
    fn a_fin_with_nothing_to_send_closes_in_the_same_turn() {
        let mut client = client(&[b""], &[]);
        turn(&mut client, Readiness::EPOLLIN | Readiness::EPOLLRDHUP).unwrap();
        assert_eq!(client.state(), State::Closed);
    }

    #[test]
    fn an_event_without_a_reason_changes_nothing() {
        for readiness in [Readiness::EPOLLIN, Readiness::EPOLLOUT, Readiness::EPOLLHUP] {
            let mut client = client(&[], &[]);
            turn(&mut client, readiness).unwrap();
            assert_eq!(
                (client.state(), client.interest()),
                (State::Open, Interest::READABLE)
            );
        }
    }

    #[test]
    fn what_the_event_does_not_announce_is_not_tried() {
        let mut client = client(&[b"one\n"], &[100]);
        turn(&mut client, Readiness::EPOLLOUT).unwrap();
        assert_eq!(client.socket.reads.len(), 1, "room to write is no bytes");
        for readiness in [
            Readiness::EPOLLIN,
            Readiness::EPOLLRDHUP,
            Readiness::EPOLLHUP,
            Readiness::EPOLLERR,
        ] {
            client.socket.reads = VecDeque::from([Ok(b"one\n".to_vec())]);
            turn(&mut client, readiness).unwrap();
            assert!(client.socket.reads.is_empty(), "{readiness:?}");
        }
    }

    #[test]
    fn a_hang_up_does_not_take_away_what_was_sent_before_it() {
        let mut client = client(&[b"one\n", b""], &[100]);
        let hang_up = Readiness::EPOLLIN | Readiness::EPOLLRDHUP | Readiness::EPOLLHUP;
        turn(&mut client, hang_up).unwrap();
        turn(&mut client, hang_up).unwrap();
        assert_eq!(client.socket.received, b"eno\n");
        assert_eq!(client.state(), State::Closed);
    }

    #[test]
    fn a_reset_closes_whether_it_is_read_or_written() {
        let reset = io::ErrorKind::ConnectionReset;
        let mut reading = client(&[], &[]);
        reading.socket.reads.push_back(Err(reset.into()));
        assert_eq!(
            turn(&mut reading, Readiness::EPOLLERR).unwrap_err().kind(),
            reset
        );
        assert_eq!(reading.state(), State::Closed);

        let mut writing = client(&[], &[]);
        writing.output = vec![0; MAX_PENDING];
        writing.socket.writes.push_back(Err(reset.into()));
        assert_eq!(
            turn(&mut writing, Readiness::EPOLLERR).unwrap_err().kind(),
            reset
        );
        assert_eq!(writing.state(), State::Closed);
    }

    #[test]
    fn a_line_that_is_too_long_closes_after_the_answers_before_it() {
        let mut client = client(&[b"one\n"], &[100]);
        let endless = vec![b'x'; MAX_LINE + CHUNK];
        client.socket.reads.push_back(Ok(endless));
        let error = loop {
            if let Err(error) = turn(&mut client, Readiness::EPOLLIN) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(client.socket.received, b"eno\n");
        assert_eq!(client.state(), State::Closed);
    }

    #[test]
    fn a_client_that_never_reads_is_not_read_any_more() {
        let mut client = client(&[], &[]);
        let flood = b"never mind\n".repeat(1 << 20);
        let length = flood.len();
        client.socket.reads.push_back(Ok(flood));
        let both = Readiness::EPOLLIN | Readiness::EPOLLOUT;
        for _ in 0..1000 {
            turn(&mut client, both).unwrap();
        }
        assert_eq!(client.interest(), Interest::WRITABLE);
        assert!(client.output.len() < MAX_PENDING + CHUNK);
        let unread = client.socket.reads[0].as_ref().unwrap().len();
        assert!(unread > length - MAX_PENDING - 2 * CHUNK);
    }

    fn any_writes() -> impl Strategy<Value = Vec<usize>> {
        vec(0..40_usize, 0..200)
    }

    proptest! {
        /// However reads and writes are cut, and whenever a socket is not ready, the client gets
        /// each line reversed, once, in order.
        #[test]
        fn cuts_do_not_matter(
            pieces in vec("[a-c\n]{1,30}", 0..20),
            writes in any_writes(),
        ) {
            let whole = pieces.concat();
            let reads: Vec<_> = pieces.iter().map(String::as_bytes).collect();
            let mut client = client(&reads, &[]);
            client.socket.reads.push_back(Ok(Vec::new()));
            for count in writes {
                let not_ready = || Err(io::ErrorKind::WouldBlock.into());
                let outcome = if count == 0 { not_ready() } else { Ok(count) };
                client.socket.writes.push_back(outcome);
            }
            let both = Readiness::EPOLLIN | Readiness::EPOLLOUT;
            while client.state() != State::Closed {
                if client.socket.writes.is_empty() {
                    client.socket.writes.push_back(Ok(usize::MAX));
                }
                turn(&mut client, both).unwrap();
            }
            let mut expected = Vec::new();
            for line in whole.split_inclusive('\n') {
                let mut line = line.as_bytes().to_vec();
                stage1_server::reverse_line(&mut line);
                expected.extend(line);
            }
            prop_assert_eq!(&client.socket.received, &expected);
        }
    }
}
