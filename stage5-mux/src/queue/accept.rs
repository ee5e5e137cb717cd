//! The listening socket: accepting, and pausing when there is no room.
//!
//! mio registers it edge-triggered: one event may stand for many clients, so the listener
//! remembers that somebody may wait until accept(2) has said `EAGAIN`. A table without a free row
//! needs no change of interest then: accepting simply goes on when a row is free.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry};
use stage1_server::AcceptFailure;
use stage4_proxy::token::Token;

use super::tokens;

/// How long accepting rests when the machine has no descriptor or memory left.
const PAUSE: Duration = Duration::from_millis(100);

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    /// A client may be waiting.
    ready: bool,
    /// Nobody is accepted before this moment.
    rests_until: Option<Instant>,
}

/// What one attempt to accept has brought.
#[derive(Debug)]
pub(super) enum Accepted {
    /// A client.
    Client(TcpStream, SocketAddr),
    /// Nothing, but the next attempt may bring one: this client has gone already.
    Gone,
    /// Nobody waits.
    Nobody,
    /// Nothing, for want of descriptors or memory.
    Starved(io::Error),
}

impl Listener {
    /// Registers a listening socket.
    ///
    /// # Errors
    ///
    /// When the poller does not take it.
    pub(super) fn new(socket: socket2::Socket, registry: &Registry) -> io::Result<Self> {
        let mut socket = TcpListener::from_std(socket.into());
        let token = tokens::pack(Token::LISTENER);
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(Self {
            socket,
            ready: false,
            rests_until: None,
        })
    }

    /// Remembers that a client may be waiting.
    pub(super) fn note(&mut self) {
        self.ready = true;
    }

    /// Says whether an attempt to accept makes sense now.
    pub(super) fn is_ready(&self) -> bool {
        self.ready && self.rests_until.is_none()
    }

    /// Accepts one client (`accept4(2)`), which comes non-blocking and close-on-exec.
    pub(super) fn accept(&mut self) -> Accepted {
        match self.socket.accept() {
            Ok((socket, peer)) => Accepted::Client(socket, peer),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.ready = false;
                Accepted::Nobody
            }
            Err(error) => match AcceptFailure::of(&error) {
                AcceptFailure::Retry => Accepted::Gone,
                AcceptFailure::Pause | AcceptFailure::Fatal => Accepted::Starved(error),
            },
        }
    }

    /// Lets clients wait in the backlog for a short time.
    pub(super) fn rest(&mut self, now: Instant) {
        self.rests_until = Some(now + PAUSE);
    }

    /// Accepts again if the rest is over.
    pub(super) fn tick(&mut self, now: Instant) {
        self.rests_until = self.rests_until.filter(|&until| until > now);
    }

    /// Accepts again: a descriptor was freed.
    pub(super) fn wake(&mut self) {
        self.rests_until = None;
    }

    /// Returns when the rest is over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.rests_until
    }
}
