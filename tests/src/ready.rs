//! Scripted peers with a ready-made script: echo, silence, source, sink, and addresses that never answer or always refuse.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr};
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::Socket;

use crate::deadline::{Deadline, holds_by};
use crate::eventually::eventually_equal;
use crate::failure::fail;
use crate::peer::Peer;
use crate::receive::Drained;
use crate::scripted::{Options, Scripted};
use crate::socket_options::SocketOptions;
use crate::sockets::{self, ESTABLISHED, SYN_SENT};
use crate::stopping::rest_until_stopped;
use crate::sync::lock;
use crate::transcript::Transcript;

/// How long a sink waits for the end of a stream: longer than any test's own deadlines.
const SINK_PATIENCE: Duration = Duration::from_secs(60);

impl Scripted {
    /// Starts a peer that sends every byte back, and ends its direction when the other side does.
    #[must_use]
    #[track_caller]
    pub fn echo() -> Self {
        Self::start("echo", |peer| echo(&peer))
    }

    /// Starts a peer that accepts, but reads and sends nothing until the test ends.
    #[must_use]
    #[track_caller]
    pub fn silent() -> Self {
        Self::start("silent peer", |_peer| rest_until_stopped())
    }

    /// Starts a peer that sends `bytes` to each connection, closes it, and reads nothing.
    #[must_use]
    #[track_caller]
    pub fn source(bytes: Vec<u8>) -> Self {
        Self::start("source", move |peer| peer.send(&bytes))
    }
}

/// Echoes without a deadline: it runs until the other side ends, or the end of the test shuts its socket down.
fn echo(peer: &Peer) {
    let mut stream = &**peer.stream();
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = stream.read(&mut chunk) {
        if stream.write_all(&chunk[..length]).is_err() {
            return;
        }
    }
}

/// A scripted peer that reads every connection to its end and keeps length and hash.
#[derive(Debug)]
pub struct Sink {
    scripted: Scripted,
    received: Arc<Mutex<Vec<Drained>>>,
}

impl Sink {
    /// Starts a sink.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Self::with(Scripted::options("sink"))
    }

    /// Starts a sink from options, for example with a small receive buffer.
    #[must_use]
    #[track_caller]
    pub fn with(options: Options) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let results = Arc::clone(&received);
        let scripted = options.patience(SINK_PATIENCE).start(move |peer| {
            let drained = peer.drain();
            lock(&results).push(drained);
        });
        Self { scripted, received }
    }

    /// Waits until `count` connections have ended and returns the digest of each, in the order of their ends.
    ///
    /// # Panics
    ///
    /// Panics if they do not end in time.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Drained> {
        eventually_equal("connections that ended at the sink", &count, || {
            lock(&self.received).len()
        });
        lock(&self.received).clone()
    }
}

impl Deref for Sink {
    type Target = Scripted;

    fn deref(&self) -> &Scripted {
        &self.scripted
    }
}

/// An address that never answers a connect: a listener with a full accept queue.
///
/// Linux drops the SYN of a connection when the accept queue is full (`listen(2)`, `tcp_abort_on_overflow` = 0), so
/// a client waits until its own time limit.
#[derive(Debug)]
pub struct BlackHole {
    address: SocketAddr,
    /// Kept open: the listener, and the connections that fill its accept queue.
    _sockets: Vec<Socket>,
}

impl BlackHole {
    /// Creates a black hole on 127.0.0.1.
    ///
    /// # Panics
    ///
    /// Panics if no socket can be created, or the accept queue does not fill up.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Creates a black hole on `address`.
    ///
    /// # Panics
    ///
    /// Panics if no socket can be created, or the accept queue does not fill up.
    #[must_use]
    #[track_caller]
    pub fn at(address: SocketAddr) -> Self {
        match Self::fill(address) {
            Ok(hole) => hole,
            Err(error) => fail(format!("Cannot create a black hole at {address}: {error}")),
        }
    }

    /// Returns the address that never answers.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    #[track_caller]
    fn fill(address: SocketAddr) -> std::io::Result<Self> {
        let listener = SocketOptions::default().open(address)?;
        listener.bind(&address.into())?;
        listener.listen(0)?;
        let address = listener.local_addr()?.as_socket().unwrap_or(address);
        let mut fillers = Vec::new();
        // Three, because a backlog of 0 still accepts one connection; the ones after it stay in SYN-SENT.
        for _ in 0..3 {
            let filler = SocketOptions::default().open(address)?;
            filler.set_nonblocking(true)?;
            // This fails with EINPROGRESS, because a non-blocking connect only begins here.
            let _ = filler.connect(&address.into());
            fillers.push(filler);
        }
        if !holds_by(Deadline::patience(), &mut || is_full(&fillers, address)) {
            return Err(std::io::Error::other("its accept queue does not fill up"));
        }
        fillers.push(listener);
        Transcript::current().step(format!("{address} is a black hole: it answers no connect"));
        Ok(Self {
            address,
            _sockets: fillers,
        })
    }
}

/// An address that refuses every connect, because its socket is bound but does not listen; no other program can bind it.
#[derive(Debug)]
pub struct ClosedPort {
    address: SocketAddr,
    /// Kept open: the port stays taken.
    _socket: Socket,
}

impl ClosedPort {
    /// Binds a free port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// Panics if no socket can be created.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        match Self::try_at(SocketAddr::from(([127, 0, 0, 1], 0))) {
            Ok(port) => port,
            Err(error) => fail(format!("Cannot bind a port of 127.0.0.1: {error}")),
        }
    }

    /// Binds a free port of `::1`; without IPv6 it prints that the test is skipped.
    #[must_use]
    pub fn ipv6() -> Option<Self> {
        let port = Self::try_at(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)));
        if port.is_err() {
            eprintln!("skipped: this machine has no IPv6");
        }
        port.ok()
    }

    /// Binds `address`.
    ///
    /// # Errors
    ///
    /// Fails like `bind(2)`, for example on a machine without IPv6.
    pub fn try_at(address: SocketAddr) -> std::io::Result<Self> {
        let socket = SocketOptions::default().open(address)?;
        socket.bind(&address.into())?;
        let address = socket.local_addr()?.as_socket().unwrap_or(address);
        Transcript::current().step(format!("{address} refuses every connect"));
        Ok(Self {
            address,
            _socket: socket,
        })
    }

    /// Returns the address that refuses.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }
}

/// Returns whether the first connection is established and the last one still waits for an answer to its SYN.
fn is_full(fillers: &[Socket], address: SocketAddr) -> bool {
    let state = |filler: Option<&Socket>| {
        let local = filler?.local_addr().ok()?.as_socket()?;
        Some(sockets::find(local, address)?.state)
    };
    state(fillers.first()) == Some(ESTABLISHED) && state(fillers.last()) == Some(SYN_SENT)
}
