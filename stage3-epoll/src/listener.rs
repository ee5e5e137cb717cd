//! Listener: the listening socket, and its pauses. Time is an argument here, so tests need not wait.

use std::io;
use std::time::{Duration, Instant};

use nix::sys::socket::SockFlag;
use socket2::Socket;

use crate::client::Client;
use crate::interest::Interest;

/// How long accepting pauses when file descriptors have run out and no client leaves.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);

/// A listening socket in non-blocking mode, which may pause.
///
/// Like a client, it never looks at the poll: it says what it wants, and the server registers it.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    state: State,
    /// The interest that was returned last by [`Listener::change_of_interest`].
    registered: Interest,
}

/// Whether new clients are accepted.
///
/// ```text
///            file descriptors ran out
///    Open ──────────────────────────────▶ Paused
///      ▲                                    │
///      └────────────────────────────────────┘
///           a client left, or time is over
/// ```
///
/// A client that cannot be accepted stays in the accept queue, and the listener stays readable. If
/// the loop went on asking, it would spin: awake all the time, without getting anything done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The listener is watched.
    Open,
    /// The listener is not watched for a while.
    Paused {
        /// When to try again even if no client has left.
        until: Instant,
    },
}

impl Listener {
    /// Takes over a listening socket: register it for [`Listener::interest`].
    pub(crate) fn new(socket: Socket) -> Self {
        Self {
            socket,
            state: State::Open,
            registered: Interest::READABLE,
        }
    }

    /// Returns the socket, to register it.
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Accepts one client; its socket is non-blocking from the first moment (`accept4(2)`).
    ///
    /// # Errors
    /// Fails with `EAGAIN` if the accept queue is empty, and as `accept(2)` says.
    pub(crate) fn accept(&self) -> io::Result<Client<Socket>> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let (socket, address) = self.socket.accept4(flags.bits())?;
        let not_internet = || io::Error::other("the client has no internet address");
        let address = address.as_socket().ok_or_else(not_internet)?;
        Ok(Client::new(socket, address))
    }

    /// Pauses from `now` on: the next clients wait in the accept queue.
    pub(crate) fn pause(&mut self, now: Instant) {
        self.state = State::Paused { until: now + PAUSE };
    }

    /// Ends a pause, because a client has left and its file descriptor is free.
    pub(crate) fn resume(&mut self) {
        self.state = State::Open;
    }

    /// Ends a pause whose time is over at `now`.
    pub(crate) fn tick(&mut self, now: Instant) {
        match self.state {
            State::Paused { until } if until <= now => self.resume(),
            State::Open | State::Paused { .. } => {}
        }
    }

    /// Returns the interest that the listener is to be registered for, computed from its state.
    pub(crate) fn interest(&self) -> Interest {
        match self.state {
            State::Open => Interest::READABLE,
            State::Paused { .. } => Interest::NONE,
        }
    }

    /// Returns the interest if it is not the one that was registered last, to be registered now.
    pub(crate) fn change_of_interest(&mut self) -> Option<Interest> {
        let wanted = self.interest();
        if wanted == self.registered {
            return None;
        }
        self.registered = wanted;
        Some(wanted)
    }

    /// Returns how long the poll may wait: until the pause is over, or forever without one.
    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Open => None,
            State::Paused { until } => Some(until.saturating_duration_since(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use stage1_server::{ListenOptions, listen};

    use super::*;

    fn listener() -> Listener {
        let options = ListenOptions {
            nonblocking: true,
            ..ListenOptions::default()
        };
        Listener::new(listen("127.0.0.1:0".parse().unwrap(), &options).unwrap())
    }

    #[test]
    fn an_open_listener_is_watched_forever() {
        let now = Instant::now();
        let mut listener = listener();
        listener.tick(now);
        assert_eq!(listener.interest(), Interest::READABLE);
        assert_eq!(listener.poll_timeout(now), None);
        assert_eq!(listener.change_of_interest(), None);
    }

    #[test]
    fn a_pause_is_silent_and_ends_by_itself() {
        let start = Instant::now();
        let mut listener = listener();
        listener.pause(start);
        assert_eq!(listener.change_of_interest(), Some(Interest::NONE));
        assert_eq!(listener.poll_timeout(start), Some(PAUSE));
        listener.tick(start + PAUSE / 2);
        assert_eq!(listener.change_of_interest(), None, "the pause goes on");
        let late = start + PAUSE * 2;
        assert_eq!(listener.poll_timeout(late), Some(Duration::ZERO));
        listener.tick(start + PAUSE);
        assert_eq!(listener.change_of_interest(), Some(Interest::READABLE));
    }

    #[test]
    fn a_client_that_leaves_ends_a_pause() {
        let mut listener = listener();
        listener.pause(Instant::now());
        listener.resume();
        assert_eq!(listener.interest(), Interest::READABLE);
        assert_eq!(listener.change_of_interest(), None, "it was never silent");
    }

    #[test]
    fn an_empty_accept_queue_does_not_block() {
        let error = listener().accept().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
