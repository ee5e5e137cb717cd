//! One socket of a session and what is known of its readiness.

use std::io::{self, Read, Write};
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use socket2::Socket;
use stage3_epoll::{Event, Interest};

/// A socket and the memory of its readiness.
///
/// Sockets are registered edge-triggered, so the kernel reports a change only and the endpoint
/// remembers it: a flag is set by an event and cleared by a system
/// call that would have blocked. A flag is a hint; only the system call knows.
#[derive(Debug)]
pub(crate) struct Endpoint<S = Socket> {
    socket: S,
    peer: SocketAddr,
    /// A read may return bytes, the end, or an error.
    pub(crate) readable: bool,
    /// A write may be taken.
    pub(crate) writable: bool,
    /// The kernel has announced an end, an error or urgent data: a short read proves nothing.
    ending: bool,
    /// What the poller reports of the socket.
    interest: Interest,
    /// The poller has to be told the interest again.
    rearm: bool,
}

impl<S> Endpoint<S> {
    /// Wraps a socket that was accepted: it takes bytes at once, and whether it ever has to be
    /// waited for shows when it does not.
    pub(crate) fn accepted(socket: S, peer: SocketAddr) -> Self {
        Self {
            socket,
            peer,
            readable: false,
            writable: true,
            ending: false,
            interest: narrow(),
            rearm: false,
        }
    }

    /// Wraps a socket whose connect(2) is under way: the end of that is that it becomes writable.
    pub(crate) fn connecting(socket: S, peer: SocketAddr) -> Self {
        Self {
            writable: false,
            interest: wide(),
            ..Self::accepted(socket, peer)
        }
    }

    /// Returns what the poller is to report of the socket.
    pub(crate) fn interest(&self) -> Interest {
        self.interest
    }

    /// Says whether the poller has to be told what to report, because it is more than before or
    /// has to be looked at again.
    ///
    /// A socket that takes whatever is written is not watched for room. Once bytes had to wait it
    /// is, for the rest of its life.
    pub(crate) fn take_rearm(&mut self) -> bool {
        if !self.writable && self.interest != wide() {
            self.interest = wide();
            self.rearm = true;
        }
        mem::take(&mut self.rearm)
    }

    /// Returns the address at the other end.
    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Returns the socket.
    pub(crate) fn socket(&self) -> &S {
        &self.socket
    }

    /// Remembers what an event said.
    pub(crate) fn note(&mut self, event: Event) {
        let ending = event.is_read_closed() || event.is_error() || event.is_urgent();
        self.readable |= event.is_readable() || ending;
        self.writable |= event.is_writable() || event.is_write_closed();
        self.ending |= ending;
    }
}

impl<S: Read> Endpoint<S> {
    /// Reads once (`read(2)`); `None` when nothing is there, 0 at the end of input.
    ///
    /// Fewer bytes than there was room for say that nothing is left and that the next arrival is
    /// a new event (`epoll(7)`, questions and answers), so the read that would only be told
    /// `EAGAIN` is saved. An end that was announced already brings no further event, and a read
    /// stops in front of urgent data: then the next read has to find out.
    ///
    /// # Errors
    ///
    /// What the kernel says of a broken connection.
    pub(crate) fn read_some(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        if !self.readable {
            return Ok(None);
        }
        match self.socket.read(room) {
            Ok(count) => {
                self.readable = count == room.len() || count == 0 || self.ending;
                Ok(Some(count))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl<S: Write> Endpoint<S> {
    /// Writes once (`write(2)`) and returns how many bytes were taken; fewer than all say that
    /// the socket is full.
    ///
    /// # Errors
    ///
    /// What the kernel says of a broken connection.
    pub(crate) fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.writable {
            return Ok(0);
        }
        match self.socket.write(bytes) {
            Ok(count) => {
                self.writable = count == bytes.len();
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.writable = false;
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }
}

impl Endpoint {
    /// Says whether the kernel has announced something that a call has to confirm.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending
    }

    /// Sends a FIN (`shutdown(2)` with `SHUT_WR`).
    ///
    /// # Errors
    ///
    /// What the kernel reports; `ENOTCONN` when the peer has reset the connection.
    pub(crate) fn send_fin(&self) -> io::Result<()> {
        self.socket.shutdown(std::net::Shutdown::Write)
    }

    /// Makes the socket writable, in the poller's eyes, only when its last byte has been sent
    /// (`tcp(7)`, `TCP_NOTSENT_LOWAT`).
    ///
    /// # Errors
    ///
    /// When the socket is dead, or no TCP socket.
    pub(crate) fn await_delivery(&mut self) -> io::Result<()> {
        self.socket.set_tcp_notsent_lowat(1)?;
        self.writable = false;
        self.interest = wide();
        self.rearm = true;
        Ok(())
    }

    /// Makes the coming close(2) send a reset instead of a FIN (`socket(7)`, `SO_LINGER` of 0).
    pub(crate) fn reset_on_close(&self) {
        // It fails only on a socket that is dead already, and then there is nobody to tell.
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }

    /// Asks for the local address (`getsockname(2)`).
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()?.as_socket()
    }
}

/// The interest in a socket that takes whatever is written.
fn narrow() -> Interest {
    Interest::READABLE.urgent().edge()
}

/// The interest in a socket that has to be waited for in both directions.
fn wide() -> Interest {
    Interest::BOTH.urgent().edge()
}

impl AsFd for Endpoint {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
