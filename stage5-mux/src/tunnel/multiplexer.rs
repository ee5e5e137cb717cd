//! The tunnel as a library: a program that opens streams itself, to a peer that it knows by its id.
//!
//! ```text
//!   application                          this process                                        the peer
//!   Stream ── bytes ──▶ UnixStream ═══ pair ═══ Endpoint ──▶ Worker, a stream ══════ link ══════▶ stage5-mux server
//!   Stream ── bytes ──▶ UnixStream ═══ pair ═══ Endpoint ──▶ Worker, a stream ═════╝
//! ```
//!
//! To the worker, the other end of each pair is a client that has connected; so everything that holds for clients holds
//! for applications, windows and half-closes included.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use stage2_client::{Prefer, Target};
use stage4_proxy::access::Clients;
use stage4_proxy::address::PeerAddr;
use stage4_proxy::control::Command;
use stage4_proxy::control::CommandSender as _;
use stage4_proxy::resolve::Lookup;
use stage4_proxy::unix::SocketFile;

use crate::endpoint::Endpoint;
use crate::mailbox::Mailbox;
use crate::tunnel::byte_stream::{Ending, Stream};
use crate::tunnel::limits::TunnelLimits;
use crate::tunnel::message::{Application, Message};
use crate::tunnel::secret::Secret;
use crate::tunnel::service::{Config, Ends, Listeners, WireName, run};
use crate::tunnel::transport::listening::listen_for_link;
use crate::tunnel::transport::peers::Peers;

/// Connects to peers over their transports.
///
/// ```no_run
/// use std::io::{Read, Write};
/// use stage5_mux::tunnel::multiplexer::Multiplexer;
/// use stage5_mux::tunnel::transport::peers::Peers;
///
/// let peers: Peers = "home = exec:ssh home stage5-mux server --via stdio --upstream localhost:3000".parse()?;
/// let connection = Multiplexer::new(peers).connect("home")?;
/// let mut stream = connection.open()?;
/// stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
/// stream.half_close()?;
/// let mut answer = Vec::new();
/// stream.read_to_end(&mut answer)?;
/// connection.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Multiplexer {
    peers: Peers,
    wire: WireName,
    secret: Option<Secret>,
    limits: TunnelLimits,
}

impl Multiplexer {
    /// Creates a multiplexer that knows these peers and speaks yamux.
    #[must_use]
    pub fn new(peers: Peers) -> Self {
        Self {
            peers,
            wire: WireName::Yamux,
            secret: None,
            limits: TunnelLimits::default(),
        }
    }

    /// Speaks another wire.
    #[must_use]
    pub fn with_wire(mut self, wire: WireName) -> Self {
        self.wire = wire;
        self
    }

    /// Proves to each peer that it knows a secret, and wants to see the same of it.
    #[must_use]
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Sets the bounds, for example the time for each address.
    #[must_use]
    pub fn with_limits(mut self, limits: TunnelLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Connects to a peer, and returns once the link is made. A command counts as connected when it runs; one that fails
    /// then ends the connection. A link that is lost is not made again: the next `connect` makes another one.
    ///
    /// # Errors
    ///
    /// Fails if the peer is unknown, or if the link cannot be made, with the reason.
    pub fn connect(&self, peer: &str) -> io::Result<Connection> {
        let unknown = |error| io::Error::new(io::ErrorKind::NotFound, error);
        let config = self.config(peer).map_err(unknown)?;
        let (link, file) = match listen_for_link(&config.via, config.limits.keepalive)? {
            Some(waiting) => (Some(waiting.socket), waiting.file),
            None => (None, None),
        };
        let listeners = Listeners {
            clients: Vec::new(),
            link,
            access: None,
        };
        let (up, is_up) = channel();
        let (worker, mailbox) = run(&config, listeners, Some(up))?;
        let connection = Connection {
            mailbox,
            worker: Some(worker),
            _file: file,
        };
        match is_up.recv() {
            Ok(()) => Ok(connection),
            // The worker has ended, and knows why.
            Err(_) => Err(connection.wait().err().unwrap_or_else(lost)),
        }
    }

    fn config(&self, peer: &str) -> Result<Config, String> {
        Ok(Config {
            ends: Ends::Client {
                ways: Vec::new(),
                clients: Clients::any(),
            },
            via: self.peers.transport(peer)?.clone(),
            wire: self.wire,
            secret: self.secret.clone(),
            lookup: Lookup::system(Prefer::Ipv6),
            limits: self.limits.clone(),
            inspect: None,
        })
    }
}

/// A connection to a peer, over which any number of streams can be opened, from any thread.
///
/// When it is dropped, its streams end with an error; [`Connection::close`] lets them finish first.
#[derive(Debug)]
pub struct Connection {
    mailbox: Mailbox<Message>,
    /// `None` once it was waited for.
    worker: Option<JoinHandle<io::Result<()>>>,
    /// The file of a Unix socket at which it waited for the peer.
    _file: Option<SocketFile>,
}

impl Connection {
    /// Opens a stream to the upstream of the peer, a `stage5-mux server --upstream`. Bytes can be sent at once.
    ///
    /// # Errors
    ///
    /// Fails if the link is lost, or if no descriptor is left. A stream that the peer refuses ends with an error later.
    pub fn open(&self) -> io::Result<Stream> {
        self.open_stream(None)
    }

    /// Opens a stream to a target, which the peer, a `stage5-mux server` without `--upstream`, dials if it may. Bytes can be
    /// sent at once, and travel behind the question.
    ///
    /// If the peer does not connect the stream, its first read fails with the peer's reason; [`Stream`] has a table of the
    /// kinds:
    ///
    /// ```no_run
    /// # use std::io::{ErrorKind, Read};
    /// # use stage5_mux::tunnel::multiplexer::Multiplexer;
    /// # let connection = Multiplexer::new("home = tcp:localhost:9000".parse()?).connect("home")?;
    /// let mut stream = connection.open_to(&"printer:631".parse()?)?;
    /// match stream.read(&mut [0; 1024]) {
    ///     Err(error) if error.kind() == ErrorKind::ConnectionRefused => println!("it is switched off"),
    ///     Err(error) => println!("{error}"),
    ///     Ok(count) => println!("{count} bytes"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails as [`Connection::open`] does.
    pub fn open_to(&self, target: &Target) -> io::Result<Stream> {
        self.open_stream(Some(target.clone()))
    }

    fn open_stream(&self, target: Option<Target>) -> io::Result<Stream> {
        if self.worker.as_ref().is_none_or(JoinHandle::is_finished) {
            return Err(lost());
        }
        let (near, far) = UnixStream::pair()?;
        far.set_nonblocking(true)?;
        let ending = Arc::new(Ending::default());
        self.mailbox.send(Message::Open(Application {
            endpoint: Endpoint::accepted(far, PeerAddr::Unix),
            target,
            ending: Arc::clone(&ending),
        }));
        Ok(Stream::new(near, ending))
    }

    /// Opens no streams any more, waits until the open ones have ended (within the drain time of the limits), and ends the
    /// link in order.
    ///
    /// # Errors
    ///
    /// Fails if the link was lost before.
    pub fn close(self) -> io::Result<()> {
        self.mailbox.send_command(Command::Drain);
        self.wait()
    }

    fn wait(mut self) -> io::Result<()> {
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        let Some(worker) = self.worker.take() else {
            return Ok(());
        };
        let panicked = |_| Err(io::Error::other("the worker has panicked"));
        worker.join().unwrap_or_else(panicked)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.mailbox.send_command(Command::Stop);
        // An error would be the reason of a link that was lost, and its streams have told that.
        let _ = self.join();
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the link is lost")
}

#[cfg(test)]
mod tests;
