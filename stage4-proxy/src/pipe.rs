//! Pipes for splice(2): bytes go from socket to socket without a copy to user memory.
//!
//! A pipe costs two descriptors and kernel memory, so a session borrows one only while a bulk
//! transfer runs and gives it back when the pipe is empty.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Once;

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::{pipe2, read};

/// A pipe with both of its ends in this process.
#[derive(Debug)]
pub(crate) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    /// Why the kernel does not splice, once it has said so.
    refusal: Option<io::Error>,
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
        Ok(Self {
            read,
            write,
            refusal: None,
        })
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

    /// Reads up to `most` bytes out of the pipe into memory.
    ///
    /// # Errors
    ///
    /// Fails with the kernel's error (`read(2)`).
    pub(crate) fn unload(&self, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let count = read(&self.read, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Remembers that the kernel does not splice here, for the pool that gets the pipe back.
    pub(crate) fn refuse(&mut self, error: io::Error) {
        self.refusal = Some(error);
    }

    /// Returns whether the kernel has refused to splice.
    pub(crate) fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }
}

/// Returns whether an error of splice(2) says that the call does not work here, rather than that a
/// socket is broken: `ENOSYS` and `EOPNOTSUPP` of kernels without it, `EINVAL` of sockets that cannot
/// splice, `EPERM` of seccomp.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied
    )
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
    /// The kernel has refused to splice, so no pipe is lent any more.
    refused: bool,
}

impl PipePool {
    /// Creates a pool of at most `most` pipes; each is created when it is first needed.
    #[must_use]
    pub(crate) fn new(most: usize, size: usize) -> Self {
        Self {
            idle: Vec::new(),
            allowance: most,
            size,
            refused: false,
        }
    }

    /// Lends a pipe, or returns `None` if all are lent, no descriptor is left or splice(2) does not
    /// work here: then the caller copies.
    pub(crate) fn lend(&mut self) -> Option<Pipe> {
        if self.refused {
            return None;
        }
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

    /// Takes an empty pipe back. One that the kernel has refused to splice was the last one lent.
    pub(crate) fn give_back(&mut self, pipe: Pipe) {
        match &pipe.refusal {
            None => self.idle.push(pipe),
            Some(error) => {
                tell_once(error);
                self.refused = true;
                self.idle.clear();
            }
        }
    }

    /// Closes a pipe that still holds bytes of a closed session; another may be created instead.
    pub(crate) fn discard(&mut self, pipe: Pipe) {
        drop(pipe);
        self.allowance += 1;
    }
}

/// Logs that bulk is copied, once for all workers.
fn tell_once(error: &io::Error) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        tracing::warn!(%error, "splice(2) does not work here, bulk is copied");
    });
}

#[cfg(test)]
impl Pipe {
    /// Creates a stand-in from two sockets, which the kernel refuses to splice with `EINVAL`.
    pub(crate) fn of_sockets(read: OwnedFd, write: OwnedFd) -> Self {
        Self {
            read,
            write,
            refusal: None,
        }
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
    fn a_refused_pipe_is_the_last_one_lent() {
        let mut pool = PipePool::new(3, 65_536);
        let (mut refused, idle, full) = (pool.lend(), pool.lend(), pool.lend());
        idle.into_iter().for_each(|pipe| pool.give_back(pipe));
        let mut refused = refused.take().unwrap();
        refused.refuse(io::ErrorKind::Unsupported.into());
        assert!(refused.is_refused());
        pool.give_back(refused);
        pool.discard(full.unwrap());
        assert!(pool.lend().is_none());
    }

    #[test]
    fn errors_of_a_socket_are_no_refusal() {
        use nix::errno::Errno::*;
        let refusals = [ENOSYS, EINVAL, EPERM, EOPNOTSUPP];
        assert!(refusals.iter().all(|&error| is_refusal(&error.into())));
        let broken = [ECONNRESET, EPIPE, ETIMEDOUT, EAGAIN, EINTR, ENOMEM, EBADF];
        assert!(!broken.iter().any(|&error| is_refusal(&error.into())));
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
