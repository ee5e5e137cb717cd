//! Pipes for splice(2): bytes go from socket to socket without a copy to user memory.
//!
//! A pipe costs two descriptors and kernel memory, so a session borrows one only while a bulk
//! transfer runs and gives it back when the pipe is empty.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::pipe2;

/// A pipe with both of its ends in this process.
#[derive(Debug)]
pub(crate) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    /// Creates a non-blocking pipe that holds up to `size` bytes where the system allows it
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
    /// Fails with the kernel's error (`splice(2)`). `WouldBlock` means that the socket has no bytes
    /// *or* that the pipe is full, so only with an empty pipe does it tell about the socket.
    pub(crate) fn fill_from(&self, source: impl AsFd, most: usize) -> io::Result<usize> {
        Ok(splice(source, None, &self.write, None, most, FLAGS)?)
    }

    /// Moves up to `most` bytes from the pipe to a socket.
    ///
    /// # Errors
    ///
    /// Fails with the kernel's error; `WouldBlock` if the socket takes no bytes now.
    pub(crate) fn empty_into(&self, sink: impl AsFd, most: usize) -> io::Result<usize> {
        Ok(splice(&self.read, None, sink, None, most, FLAGS)?)
    }
}

/// No `SPLICE_F_MORE`, because it would hold the last bytes of a transfer back.
const FLAGS: SpliceFFlags = SpliceFFlags::SPLICE_F_NONBLOCK.union(SpliceFFlags::SPLICE_F_MOVE);

/// The pipes of one worker, lent to the flows that carry bulk.
#[derive(Debug)]
pub(crate) struct PipePool {
    idle: Vec<Pipe>,
    /// Pipes that may still be created.
    allowance: usize,
    size: usize,
}

impl PipePool {
    /// Creates a pool of at most `most` pipes; each is created when it is first needed.
    #[must_use]
    pub(crate) fn new(most: usize, size: usize) -> Self {
        Self {
            idle: Vec::new(),
            allowance: most,
            size,
        }
    }

    /// Lends a pipe, or returns `None` if all are lent or no descriptor is left: then the caller
    /// copies.
    pub(crate) fn lend(&mut self) -> Option<Pipe> {
        if let Some(pipe) = self.idle.pop() {
            return Some(pipe);
        }
        if self.allowance == 0 {
            return None;
        }
        let pipe = Pipe::new(self.size).ok()?;
        self.allowance -= 1;
        Some(pipe)
    }

    /// Takes an empty pipe back.
    pub(crate) fn give_back(&mut self, pipe: Pipe) {
        self.idle.push(pipe);
    }

    /// Closes a pipe that still holds bytes of a closed session; another may be created instead.
    pub(crate) fn discard(&mut self, pipe: Pipe) {
        drop(pipe);
        self.allowance += 1;
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
        assert_eq!(pipe.fill_from(&source_far, 100).unwrap(), 7);
        assert_eq!(pipe.empty_into(&sink, 100).unwrap(), 7);
        let mut seen = [0; 7];
        sink_far.read_exact(&mut seen).unwrap();
        assert_eq!(&seen, b"through");
        let error = pipe.empty_into(&sink, 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
