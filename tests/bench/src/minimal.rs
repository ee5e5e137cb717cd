//! Two bare relays, which stand for the limit of one thread with these system calls: one copies through a buffer, the
//! other one splices through a pipe.
//!
//! ```text
//!   epoll_wait ──▶ a listener: accept4, connect, add both sockets once, edge-triggered
//!              └─▶ a session:  both halves are pumped until the kernel has no more, or takes no more
//! ```
//!
//! They have no limits, no deadlines and no log, and an address instead of options, so what a proxy needs more than
//! they do is the price of these.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use clap::Args;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::{Errno, read, write};
use rustix::net::{self, AddressFamily, Shutdown, SocketFlags, SocketType, sockopt};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use crate::output::print;

/// One of the two bare relays, until it is ended.
#[derive(Debug, Args)]
pub(crate) struct MinimalOptions {
    /// Splices instead of copying
    #[arg(long)]
    splice: bool,

    /// Where clients come; port 0 takes a free one
    listen: SocketAddr,

    /// Where they are connected to
    upstream: SocketAddr,
}

/// The flags of every socket.
const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);
/// Bytes of one read(2).
const CHUNK: usize = 64 * 1024;
/// Bytes in a pipe: as many as `pipe(7)` allows everybody.
const PIPE: usize = 1024 * 1024;
/// The token of the listener; a session has its place in the table.
const LISTENER: u64 = u64::MAX;
const EVENTS: usize = 256;

/// Relays until it is ended.
///
/// # Errors
///
/// Fails if the address is in use, or if the kernel has no epoll instance for it.
pub(crate) fn run(options: &MinimalOptions) -> io::Result<()> {
    let listener = socket()?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    net::bind(&listener, &options.listen)?;
    net::listen(&listener, i32::MAX)?;
    let address = SocketAddr::try_from(net::getsockname(&listener)?)?;
    print(&format!("listening on {address}\n"))?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    let mut relay = Relay {
        epoll,
        listener,
        upstream: options.upstream,
        sessions: Vec::new(),
        free: Vec::new(),
        means: if options.splice {
            Means::Splice(Vec::new())
        } else {
            Means::Copy(vec![0; CHUNK])
        },
    };
    let mut events = [MaybeUninit::uninit(); EVENTS];
    loop {
        let events = match epoll::wait(&relay.epoll, &mut events, None) {
            Ok((events, _)) => events,
            // A tracer that attaches interrupts the wait.
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        for event in events {
            match event.data.u64() {
                LISTENER => relay.accept(),
                place => relay.pump(usize::try_from(place).unwrap_or(usize::MAX)),
            }
        }
    }
}

fn socket() -> io::Result<OwnedFd> {
    let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, FLAGS, None)?;
    Ok(socket)
}

/// The sessions, and where they come from.
#[derive(Debug)]
struct Relay {
    epoll: OwnedFd,
    listener: OwnedFd,
    upstream: SocketAddr,
    sessions: Vec<Option<Session>>,
    free: Vec<usize>,
    means: Means,
}

/// How bytes are moved, and what all sessions share for it.
#[derive(Debug)]
enum Means {
    /// With a buffer.
    Copy(Vec<u8>),
    /// With the pipes that nobody uses now.
    Splice(Vec<Pipe>),
}

#[derive(Debug)]
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

/// Two sockets, and a half for each direction.
#[derive(Debug)]
struct Session {
    sockets: [OwnedFd; 2],
    halves: [Half; 2],
}

#[derive(Debug, Default)]
struct Half {
    waiting: Waiting,
    /// The reader was told of the end.
    is_over: bool,
}

/// What could not be written.
#[derive(Debug, Default)]
enum Waiting {
    #[default]
    Nothing,
    Bytes(Vec<u8>),
    Piped(Pipe, usize),
}

impl Relay {
    /// Accepts all that wait; a connection that cannot be passed on is closed.
    fn accept(&mut self) {
        while let Ok(client) = net::accept_with(&self.listener, FLAGS) {
            // Out of descriptors, for example.
            let _ = self.admit(client);
        }
    }

    fn admit(&mut self, client: OwnedFd) -> io::Result<()> {
        let upstream = socket()?;
        sockopt::set_tcp_nodelay(&client, true)?;
        sockopt::set_tcp_nodelay(&upstream, true)?;
        match net::connect(&upstream, &self.upstream) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let place = self.free.last().copied().unwrap_or(self.sessions.len());
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let sockets = [client, upstream];
        for socket in &sockets {
            epoll::add(&self.epoll, socket, EventData::new_u64(place as u64), flags)?;
        }
        let session = Some(Session {
            sockets,
            halves: <[Half; 2]>::default(),
        });
        // Only now: a session that fails before leaves its place free.
        match self.free.pop() {
            Some(place) => self.sessions[place] = session,
            None => self.sessions.push(session),
        }
        Ok(())
    }

    /// Moves what there is, in both directions. An event of a session that has ended may find the next one in its
    /// place, which does no harm.
    fn pump(&mut self, place: usize) {
        let Some(Some(session)) = self.sessions.get_mut(place) else {
            return;
        };
        let [client, upstream] = session.sockets.each_ref().map(AsFd::as_fd);
        let [up, down] = &mut session.halves;
        let outcome = up
            .pump(client, upstream, &mut self.means)
            .and_then(|()| down.pump(upstream, client, &mut self.means));
        if outcome.is_err() || (up.is_over && down.is_over) {
            self.sessions[place] = None;
            self.free.push(place);
        }
    }
}

impl Half {
    /// Moves bytes until one of the sockets is not ready, or until the end.
    fn pump(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        means: &mut Means,
    ) -> Result<(), Errno> {
        if self.is_over {
            return Ok(());
        }
        let outcome = match means {
            Means::Copy(buffer) => self.copy(from, to, buffer),
            Means::Splice(pipes) => self.splice(from, to, pipes),
        };
        match outcome {
            Ok(()) => {
                self.is_over = true;
                // The reader may have gone.
                let _ = net::shutdown(to, Shutdown::Write);
                Ok(())
            }
            Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Copies until the end; `AGAIN` if a socket is not ready.
    fn copy(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        buffer: &mut [u8],
    ) -> Result<(), Errno> {
        if let Waiting::Bytes(bytes) = &mut self.waiting {
            while !bytes.is_empty() {
                let written = write(to, bytes)?;
                bytes.drain(..written);
            }
            self.waiting = Waiting::Nothing;
        }
        loop {
            let count = read(from, &mut *buffer)?;
            if count == 0 {
                return Ok(());
            }
            let mut rest = &buffer[..count];
            while !rest.is_empty() {
                match write(to, rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(Errno::AGAIN) => {
                        self.waiting = Waiting::Bytes(rest.to_vec());
                        return Err(Errno::AGAIN);
                    }
                    Err(error) => return Err(error),
                }
            }
            // There was no more: `epoll(7)`, questions and answers, 9.
            if count < buffer.len() {
                return Err(Errno::AGAIN);
            }
        }
    }

    /// Splices until the end; `AGAIN` if a socket is not ready.
    fn splice(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        pipes: &mut Vec<Pipe>,
    ) -> Result<(), Errno> {
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let (pipe, mut held) = match std::mem::take(&mut self.waiting) {
            Waiting::Piped(pipe, held) => (pipe, held),
            Waiting::Nothing | Waiting::Bytes(_) => (pipes.pop().map_or_else(Pipe::new, Ok)?, 0),
        };
        loop {
            while held > 0 {
                match splice(&pipe.read, None, to, None, held, flags) {
                    Ok(moved) => held -= moved,
                    Err(error) => {
                        self.waiting = Waiting::Piped(pipe, held);
                        return Err(error);
                    }
                }
            }
            match splice(from, None, &pipe.write, None, PIPE, flags) {
                Ok(moved @ 1..) => held = moved,
                nothing => {
                    pipes.push(pipe);
                    return nothing.map(drop);
                }
            }
        }
    }
}

impl Pipe {
    fn new() -> Result<Self, Errno> {
        let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        // A refusal leaves the default of 64 KiB: pipe-user-pages-soft in `pipe(7)`.
        let _ = fcntl_setpipe_size(&write, PIPE);
        Ok(Self { read, write })
    }
}
