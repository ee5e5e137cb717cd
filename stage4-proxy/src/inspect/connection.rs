//! One client of the inspector: a state machine on a non-blocking socket, every wait of it bounded.
//!
//! ```text
//!             whole head             answer             last byte sent
//!   Reading ────────────▶ Asking ────────────▶ Sending ────────────────▶ Closing ──▶ closed
//!      │                                          ▲                         EOF, or 64 KiB dropped
//!      └──────────────────────────────────────────┘
//!        refused
//! ```
//!
//! In every state but `Asking` the peer has a time limit.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use crate::inspect::hosts::Hosts;
use crate::inspect::request::{self, MAX_HEAD, Method, Page};
use crate::inspect::response::{Encoded, Response};

/// The longest time that one client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientTimeouts {
    /// For the whole head of the request.
    pub(super) head: Duration,
    /// For reading the response. Only a large table can need that long, because the kernel's send buffer
    /// takes anything smaller at once.
    pub(super) response: Duration,
    /// For the lingering close after the response.
    pub(super) close: Duration,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(2),
            response: Duration::from_secs(5),
            close: Duration::from_millis(500),
        }
    }
}

/// Bytes that a client may send after its head; more of them end the connection with a reset.
const DRAIN_BYTES: usize = 64 * 1024;

/// A client of the inspector.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    timeouts: ClientTimeouts,
    state: State,
    deadline: Instant,
}

#[derive(Debug)]
enum State {
    /// The head of the request is not complete.
    Reading(Vec<u8>),
    /// The request waits for its answer.
    Asking(Page, Method),
    /// The client reads its response.
    Sending(Outgoing),
    /// Lingering close: our FIN is sent, and the client's bytes are dropped, because closing a socket with
    /// unread input sends a reset, which can overtake the response.
    Closing { dropped: usize },
    /// There is nothing more to do.
    Closed,
}

#[derive(Debug)]
struct Outgoing {
    response: Arc<Encoded>,
    method: Method,
    /// Bytes that the kernel has taken.
    sent: usize,
    /// The number of the answer; clients with the same number share one response in memory.
    round: u64,
}

impl Connection {
    /// Wraps an accepted socket, which must be non-blocking.
    pub(super) fn new(socket: TcpStream, timeouts: ClientTimeouts, now: Instant) -> Self {
        Self {
            socket,
            timeouts,
            state: State::Reading(Vec::new()),
            deadline: now + timeouts.head,
        }
    }

    /// Does what the socket allows now; returns whether the connection is still open.
    pub(super) fn advance(&mut self, hosts: Hosts, now: Instant) -> bool {
        let result = match &self.state {
            State::Reading(_) => self.read(hosts, now),
            State::Sending(_) => self.send(now),
            State::Closing { .. } => self.drain(),
            State::Asking(..) | State::Closed => Ok(()),
        };
        let open = match result {
            Ok(()) => !matches!(self.state, State::Closed),
            Err(error) if is_not_yet(&error) => true,
            Err(error) => {
                tracing::debug!(%error, "inspector client");
                false
            }
        };
        // Only now, because what has arrived in time may be looked at late, on a busy machine.
        let late = self.deadline().is_some_and(|deadline| deadline <= now);
        open && !late
    }

    /// Returns the events to wait for.
    pub(super) fn interest(&self) -> PollFlags {
        match self.state {
            State::Reading(_) | State::Closing { .. } => PollFlags::POLLIN,
            State::Sending(_) => PollFlags::POLLOUT,
            State::Asking(..) | State::Closed => PollFlags::empty(),
        }
    }

    /// Returns when the peer's time is over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            // It waits for us and not for its peer.
            State::Asking(..) => None,
            State::Reading(_) | State::Sending(_) | State::Closing { .. } | State::Closed => {
                Some(self.deadline)
            }
        }
    }

    /// Returns the page that the client waits for.
    pub(super) fn asks(&self) -> Option<Page> {
        match self.state {
            State::Asking(page, _) => Some(page),
            State::Reading(_) | State::Sending(_) | State::Closing { .. } | State::Closed => None,
        }
    }

    /// Returns whether the client owes us bytes or its end, and may be closed for one that doesn't.
    pub(super) fn is_mute(&self) -> bool {
        match self.state {
            State::Reading(_) | State::Closing { .. } => true,
            State::Asking(..) | State::Sending(_) | State::Closed => false,
        }
    }

    /// Returns the number of the answer whose bytes wait to be read by the client.
    pub(super) fn round(&self) -> Option<u64> {
        match &self.state {
            State::Sending(outgoing) => Some(outgoing.round),
            State::Reading(_) | State::Asking(..) | State::Closing { .. } | State::Closed => None,
        }
    }

    /// Gives the client that asks its response.
    pub(super) fn respond(&mut self, response: &Arc<Encoded>, round: u64, now: Instant) {
        let State::Asking(_, method) = self.state else {
            return;
        };
        self.begin_sending(Arc::clone(response), method, round, now);
    }

    fn begin_sending(&mut self, response: Arc<Encoded>, method: Method, round: u64, now: Instant) {
        self.deadline = now + self.timeouts.response;
        self.state = State::Sending(Outgoing {
            response,
            method,
            sent: 0,
            round,
        });
    }

    /// Reads once, until the head is complete or refused. Browsers close spare connections without a byte.
    fn read(&mut self, hosts: Hosts, now: Instant) -> io::Result<()> {
        let State::Reading(head) = &mut self.state else {
            return Ok(());
        };
        let mut room = [0; 4096];
        // There is room: parse refuses a head that reaches its bound without an end.
        let room_left = room.len().min(MAX_HEAD - head.len());
        match self.socket.read(&mut room[..room_left])? {
            0 => self.state = State::Closed,
            count => {
                head.extend_from_slice(&room[..count]);
                let Some(request) = request::parse(head, hosts) else {
                    return Ok(());
                };
                match request.verdict {
                    Ok(page) => self.state = State::Asking(page, request.method),
                    Err(refusal) => {
                        let response = Arc::new(Response::refusal(refusal).encode());
                        self.begin_sending(response, request.method, 0, now);
                        return self.send(now);
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes once, and sends our FIN after the last byte.
    fn send(&mut self, now: Instant) -> io::Result<()> {
        let State::Sending(outgoing) = &mut self.state else {
            return Ok(());
        };
        let bytes = outgoing.response.bytes(outgoing.method);
        outgoing.sent += self.socket.write(&bytes[outgoing.sent..])?;
        if outgoing.sent == bytes.len() {
            self.socket.shutdown(Shutdown::Write)?;
            self.deadline = now + self.timeouts.close;
            self.state = State::Closing { dropped: 0 };
        }
        Ok(())
    }

    /// Reads once, and drops the bytes.
    fn drain(&mut self) -> io::Result<()> {
        let State::Closing { dropped } = &mut self.state else {
            return Ok(());
        };
        match self.socket.read(&mut [0; 4096])? {
            0 => self.state = State::Closed,
            count => *dropped += count,
        }
        if matches!(self.state, State::Closing { dropped } if dropped > DRAIN_BYTES) {
            self.state = State::Closed;
        }
        Ok(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::TcpListener;

    const TIMEOUTS: ClientTimeouts = ClientTimeouts {
        head: Duration::from_secs(2),
        response: Duration::from_secs(2),
        close: Duration::from_secs(2),
    };

    #[test]
    fn a_request_that_came_in_time_is_answered_although_it_is_read_late() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        for (request, served) in [("GET / HTTP/1.0\r\n\r\n", true), ("GET /", false)] {
            let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (socket, _) = listener.accept().unwrap();
            peer.write_all(request.as_bytes()).unwrap();
            // A loopback write has arrived when it returns.
            socket.set_nonblocking(true).unwrap();
            let now = Instant::now();
            let mut connection = Connection::new(socket, TIMEOUTS, now);
            let open = connection.advance(Hosts::Any, now + 2 * TIMEOUTS.head);
            assert_eq!((open, connection.asks().is_some()), (served, served));
        }
    }
}
