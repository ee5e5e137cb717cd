//! One socket and the memory of its readiness: here edge-triggered events become flags.
//!
//! mio registers every socket edge-triggered (`epoll(7)`, `EPOLLET`): the kernel reports a change
//! once and stays silent until the next one. The endpoint therefore remembers. A flag is *set* by
//! an event and *cleared* by a system call that found nothing more to do:
//!
//! | flag | set by | cleared by |
//! |---|---|---|
//! | `readable` | an event that says readable, end or error | a read that returned `EAGAIN`, or less than it had room for |
//! | `writable` | an event that says writable or closed | a write that returned `EAGAIN`, or took only a part |
//! | `ending` | an event that announces an end or an error | never: no further event announces it |
//!
//! A flag is a hint, only the system call is a fact. A caller that stops while a flag is set must
//! return to the endpoint by itself, because no further event will remind it.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use socket2::{Socket, TcpKeepalive};
use stage1_server::Keepalive;
use stage4_proxy::address::PeerAddr;
use stage4_proxy::inspect::EndpointView;
use stage4_proxy::token::Side;
use stage4_proxy::{send_queue, socket_view};

/// Bytes that may wait in a Unix socket for their reader; the kernel doubles that for its own needs (`socket(7)`,
/// `SO_SNDBUF`).
const UNIX_BUFFER: usize = 64 * 1024;

/// A socket and the memory of its readiness.
///
/// It is a stream of any family: the system calls are the same for TCP and Unix sockets, and an option that a family
/// does not know is refused and does no harm.
#[derive(Debug)]
pub(crate) struct Endpoint {
    socket: Socket,
    peer: PeerAddr,
    /// Who has connected to whom; the kernel counts the SYN of the one that has.
    side: Side,
    readable: bool,
    writable: bool,
    ending: bool,
}

impl Endpoint {
    /// Wraps a non-blocking socket that was accepted, and that no event has reported yet.
    pub(crate) fn accepted(socket: impl Into<OwnedFd>, peer: impl Into<PeerAddr>) -> Self {
        Self::new(socket.into(), peer.into(), Side::Client)
    }

    /// Wraps a non-blocking socket that connects to `peer`, and that no event has reported yet.
    pub(crate) fn connecting(socket: impl Into<OwnedFd>, peer: impl Into<PeerAddr>) -> Self {
        Self::new(socket.into(), peer.into(), Side::Upstream)
    }

    fn new(socket: OwnedFd, peer: PeerAddr, side: Side) -> Self {
        Self {
            socket: socket.into(),
            peer,
            side,
            readable: false,
            writable: false,
            ending: false,
        }
    }

    /// Returns the address of the peer.
    pub(crate) fn peer_addr(&self) -> PeerAddr {
        self.peer
    }

    /// Lets the poller report both directions under `token`, once for each change.
    ///
    /// # Errors
    ///
    /// Fails if the kernel has no memory left for it.
    pub(crate) fn register(&self, registry: &Registry, token: mio::Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut SourceFd(&self.socket.as_raw_fd()), token, interest)
    }

    /// Sets the flags of an event.
    pub(crate) fn note(&mut self, event: &Event) {
        let ending = event.is_read_closed() || event.is_write_closed() || event.is_error();
        self.readable |= event.is_readable() || ending;
        self.writable |= event.is_writable() || event.is_write_closed();
        self.ending |= ending;
    }

    /// Makes the next read ask the kernel, although no event has announced bytes.
    pub(crate) fn assume_readable(&mut self) {
        self.readable = true;
    }

    /// Returns whether a read may bring bytes or the end.
    pub(crate) fn is_readable(&self) -> bool {
        self.readable
    }

    /// Returns whether a write may take bytes.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Returns the memory, in bytes, that the kernel holds for bytes on their way to the peer
    /// (see [`send_queue`]).
    pub(crate) fn on_its_way(&self) -> u32 {
        send_queue::memory(&self.socket)
    }

    /// Returns whether the connection is broken, or closed in both directions.
    ///
    /// A peer that has only ended its output may still wait for its response.
    pub(crate) fn ending(&self) -> bool {
        self.ending
            && (!matches!(self.socket.take_error(), Ok(None)) || self.socket.peer_addr().is_err())
    }

    /// Returns whether the connection is broken; a peer that has ended both directions in order is not.
    ///
    /// The kernel tells the error once, so the caller has to give the connection up.
    pub(crate) fn is_broken(&self) -> bool {
        self.ending && !matches!(self.socket.take_error(), Ok(None))
    }

    /// Returns how a connect(2) has ended, after an event has hinted that it has (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// Fails if the connect has failed, for example because the connection was refused.
    pub(crate) fn take_error(&self) -> io::Result<()> {
        match self.socket.take_error()? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Reads once (`read(2)`); `None` if no byte has arrived, 0 at the end of input.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken.
    pub(crate) fn read_some(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        if !self.readable {
            return Ok(None);
        }
        self.probe(room)
    }

    /// Reads once, whatever the flag says, because bytes may have arrived since the last event.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken.
    pub(crate) fn probe(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
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

    /// Writes once (`write(2)`, or `writev(2)` for two pieces) and returns how many bytes were taken;
    /// fewer than all mean that the socket is full.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken.
    pub(crate) fn write_some(&mut self, first: &[u8], second: &[u8]) -> io::Result<usize> {
        if !self.writable {
            return Ok(0);
        }
        let written = match (first, second) {
            ([], bytes) | (bytes, []) => self.socket.write(bytes),
            (first, second) => self
                .socket
                .write_vectored(&[IoSlice::new(first), IoSlice::new(second)]),
        };
        self.note_written(written, first.len() + second.len())
    }

    /// Writes any number of pieces once (`writev(2)`) and returns how many bytes were taken; fewer than all mean that
    /// the socket is full.
    ///
    /// # Errors
    ///
    /// Fails if the connection is broken.
    pub(crate) fn write_slices(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.writable {
            return Ok(0);
        }
        let all = slices.iter().map(|slice| slice.len()).sum();
        let written = self.socket.write_vectored(slices);
        self.note_written(written, all)
    }

    /// Sets how many bytes may wait unsent in the kernel before the socket counts as full (`TCP_NOTSENT_LOWAT`;
    /// the kernel's document ip-sysctl describes it). A Unix socket has no such option; there, the buffer is made short.
    pub(crate) fn bound_unsent(&self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        // Without it, small frames wait longer behind large ones.
        let _ = match self.peer {
            PeerAddr::Internet(_) => self.socket.set_tcp_notsent_lowat(bytes),
            PeerAddr::Unix => self.socket.set_send_buffer_size(UNIX_BUFFER),
        };
    }

    /// Makes the kernel ask for signs of life, and end the connection with `ETIMEDOUT` after about this time without one
    /// (`tcp(7)`, `TCP_KEEPIDLE`, `TCP_KEEPINTVL`, `TCP_USER_TIMEOUT`); at least a second.
    ///
    /// Three probes fall into the time. Bytes that are not acknowledged count as well, and so does a peer whose window stays
    /// closed for so long.
    pub(crate) fn bound_silence(&self, time: Duration) {
        let time = time.max(Duration::from_secs(1));
        let interval = Duration::from_secs(time.as_secs().div_ceil(3)).min(Keepalive::LONGEST);
        let probes = TcpKeepalive::new()
            .with_time(interval)
            .with_interval(interval);
        // A Unix socket knows neither, and needs none: the end of its peer is always seen.
        let _ = self.socket.set_tcp_keepalive(&probes);
        let _ = self.socket.set_tcp_user_timeout(Some(time));
    }

    /// Draws the conclusions from a write that should have taken `all` bytes.
    fn note_written(&mut self, written: io::Result<usize>, all: usize) -> io::Result<usize> {
        match written {
            Ok(count) => {
                self.writable = count == all;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.writable = false;
                Ok(0)
            }
            Err(error) => {
                // The peer's last bytes can still be read, and then the end or the error.
                self.readable = true;
                self.break_off();
                Err(error)
            }
        }
    }

    /// Acknowledges the bytes read so far at once (`tcp(7)`, `TCP_QUICKACK`).
    ///
    /// A peer without `TCP_NODELAY` that writes a head and then a body holds the body back until
    /// the head is acknowledged. The kernel would acknowledge it with the next bytes that we send,
    /// or after 40 ms, and in the middle of a message we send none.
    pub(crate) fn acknowledge(&self) {
        // A failure costs at most these 40 ms.
        let _ = self.socket.set_tcp_quickack(true);
    }

    /// Sets how long bytes that were sent may be unacknowledged before the kernel ends the
    /// connection with `ETIMEDOUT` (`tcp(7)`, `TCP_USER_TIMEOUT`); `None` leaves it to the kernel.
    pub(crate) fn bound_unacknowledged(&self, time: Option<Duration>) {
        // Without it, the connection ends with our own deadline.
        let _ = self.socket.set_tcp_user_timeout(time);
    }

    /// Returns the bound that [`Endpoint::bound_unacknowledged`] sets.
    pub(crate) fn unacknowledged_for(&self) -> Option<Duration> {
        let time = self.socket.tcp_user_timeout();
        time.ok().flatten().filter(|time| !time.is_zero())
    }

    /// Sends a FIN (`shutdown(2)` with `SHUT_WR`).
    ///
    /// # Errors
    ///
    /// Fails with `ENOTCONN` if the peer has reset the connection.
    pub(crate) fn send_fin(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Makes the coming close(2) send a reset instead of a FIN (`socket(7)`, `SO_LINGER` of 0).
    pub(crate) fn reset_on_close(&self) {
        // It fails only on a socket that is broken already, and such a peer needs no reset.
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }

    /// Makes sure that a connection on which bytes were lost ends, and that the peer does not take
    /// the end for an orderly one.
    ///
    /// Most errors of a write say that it has ended already. But `ENOBUFS` and `ENOMEM` leave it open
    /// (`send(2)`), and the peer would wait forever for the lost bytes.
    fn break_off(&self) {
        self.reset_on_close();
        // It fails if the connection has ended, and then the next read finds that.
        let _ = self.socket.shutdown(Shutdown::Read);
    }

    /// Returns the local address (`getsockname(2)`), if the kernel knows one.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()?.as_socket()
    }

    /// Copies out what the inspector shows.
    pub(crate) fn view(&self) -> EndpointView {
        socket_view::of(&self.socket, self.peer, self.side)
    }
}
