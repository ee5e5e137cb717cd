//! The sockets of a proxy on which clients come in: those of each worker.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use socket2::Socket;
use stage1_server::cli::cannot;
use stage1_server::{Keepalive, ListenOptions, listen, local_addr};

use crate::address::ListenAddress;
use crate::proxy::Config;
use crate::send_queue;
use crate::udp;
use crate::unix::{self, SocketFile};

/// Ports that are tried if the kernel has chosen one that another program uses for datagrams.
const PORTS_TRIED: usize = 16;

/// Everything that clients come in by.
#[derive(Debug)]
pub(super) struct Listening {
    /// Those of each worker.
    pub(super) sockets: Vec<Sockets>,
    /// Where they are, with the real port.
    pub(super) address: ListenAddress,
    /// The file of a Unix socket.
    pub(super) file: Option<SocketFile>,
}

/// The sockets of one worker.
#[derive(Debug)]
pub(super) struct Sockets {
    /// Accepts clients.
    pub(super) listener: Socket,
    /// Receives datagrams, where there are any, at the same address and port.
    pub(super) datagrams: Option<Socket>,
}

impl Listening {
    /// Creates the sockets of all workers.
    ///
    /// # Errors
    ///
    /// Fails if the address is already in use or cannot be bound for another reason.
    pub(super) fn start(config: &Config) -> io::Result<Self> {
        match &config.listen {
            ListenAddress::Internet(address) => Self::internet(config, *address),
            ListenAddress::Unix(path) => Self::unix(path, config.threads.max(1)),
        }
    }

    fn internet(config: &Config, listen: SocketAddr) -> io::Result<Self> {
        let mut tries = PORTS_TRIED;
        loop {
            let listeners = listen_all(config, listen)?;
            let address = local_addr(&listeners[0])?;
            tries -= 1;
            let datagrams = match config.udp {
                true => receive_all(address, listeners.len()),
                false => Ok(listeners.iter().map(|_| None).collect()),
            };
            match datagrams {
                Ok(datagrams) => return Ok(Self::new(listeners, datagrams, address.into())),
                // The kernel knows free ports of one protocol at a time.
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse
                        && listen.port() == 0
                        && tries > 0 => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A path belongs to one socket, so the workers share it: each has a descriptor of its own (`dup(2)`), all of
    /// them are woken for a client, and the first one to accept gets it.
    fn unix(path: &Path, workers: usize) -> io::Result<Self> {
        let (first, file) = unix::listen(path)?;
        let others: io::Result<Vec<_>> = (1..workers).map(|_| first.try_clone()).collect();
        let mut listeners = others.map_err(cannot("share the Unix socket among the workers"))?;
        listeners.push(first);
        let none = listeners.iter().map(|_| None).collect();
        let listening = Self::new(listeners, none, ListenAddress::Unix(path.to_owned()));
        Ok(Self {
            file: Some(file),
            ..listening
        })
    }

    fn new(listeners: Vec<Socket>, datagrams: Vec<Option<Socket>>, address: ListenAddress) -> Self {
        let pairs = listeners.into_iter().zip(datagrams);
        let sockets = pairs.map(|(listener, datagrams)| Sockets {
            listener,
            datagrams,
        });
        Self {
            sockets: sockets.collect(),
            address,
            file: None,
        }
    }
}

/// Creates one socket for the datagrams of each of `count` workers.
fn receive_all(address: SocketAddr, count: usize) -> io::Result<Vec<Option<Socket>>> {
    if count > 1 {
        // Fails if another program has the port; see `listen_all`.
        udp::listen(address, false)?;
    }
    let sockets = (0..count).map(|_| udp::listen(address, count > 1).map(Some));
    sockets.collect()
}

/// Creates one listening socket for each worker; the kernel spreads clients over them
/// (`socket(7)`, `SO_REUSEPORT`).
fn listen_all(config: &Config, address: SocketAddr) -> io::Result<Vec<Socket>> {
    let count = config.threads.max(1);
    let options = ListenOptions {
        nonblocking: true,
        nodelay: true,
        reuse_port: count > 1,
        // The workers look at bytes that are not acknowledged.
        keepalive: config.limits.keepalive.map(Keepalive::sparing_pauses),
        ..ListenOptions::default()
    };
    if count > 1 && address.port() != 0 {
        // With SO_REUSEPORT, a second proxy of the same user would silently share the port. One
        // bind without the option fails if the port is already in use.
        listen(address, &ListenOptions::default())?;
    }
    let first = listen(address, &options)?;
    let address = local_addr(&first)?;
    let others = (1..count).map(|_| listen(address, &options));
    let listeners = std::iter::once(Ok(first)).chain(others);
    let limited = listeners.map(|listener| {
        let listener = listener?;
        send_queue::limit_unsent(&listener)?;
        Ok(listener)
    });
    limited.collect()
}
