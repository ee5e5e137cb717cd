//! One socket of a session and the memory of its readiness.

use std::io::{self, Read, Write};
use std::mem::{self, MaybeUninit};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use socket2::Socket;
use stage1_server::Keepalive;
use stage3_epoll::{Event, Interest};

use crate::address::PeerAddr;
use crate::pipe::Pipe;
use crate::send_queue;
use crate::vanished::{Acks, Silence};

/// A socket and the memory of its readiness.
///
/// Sockets are registered edge-triggered, so the kernel reports a change only once and the endpoint
/// remembers it: a flag is set by an event and cleared by a system call that would have blocked.
/// A flag is a hint; only the system call knows.
#[derive(Debug)]
pub(crate) struct Endpoint<S = Socket> {
    socket: S,
    peer_addr: PeerAddr,
    /// A read may return bytes, the end of input, or an error.
    pub(crate) readable: bool,
    /// A write may be taken.
    pub(crate) writable: bool,
    /// The kernel has announced an end, an error or urgent data: a short read proves nothing.
    ending: bool,
    /// The kernel has announced an error, which nobody has taken.
    failed: bool,
    /// The events that the poller reports of the socket.
    interest: Interest,
    /// The poller must be told the interest again.
    rearm: bool,
    /// The kernel does not probe yet whether the peer is still there.
    unprobed: bool,
    /// The kernel ends the connection if the peer does not acknowledge in time.
    bounded: bool,
    /// For how long the peer has acknowledged nothing.
    silence: Silence,
}

impl<S> Endpoint<S> {
    /// Wraps an accepted socket: writable, and registered for reading only; `EPOLLOUT` is added
    /// after the first short write.
    pub(crate) fn accepted(socket: S, peer_addr: impl Into<PeerAddr>) -> Self {
        Self {
            socket,
            peer_addr: peer_addr.into(),
            readable: false,
            writable: true,
            ending: false,
            failed: false,
            interest: narrow(),
            rearm: false,
            // It has inherited the keepalive of its listener.
            unprobed: false,
            bounded: false,
            silence: Silence::default(),
        }
    }

    /// Wraps a socket whose connect(2) is in progress: it becomes writable when that completes.
    pub(crate) fn connecting(socket: S, peer_addr: impl Into<PeerAddr>) -> Self {
        let peer_addr = peer_addr.into();
        Self {
            writable: false,
            interest: wide(),
            // A program of this machine cannot lose its network.
            unprobed: peer_addr != PeerAddr::Unix,
            ..Self::accepted(socket, peer_addr)
        }
    }

    /// Returns the events that the poller is to report of the socket.
    pub(crate) fn interest(&self) -> Interest {
        self.interest
    }

    /// Returns whether the caller must register the socket again, because the interest has grown or
    /// epoll must check the socket once more. Asking clears the mark.
    ///
    /// Most sockets take every write, so `EPOLLOUT` is added only after a short write. Then it
    /// stays for the rest of the socket's life, because each change costs an epoll_ctl(2).
    pub(crate) fn take_rearm(&mut self) -> bool {
        if !self.writable && self.interest != wide() {
            self.interest = wide();
            self.rearm = true;
        }
        mem::take(&mut self.rearm)
    }

    /// Notes that the peer relays a client's connection: it is the client's address that counts from now on.
    pub(crate) fn speaks_for(&mut self, client: SocketAddr) {
        self.peer_addr = client.into();
    }

    /// Returns the address of the peer, or of the client that it speaks for.
    pub(crate) fn peer_addr(&self) -> PeerAddr {
        self.peer_addr
    }

    /// Returns the socket.
    pub(crate) fn socket(&self) -> &S {
        &self.socket
    }

    /// Remembers the readiness that an event reports.
    pub(crate) fn note(&mut self, event: Event) {
        let ending = event.is_read_closed() || event.is_error() || event.is_urgent();
        self.readable |= event.is_readable() || ending;
        self.writable |= event.is_writable() || event.is_write_closed();
        self.ending |= ending;
        self.failed |= event.is_error();
    }
}

impl<S: Read> Endpoint<S> {
    /// Reads once (`read(2)`); returns `None` if there are no bytes yet, 0 at the end of input.
    ///
    /// A short read has emptied the receive queue, and the next arrival is a new event
    /// (`epoll(7)`, questions and answers). So it clears `readable`, and the read that would only
    /// return `EAGAIN` is saved. There are two exceptions: an end that was announced already brings
    /// no further event, and a read stops in front of urgent data. Then only the next read can tell.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken, with the kernel's error.
    pub(crate) fn read_some(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        if !self.readable {
            return Ok(None);
        }
        match self.socket.read(room) {
            Ok(count) => {
                self.readable = count == room.len() || count == 0 || self.ending;
                Ok(Some(count))
            }
            Err(error) => nothing_yet(error, &mut self.readable).map(|()| None),
        }
    }
}

impl<S: Write> Endpoint<S> {
    /// Writes once (`write(2)`) and returns the number of bytes taken, perhaps 0; a short write
    /// means that the send queue is full.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken, with the kernel's error.
    pub(crate) fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.writable {
            return Ok(0);
        }
        match self.socket.write(bytes) {
            Ok(count) => {
                self.writable = count == bytes.len();
                Ok(count)
            }
            Err(error) => nothing_yet(error, &mut self.writable).map(|()| 0),
        }
    }
}

impl Endpoint {
    /// Moves up to `most` bytes into an empty pipe (`splice(2)`); returns `None` if there are no
    /// bytes yet, 0 at the end of input.
    ///
    /// A short splice clears no flag: it also ends where the pipe has no slot left.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken, with the kernel's error.
    pub(crate) fn splice_into(&mut self, pipe: &Pipe, most: usize) -> io::Result<Option<usize>> {
        match pipe.fill_from(&self.socket, most) {
            Ok(count) => Ok(Some(count)),
            Err(error) => nothing_yet(error, &mut self.readable).map(|()| None),
        }
    }

    /// Moves up to `most` bytes out of a pipe (`splice(2)`) and returns how many were taken.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken, with the kernel's error.
    pub(crate) fn splice_from(&mut self, pipe: &Pipe, most: usize) -> io::Result<usize> {
        match pipe.empty_into(&self.socket, most) {
            Ok(count) => Ok(count),
            Err(error) => nothing_yet(error, &mut self.writable).map(|()| 0),
        }
    }

    /// Takes the error that has ended the connection (`SO_ERROR`, socket(7)), if the kernel has announced one and no read or
    /// write has returned it.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        let is_announced = mem::take(&mut self.failed);
        is_announced.then(|| self.socket.take_error().ok()?)?
    }

    /// Has the kernel probe whether the peer is still there; returns whether it did not yet.
    pub(crate) fn start_probes(&mut self, keepalive: Keepalive) -> bool {
        let unprobed = mem::take(&mut self.unprobed);
        if unprobed && let Err(error) = keepalive.set_on(&self.socket) {
            tracing::debug!(%error, "no keepalive for an upstream");
        }
        unprobed
    }

    /// Has the kernel end the connection with `ETIMEDOUT` if the peer does not acknowledge within `time` what is sent from
    /// now on (`tcp(7)`, `TCP_USER_TIMEOUT`), until a look of [`Endpoint::has_vanished`] finds everything acknowledged.
    /// Only the first call costs a system call.
    ///
    /// It also ends at the first keepalive probe without an answer, and if the peer reads nothing for so long.
    pub(crate) fn bound_unacknowledged(&mut self, time: Duration) {
        if !mem::replace(&mut self.bounded, true) {
            // It fails on a Unix socket, which always sees the end of its peer.
            let _ = self.socket.set_tcp_user_timeout(Some(time));
        }
    }

    /// Looks whether the peer acknowledges what is on its way to it, so long after the last look; returns whether it
    /// has vanished.
    ///
    /// A peer that owes no acknowledgment is no longer bounded by [`Endpoint::bound_unacknowledged`]: what follows may
    /// be a long answer, during which one lost probe must not end the connection.
    pub(crate) fn has_vanished(&mut self, since_last_look: Duration) -> bool {
        let Some(acks) = Acks::of(&self.socket) else {
            return false;
        };
        if !acks.are_awaited && mem::take(&mut self.bounded) {
            let _ = self.socket.set_tcp_user_timeout(None);
        }
        self.silence.note_look(acks, since_last_look)
    }

    /// Returns whether the kernel has announced an end or an error; only a system call can tell
    /// which.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending
    }

    /// Returns whether nothing has come that was not read: no byte, no end, and no error.
    pub(crate) fn is_quiet(&mut self) -> bool {
        if !self.readable {
            return true;
        }
        let peeked = self.socket.peek(&mut [MaybeUninit::uninit()]);
        self.readable = !peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        !self.readable
    }

    /// Sends a FIN (`shutdown(2)` with `SHUT_WR`).
    ///
    /// # Errors
    ///
    /// Fails with the kernel's error; `ENOTCONN` if the peer has reset the connection.
    pub(crate) fn send_fin(&self) -> io::Result<()> {
        self.socket.shutdown(std::net::Shutdown::Write)
    }

    /// Delays the next writable event until the kernel has sent the last byte (`TCP_NOTSENT_LOWAT`,
    /// since Linux 3.12; see `tcp_notsent_lowat` in the kernel's ip-sysctl document).
    ///
    /// # Errors
    ///
    /// Fails if the socket is broken or is no TCP socket.
    pub(crate) fn await_delivery(&mut self) -> io::Result<()> {
        self.socket.set_tcp_notsent_lowat(1)?;
        self.writable = false;
        self.interest = wide();
        self.rearm = true;
        Ok(())
    }

    /// Returns the memory, in bytes, that the kernel holds for bytes on their way to the peer
    /// (see [`send_queue`]).
    pub(crate) fn on_its_way(&self) -> u32 {
        send_queue::memory(&self.socket)
    }

    /// Makes the coming close(2) send a reset instead of a FIN (`socket(7)`, `SO_LINGER` of 0).
    pub(crate) fn reset_on_close(&self) {
        // It fails only on a socket that is broken already, and then the peer cannot be told.
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }

    /// Returns the local address (`getsockname(2)`), if the kernel knows one.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()?.as_socket()
    }
}

/// The interest in a socket that takes every write.
fn narrow() -> Interest {
    Interest::READABLE.urgent().edge()
}

/// The interest in a socket that may block in both directions.
fn wide() -> Interest {
    Interest::BOTH.urgent().edge()
}

/// Sorts out the errors that only mean "not now": `EAGAIN` clears the flag, `EINTR` keeps it,
/// because it says nothing about the socket.
fn nothing_yet(error: io::Error, flag: &mut bool) -> io::Result<()> {
    let blocked = error.kind() == io::ErrorKind::WouldBlock;
    if !blocked && error.kind() != io::ErrorKind::Interrupted {
        return Err(error);
    }
    *flag &= !blocked;
    Ok(())
}

impl AsFd for Endpoint {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_peer_that_owes_nothing_is_no_longer_bounded() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let near = TcpStream::connect(address).unwrap();
        let _far = listener.accept().unwrap();
        let mut endpoint: Endpoint = Endpoint::accepted(near.into(), address);
        let limit = Duration::from_secs(5);
        for round in 1..=2 {
            endpoint.bound_unacknowledged(limit);
            let bounded = endpoint.socket.tcp_user_timeout().unwrap();
            assert_eq!(bounded, Some(limit), "round {round}");
            assert!(!endpoint.has_vanished(limit), "round {round}");
            let freed = endpoint.socket.tcp_user_timeout().unwrap();
            assert_eq!(freed, None, "round {round}: nothing is on its way");
        }
    }
}
