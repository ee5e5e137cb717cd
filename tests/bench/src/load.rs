//! The load generator: one thread, which should never be the bottleneck.

pub(crate) mod association;
pub(crate) mod background;
pub(crate) mod bulk;
pub(crate) mod churn;
pub(crate) mod datagrams;
pub(crate) mod dial;
pub(crate) mod latencies;
pub(crate) mod probe;
pub(crate) mod request;
pub(crate) mod sessions;
pub(crate) mod sink;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::{Domain, Protocol, Socket, Type};

/// How long one step with a proxy may take before the measurement has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

const EVENTS: usize = 256;

/// An epoll instance with its room for events, level-triggered: `epoll(7)`.
#[derive(Debug)]
pub(crate) struct Poll {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Poll {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self {
            epoll,
            events: vec![EpollEvent::empty(); EVENTS],
        })
    }

    /// Watches a socket until it is closed.
    pub(crate) fn add(&self, fd: impl AsFd, token: u64, flags: EpollFlags) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(flags, token))?)
    }

    /// Stops watching a socket.
    pub(crate) fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(self.epoll.delete(fd)?)
    }

    /// Waits; returns how many events can be asked for with [`Poll::token`].
    pub(crate) fn wait(&mut self, limit: Option<Duration>) -> io::Result<usize> {
        // Rounded up: the last part of a millisecond would be a loop that does not wait at all.
        let limit = limit.map_or(EpollTimeout::NONE, |limit| {
            let millis = limit.as_nanos().div_ceil(1_000_000);
            EpollTimeout::try_from(millis).unwrap_or(EpollTimeout::MAX)
        });
        match self.epoll.wait(&mut self.events, limit) {
            Err(Errno::EINTR) => Ok(0),
            answer => Ok(answer?),
        }
    }

    /// Returns the token of one event of the last wait.
    pub(crate) fn token(&self, index: usize) -> u64 {
        self.events[index].data()
    }
}

/// Connects, blocking, with a time limit for this and for each read and write.
///
/// On loopback the handshake is done by the time that `connect(2)` returns, without a wait, as
/// long as the listener's accept queue has room; so nothing is gained by a non-blocking connect.
pub(crate) fn connect(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // socket(7): SO_SNDTIMEO limits connect(2) as well.
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_tcp_nodelay(true)?;
    socket.connect(&address.into())?;
    Ok(socket)
}
