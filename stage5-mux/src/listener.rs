//! The listening socket: accepting, and pausing while there is no room.
//!
//! mio registers it edge-triggered: one event may announce many clients, so the listener stays
//! ready until accept(2) has returned `EAGAIN`. That is why a pause needs no change of interest,
//! unlike in stage 4: a client that arrives meanwhile is remembered, and costs no further event.

use std::io;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry};
use nix::sys::socket::SockFlag;
use socket2::Socket;
use stage1_server::AcceptFailure;
use stage4_proxy::address::PeerAddr;
use stage4_proxy::token::Token;

use crate::tokens;

/// How long accepting pauses after the machine had no descriptor or memory left.
const PAUSE: Duration = Duration::from_millis(100);

/// A listening socket that can leave clients in its accept queue for a while.
///
/// ```text
///         ┌──────┐ no row left             ┌──────┐
///         │      │────────────────────────▶│ Full │
///         │      │◀────────────────────────└──────┘
///         │ Open │ a client's row is free
///         │      │ no descriptor, memory   ┌─────────┐
///         │      │────────────────────────▶│ Starved │
///         └──────┘◀────────────────────────└─────────┘
///                  a client's row is free, or the pause is over
/// ```
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    state: State,
    /// The accept queue may hold a client.
    ready: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Full,
    Starved { until: Instant },
}

/// What one attempt to accept has brought.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// A client, non-blocking.
    Client(Socket, PeerAddr),
    /// Nothing, but the next attempt may bring a client: this one has closed already.
    Gone,
    /// Nothing: the accept queue is empty.
    Empty,
    /// Nothing, because the machine has no descriptor or memory left.
    Starved(io::Error),
}

impl Listener {
    /// Registers a non-blocking socket that listens; `token` tells it from other listeners of the worker.
    ///
    /// # Errors
    ///
    /// Fails if the poller cannot register the socket.
    pub(crate) fn new(socket: Socket, token: Token, registry: &Registry) -> io::Result<Self> {
        let token = tokens::pack(token);
        registry.register(
            &mut SourceFd(&socket.as_raw_fd()),
            token,
            Interest::READABLE,
        )?;
        Ok(Self {
            socket,
            state: State::Open,
            ready: false,
        })
    }

    /// Remembers that the accept queue may hold a client.
    pub(crate) fn note(&mut self) {
        self.ready = true;
    }

    /// Returns whether an attempt to accept may bring a client now.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready && self.state == State::Open
    }

    /// Accepts one client (`accept4(2)`); its socket is non-blocking and close-on-exec.
    pub(crate) fn accept(&mut self) -> Accepted {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        match self.socket.accept4(flags.bits()) {
            Ok((socket, peer)) => {
                let peer = peer.as_socket().map_or(PeerAddr::Unix, PeerAddr::Internet);
                Accepted::Client(socket, peer)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.ready = false;
                Accepted::Empty
            }
            Err(error) => match AcceptFailure::of(&error) {
                AcceptFailure::Retry => Accepted::Gone,
                // A broken listener ends nothing here: the connected clients are still served.
                AcceptFailure::Pause | AcceptFailure::Fatal => Accepted::Starved(error),
            },
        }
    }

    /// Leaves clients in the accept queue until a row is free.
    pub(crate) fn pause_full(&mut self) {
        self.state = State::Full;
    }

    /// Leaves clients in the accept queue until a row is free or a short time has passed.
    pub(crate) fn pause_starved(&mut self, now: Instant) {
        self.state = State::Starved { until: now + PAUSE };
    }

    /// Ends a pause: a row and its descriptor are free.
    pub(crate) fn resume(&mut self) {
        self.state = State::Open;
    }

    /// Ends a pause whose time is over.
    pub(crate) fn tick(&mut self, now: Instant) {
        if self.deadline().is_some_and(|until| until <= now) {
            self.state = State::Open;
        }
    }

    /// Returns when the pause is over, if time alone ends it.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Open | State::Full => None,
            State::Starved { until } => Some(until),
        }
    }
}
