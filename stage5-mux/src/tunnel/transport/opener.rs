//! Links that are open at once, or fail at once: there is no name to look up and no network to wait for.

use std::io;
use std::mem;
use std::path::PathBuf;
use std::thread::JoinHandle;

use stage4_proxy::address::PeerAddr;
use stage4_proxy::unix;

use crate::endpoint::Endpoint;
use crate::tunnel::transport::Carrier;
use crate::tunnel::transport::pipes::Pipes;
use crate::tunnel::transport::words::Words;
use crate::tunnel::transport::{exec, stdio};

/// Opens links, one after the other.
#[derive(Debug)]
pub(in crate::tunnel) struct Opener {
    kind: Kind,
    /// The threads that reap commands.
    keepers: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
enum Kind {
    Unix(PathBuf),
    Exec(Words),
    /// There is one, and it is open from the start.
    Stdio(Option<Pipes>),
}

impl Opener {
    /// Connects to the socket at a path.
    pub(in crate::tunnel) fn unix(path: PathBuf) -> Self {
        Self::new(Kind::Unix(path))
    }

    /// Starts a command.
    pub(in crate::tunnel) fn exec(words: Words) -> Self {
        Self::new(Kind::Exec(words))
    }

    /// Takes standard input and output.
    ///
    /// # Errors
    ///
    /// Fails if they cannot carry a link.
    pub(in crate::tunnel) fn stdio() -> io::Result<Self> {
        Ok(Self::new(Kind::Stdio(Some(stdio::open()?))))
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            keepers: Vec::new(),
        }
    }

    /// Opens the next link.
    ///
    /// # Errors
    ///
    /// Fails with the reason, for example that the connection was refused, or that the command was not found.
    pub(in crate::tunnel) fn open(&mut self) -> io::Result<Box<dyn Carrier>> {
        match &mut self.kind {
            Kind::Unix(path) => Ok(Box::new(Endpoint::connecting(
                unix::connect(path)?,
                PeerAddr::Unix,
            ))),
            Kind::Exec(words) => {
                let (exec, keeper) = exec::start(words)?;
                self.keepers.retain(|keeper| !keeper.is_finished());
                self.keepers.push(keeper);
                Ok(Box::new(exec))
            }
            Kind::Stdio(pipes) => match pipes.take() {
                Some(pipes) => Ok(Box::new(pipes)),
                None => Err(io::Error::other("standard input has ended")),
            },
        }
    }
}

impl Drop for Opener {
    /// Waits until every command was reaped; the last link was dropped before, so that takes a moment.
    fn drop(&mut self) {
        for keeper in mem::take(&mut self.keepers) {
            // It panics only with a bug, which has been reported.
            let _ = keeper.join();
        }
    }
}
