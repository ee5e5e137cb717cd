//! Pipes for splice(2): bytes go from socket to socket without a copy to user memory.
//!
//! A pipe costs two descriptors and kernel memory, so a session borrows one only while a bulk
//! transfer runs and gives it back when the pipe is empty.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::pipe2;

/// A pipe, both of whose ends are ours.
#[derive(Debug)]
pub(crate) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    /// Makes a non-blocking pipe that holds up to `size` bytes where the system allows it
    /// (`pipe(7)`, pipe capacity).
    fn new(size: usize) -> io::Result<Self> {
        let (read, write) = pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
        if let Ok(size) = i32::try_from(size) {
            // A refusal (EPERM beyond pipe-user-pages-soft) leaves the default of 64 KiB.
            let _ = fcntl(&write, FcntlArg::F_SETPIPE_SZ(size));
        }
        Ok(Self { read, write })
    }

    /// Moves up to `most` bytes from a socket into the pipe; 0 is the end of input.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the socket has nothing *or* the pipe is full: only with an empty pipe
    /// does it speak of the socket. Otherwise what the kernel reports (`splice(2)`).
    pub(crate) fn fill(&self, source: impl AsFd, most: usize) -> io::Result<usize> {
        Ok(splice(source, None, &self.write, None, most, FLAGS)?)
    }

    /// Moves up to `most` bytes from the pipe to a socket.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the socket takes nothing now, otherwise what the kernel reports.
    pub(crate) fn empty_into(&self, sink: impl AsFd, most: usize) -> io::Result<usize> {
        Ok(splice(&self.read, None, sink, None, most, FLAGS)?)
    }
}

/// No `SPLICE_F_MORE`: it would hold the last bytes of a transfer back.
const FLAGS: SpliceFFlags = SpliceFFlags::SPLICE_F_NONBLOCK.union(SpliceFFlags::SPLICE_F_MOVE);

/// The pipes of one worker: lent to halves that carry bulk, at most `most` at a time.
#[derive(Debug)]
pub(crate) struct PipePool {
    idle: Vec<Pipe>,
    /// How many more may be made.
    unmade: usize,
    size: usize,
}

impl PipePool {
    /// Makes a pool without pipes; they are made when they are first needed.
    #[must_use]
    pub(crate) fn new(most: usize, size: usize) -> Self {
        Self {
            idle: Vec::new(),
            unmade: most,
            size,
        }
    }

    /// Lends a pipe, or `None` when all are lent or no descriptor is left: then bytes are copied.
    pub(crate) fn lend(&mut self) -> Option<Pipe> {
        if let Some(pipe) = self.idle.pop() {
            return Some(pipe);
        }
        if self.unmade == 0 {
            return None;
        }
        let pipe = Pipe::new(self.size).ok()?;
        self.unmade -= 1;
        Some(pipe)
    }

    /// Takes an empty pipe back.
    pub(crate) fn give_back(&mut self, pipe: Pipe) {
        self.idle.push(pipe);
    }

    /// Closes a pipe that still holds a dead session's bytes; another may be made for it.
    pub(crate) fn discard(&mut self, pipe: Pipe) {
        drop(pipe);
        self.unmade += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_pool_lends_no_more_than_it_may() {
        let mut pool = PipePool::new(2, 65_536);
        let first = pool.lend().expect("the first");
        let second = pool.lend().expect("the second");
        assert!(pool.lend().is_none());
        pool.give_back(first);
        pool.discard(second);
        assert!(pool.lend().is_some());
        assert!(pool.lend().is_some());
        assert!(pool.lend().is_none());
    }

    #[test]
    fn bytes_pass_through_a_pipe() {
        let (mut source, source_far) = UnixStream::pair().unwrap();
        let (sink, mut sink_far) = UnixStream::pair().unwrap();
        let pipe = PipePool::new(1, 65_536).lend().unwrap();
        source.write_all(b"through").unwrap();
        assert_eq!(pipe.fill(&source_far, 100).unwrap(), 7);
        assert_eq!(pipe.empty_into(&sink, 100).unwrap(), 7);
        let mut seen = [0; 7];
        sink_far.read_exact(&mut seen).unwrap();
        assert_eq!(&seen, b"through");
        let error = pipe.empty_into(&sink, 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
