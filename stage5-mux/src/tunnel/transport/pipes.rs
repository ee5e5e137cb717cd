//! A link over two descriptors, one for each direction: pipes, terminals, or a socket that others share.
//!
//! `O_NONBLOCK` belongs to the open file description, and so to every process that has inherited it: a shell would find
//! its terminal non-blocking after us. So a [`Channel`] is a description of our own, or a socket that is asked not to
//! wait in each call, or it puts everything back when it is dropped.

use std::fs::File;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{MsgFlags, recv, sendmsg};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use stage4_proxy::inspect::KernelView;
use stage4_proxy::kernel_queues;

use crate::tunnel::transport::Carrier;

/// Bytes of a pipe: they wait in it where no small frame can overtake them (`fcntl(2)`, `F_SETPIPE_SZ`).
const PIPE_SIZE: i32 = 64 * 1024;

/// One direction of a link.
#[derive(Debug)]
pub(super) struct Channel {
    kind: Kind,
    /// Undone when the channel is dropped.
    _changes: Vec<Change>,
}

#[derive(Debug)]
enum Kind {
    /// Non-blocking.
    File(File),
    /// Perhaps blocking, and so each call says that it does not wait.
    Socket(OwnedFd),
}

/// A change to something that other processes share.
#[derive(Debug)]
enum Change {
    Flags(OwnedFd, OFlag),
    Mode(OwnedFd, Box<Termios>),
}

impl Drop for Change {
    fn drop(&mut self) {
        // It fails only if the terminal has gone, and then no process can notice.
        let _ = match self {
            Self::Flags(fd, flags) => fcntl(fd, FcntlArg::F_SETFL(*flags)).map(drop),
            Self::Mode(fd, mode) => tcsetattr(fd, SetArg::TCSANOW, mode),
        };
    }
}

impl Channel {
    /// Wraps a socket that other processes may share.
    pub(super) fn socket(socket: OwnedFd) -> Self {
        Self {
            kind: Kind::Socket(socket),
            _changes: Vec::new(),
        }
    }

    /// Wraps a non-blocking description that is our own.
    pub(super) fn own(file: File) -> Self {
        // A pipe that holds more than that already keeps its size; other files have none.
        let _ = fcntl(&file, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
        Self {
            kind: Kind::File(file),
            _changes: Vec::new(),
        }
    }

    /// Wraps a description that other processes share, and makes it non-blocking until this is dropped.
    ///
    /// # Errors
    ///
    /// Fails if the kernel refuses to copy the descriptor or to change its flags.
    pub(super) fn shared(file: File) -> io::Result<Self> {
        let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
        let change = Change::Flags(file.as_fd().try_clone_to_owned()?, flags);
        fcntl(&file, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        let mut channel = Self::own(file);
        channel._changes.push(change);
        Ok(channel)
    }

    /// Lets a terminal carry every byte as it is, until this is dropped (`termios(3)`, raw mode).
    ///
    /// # Errors
    ///
    /// Fails if it is no terminal, or has gone.
    pub(super) fn make_raw(&mut self) -> io::Result<()> {
        let fd = self.as_fd().try_clone_to_owned()?;
        let usual = tcgetattr(&fd)?;
        let mut raw = usual.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&fd, SetArg::TCSANOW, &raw)?;
        self._changes.push(Change::Mode(fd, Box::new(usual)));
        Ok(())
    }

    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match &mut self.kind {
            Kind::File(file) => file.read(room),
            Kind::Socket(socket) => Ok(recv(socket.as_raw_fd(), room, MsgFlags::MSG_DONTWAIT)?),
        }
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.kind {
            Kind::File(file) => file.write_vectored(slices),
            Kind::Socket(socket) => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                Ok(sendmsg::<()>(socket.as_raw_fd(), slices, &[], flags, None)?)
            }
        }
    }

    fn raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::File(file) => file.as_fd(),
            Kind::Socket(socket) => socket.as_fd(),
        }
    }
}

/// A link over two channels.
///
/// Both flags are hints, as those of an endpoint. Only `EAGAIN` clears `readable`: a terminal may return fewer bytes than
/// it has.
#[derive(Debug)]
pub(super) struct Pipes {
    input: Channel,
    output: Channel,
    readable: bool,
    writable: bool,
    name: String,
}

impl Pipes {
    /// Creates a link that reads one channel and writes the other.
    pub(super) fn new(input: Channel, output: Channel, name: String) -> Self {
        Self {
            input,
            output,
            readable: false,
            writable: false,
            name,
        }
    }

    /// Reads nothing more until the next event.
    pub(super) fn rest(&mut self) {
        self.readable = false;
    }

    /// Writes nothing more until the next event.
    pub(super) fn refuse(&mut self) {
        self.writable = false;
    }
}

impl Carrier for Pipes {
    fn register(&mut self, registry: &Registry, token: mio::Token) -> io::Result<()> {
        let watch = |channel: &Channel, interest| {
            let registered = registry.register(&mut SourceFd(&channel.raw_fd()), token, interest);
            registered.map_err(|error| cannot_watch(&error))
        };
        watch(&self.input, Interest::READABLE)?;
        watch(&self.output, Interest::WRITABLE)
    }

    fn note(&mut self, event: &Event) {
        let has_failed = event.is_error() || event.is_write_closed();
        self.readable |= event.is_readable() || event.is_read_closed() || has_failed;
        self.writable |= event.is_writable() || has_failed;
    }

    fn is_readable(&self) -> bool {
        self.readable
    }

    fn is_writable(&self) -> bool {
        self.writable
    }

    fn read(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        if !self.readable {
            return Ok(None);
        }
        let read = self.input.read(room);
        self.readable = !would_block(&read);
        or_nothing(read.map(Some), None)
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.writable {
            return Ok(0);
        }
        let all = slices.iter().map(|slice| slice.len()).sum::<usize>();
        let written = self.output.write(slices);
        self.writable = match &written {
            Ok(count) => *count == all,
            Err(_) => !would_block(&written),
        };
        or_nothing(written, 0)
    }

    fn bound_unsent(&mut self, _bytes: usize) {}

    fn kernel(&self) -> Option<KernelView> {
        kernel_queues::of_pipes(&self.input, &self.output)
    }

    fn peer(&self) -> String {
        self.name.clone()
    }
}

fn would_block<T>(result: &io::Result<T>) -> bool {
    let kind = result.as_ref().map_err(io::Error::kind);
    matches!(kind, Err(io::ErrorKind::WouldBlock))
}

/// Replaces the errors that mean "not now".
fn or_nothing<T>(result: io::Result<T>, nothing: T) -> io::Result<T> {
    let not_now = [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted];
    match result {
        Err(error) if not_now.contains(&error.kind()) => Ok(nothing),
        result => result,
    }
}

/// Explains `EPERM` of epoll_ctl(2).
fn cannot_watch(error: &io::Error) -> io::Error {
    let why = if error.kind() == io::ErrorKind::PermissionDenied {
        "it is no pipe, socket or terminal".to_owned()
    } else {
        error.to_string()
    };
    io::Error::other(format!("cannot wait for bytes of the link: {why}"))
}
