//! A stream in the hands of an application: blocking bytes in both directions.

mod ending;

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

pub(super) use ending::Ending;

/// A blocking stream of bytes to a peer.
///
/// It is one end of a pair of Unix sockets, with two differences. It ends with 0 bytes only if the far end has finished:
/// a stream that was reset, or whose link was lost, fails with `ConnectionReset`. And a stream to a target that the peer
/// has not connected fails with the peer's reason, which [`io::Error::kind`] tells apart:
///
/// | the peer's reason | kind of the error |
/// |---|---|
/// | no program listens at the target | `ConnectionRefused` |
/// | there is no route to it | `HostUnreachable` |
/// | the peer's rules do not allow it | `PermissionDenied` |
/// | it, or the peer, has not answered in time | `TimedOut` |
/// | its name has no address | `NotFound` |
/// | one of the two ends has no room for another stream | `ResourceBusy` |
///
/// The error comes with the first read, or with a write after the reason has arrived: opening a stream waits for
/// nothing.
#[derive(Debug)]
pub struct Stream {
    socket: UnixStream,
    ending: Arc<Ending>,
}

impl Stream {
    /// Creates a stream over one end of a pair.
    pub(super) fn new(socket: UnixStream, ending: Arc<Ending>) -> Self {
        Self { socket, ending }
    }

    /// Ends the direction to the peer behind the bytes that were written; the other one goes on.
    ///
    /// # Errors
    ///
    /// Fails if the stream has ended already.
    pub fn half_close(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Creates a second handle to the same stream, for example to read and to write on two threads.
    ///
    /// # Errors
    ///
    /// Fails if no descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
            ending: Arc::clone(&self.ending),
        })
    }

    /// Bounds how long a read waits; it then fails with `WouldBlock`. `None` waits forever.
    ///
    /// # Errors
    ///
    /// Fails if the time is zero.
    pub fn set_read_timeout(&self, time: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(time)
    }

    /// Gives a break its reason, if the peer has named one.
    fn explain(&self, error: io::Error) -> io::Error {
        let is_break = matches!(
            error.kind(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        );
        match self.ending.refusal().filter(|_| is_break) {
            Some(refusal) => refusal,
            None => error,
        }
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (&self.socket).read(buffer) {
            Ok(0) if !buffer.is_empty() && !self.ending.has_finished() => {
                Err(self.explain(ErrorKind::ConnectionReset.into()))
            }
            result => result.map_err(|error| self.explain(error)),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = (&self.socket).write(bytes);
        written.map_err(|error| self.explain(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
