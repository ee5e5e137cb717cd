//! A stream in the hands of an application: blocking bytes in both directions.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A blocking stream of bytes to a peer.
///
/// It is one end of a pair of Unix sockets, with one difference: a Unix socket ends alike whether its peer has finished
/// or was killed, and this stream ends with 0 bytes only if the far end has finished. A stream that was reset, or whose
/// link was lost, fails with `ConnectionReset`.
#[derive(Debug)]
pub struct Stream {
    socket: UnixStream,
    /// Whether the far end has finished: the worker sets it before it ends the socket.
    has_ended: Arc<AtomicBool>,
}

impl Stream {
    /// Creates a stream over one end of a pair.
    pub(super) fn new(socket: UnixStream, has_ended: Arc<AtomicBool>) -> Self {
        Self { socket, has_ended }
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
            has_ended: Arc::clone(&self.has_ended),
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
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (&self.socket).read(buffer)? {
            0 if !buffer.is_empty() && !self.has_ended.load(Ordering::Acquire) => {
                Err(io::ErrorKind::ConnectionReset.into())
            }
            count => Ok(count),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.socket).write(bytes)
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
