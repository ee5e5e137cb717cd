//! Connecting to a target: its addresses, one after the other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;
use stage1_server::Keepalive;
use stage2_client::{Target, start_connect};
use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::resolve::Resolver;

use crate::endpoint::Endpoint;
use crate::tunnel::transport::sctp;

/// A name, and the threads that look it up.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) target: Arc<Target>,
    pub(super) resolver: Resolver,
}

/// What is spoken to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// TCP.
    Tcp,
    /// SCTP.
    Sctp,
}

/// The addresses of a target that are left to try, and the time for each.
#[derive(Debug)]
pub(super) struct Dial {
    left: std::vec::IntoIter<SocketAddr>,
    limit: Duration,
    until: Instant,
    failure: Option<ConnectError>,
    protocol: Protocol,
}

impl Dial {
    /// Creates a dial that has not begun.
    pub(super) fn new(addresses: Vec<SocketAddr>, limit: Duration, now: Instant) -> Self {
        Self {
            left: addresses.into_iter(),
            limit,
            until: now,
            failure: None,
            protocol: Protocol::Tcp,
        }
    }

    /// Speaks another protocol than TCP.
    pub(super) fn over(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Returns when the attempt in progress has taken too long.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Notes why an attempt has failed.
    pub(super) fn failed(&mut self, error: ConnectError) {
        self.failure = Some(error);
    }

    /// Begins to connect to the next address.
    ///
    /// # Errors
    ///
    /// Fails with the reason of the last failure if no address is left.
    pub(super) fn next(
        &mut self,
        keepalive: Option<Keepalive>,
        now: Instant,
    ) -> Result<Endpoint, ConnectError> {
        while let Some(address) = self.left.next() {
            self.until = now + self.limit;
            match self.protocol.begin(address, keepalive) {
                Ok(endpoint) => return Ok(endpoint),
                Err(error) => self.failed(error.into()),
            }
        }
        let no_address = || ConnectError::Resolve(io::Error::other("the name has no address"));
        Err(self.failure.take().unwrap_or_else(no_address))
    }
}

impl Protocol {
    fn begin(self, address: SocketAddr, keepalive: Option<Keepalive>) -> io::Result<Endpoint> {
        let socket = match self {
            Self::Tcp => begin_tcp(address, keepalive)?,
            // It looks for a silent peer by itself (RFC 9260 section 8.3).
            Self::Sctp => sctp::start_connect(address)?,
        };
        Ok(Endpoint::connecting(socket, address))
    }
}

fn begin_tcp(address: SocketAddr, keepalive: Option<Keepalive>) -> io::Result<Socket> {
    let socket = start_connect(address)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(keepalive) = keepalive {
        keepalive.set_on(&socket)?;
    }
    Ok(socket)
}
