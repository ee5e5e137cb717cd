//! `exec:COMMAND`: the link is the standard input and output of a command, for example `ssh host stage5-mux server --via
//! stdio`.
//!
//! The command leads a process group of its own. So a Ctrl-C on the terminal drains the tunnel and leaves the link alone,
//! and at the end the command can be killed with everything that it has started. It cannot ask for a password there.

use std::fs::File;
use std::io::{self, IoSlice, PipeReader};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use stage4_proxy::inspect::KernelView;

use crate::tunnel::transport::Carrier;
use crate::tunnel::transport::keeper::Keeper;
use crate::tunnel::transport::pipes::{Channel, Pipes};
use crate::tunnel::transport::words::Words;

/// A link to a command.
#[derive(Debug)]
pub(super) struct Exec {
    // Dropped first: the end of its standard input asks the command to end.
    pipes: Pipes,
    /// Ends when the command's status is known.
    ended: PipeReader,
    keeper: Keeper,
}

/// Starts the command; its standard error is ours. Returns the link, and the thread that reaps the command.
///
/// # Errors
///
/// Fails with one sentence if the command cannot be started.
pub(super) fn start(words: &Words) -> io::Result<(Exec, JoinHandle<()>)> {
    let mut child = spawn(words).map_err(|error| cannot_run(words, &error))?;
    let no_pipe = || io::Error::other("the command has no pipe");
    let input = child.stdout.take().ok_or_else(no_pipe);
    let output = child.stdin.take().ok_or_else(no_pipe);
    let (ended, alarm) = io::pipe()?;
    let (keeper, thread) = Keeper::start(child, alarm)?;
    let pipes = Pipes::new(
        own(input?.into())?,
        own(output?.into())?,
        format!("exec:{words}"),
    );
    let exec = Exec {
        pipes,
        ended,
        keeper,
    };
    Ok((exec, thread))
}

fn spawn(words: &Words) -> io::Result<Child> {
    Command::new(&words.program)
        .args(&words.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
}

fn cannot_run(words: &Words, error: &io::Error) -> io::Error {
    let program = &words.program;
    io::Error::new(error.kind(), format!("cannot run {program:?}: {error}"))
}

/// The command's end of a pipe is another description than ours, and stays blocking.
fn own(pipe: OwnedFd) -> io::Result<Channel> {
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(Channel::own(File::from(pipe)))
}

impl Exec {
    /// Waits until it is known how the command has ended, and then says it.
    fn end(&mut self) -> io::Result<()> {
        match self.keeper.status() {
            Some(status) => Err(io::Error::other(format!("the command has ended: {status}"))),
            None => {
                self.keeper.release();
                self.pipes.rest();
                Ok(())
            }
        }
    }
}

impl Carrier for Exec {
    fn register(&mut self, registry: &Registry, token: mio::Token) -> io::Result<()> {
        let ended = self.ended.as_raw_fd();
        registry.register(&mut SourceFd(&ended), token, Interest::READABLE)?;
        self.pipes.register(registry, token)
    }

    fn note(&mut self, event: &Event) {
        self.pipes.note(event);
        // The command has closed its standard input; while there is nothing to write, no write would find that out.
        if event.is_error() {
            self.keeper.release();
        }
    }

    fn is_readable(&self) -> bool {
        self.pipes.is_readable()
    }

    fn is_writable(&self) -> bool {
        self.pipes.is_writable()
    }

    fn read(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        match self.pipes.read(room)? {
            Some(count @ 1..) => Ok(Some(count)),
            Some(0) => self.end().map(|()| None),
            // A process that it has left behind may hold the pipe open.
            None if self.keeper.status().is_some() => self.end().map(|()| None),
            None => Ok(None),
        }
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.pipes.write(slices) {
            // Its last words may still be there to be read.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.keeper.release();
                self.pipes.refuse();
                Ok(0)
            }
            written => written,
        }
    }

    fn bound_unsent(&mut self, bytes: usize) {
        self.pipes.bound_unsent(bytes);
    }

    fn kernel(&self) -> Option<KernelView> {
        self.pipes.kernel()
    }

    fn peer(&self) -> String {
        self.pipes.peer()
    }
}
