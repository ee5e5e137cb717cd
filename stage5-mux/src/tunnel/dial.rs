//! Connecting to a target: its addresses, one after the other.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stage1_server::Keepalive;
use stage2_client::start_connect;
use stage4_proxy::connect_error::ConnectError;

use crate::endpoint::Endpoint;

/// The addresses of a target that are left to try, and the time for each.
#[derive(Debug)]
pub(super) struct Dial {
    left: std::vec::IntoIter<SocketAddr>,
    limit: Duration,
    until: Instant,
    failure: Option<ConnectError>,
}

impl Dial {
    /// Creates a dial that has not begun.
    pub(super) fn new(addresses: Vec<SocketAddr>, limit: Duration, now: Instant) -> Self {
        Self {
            left: addresses.into_iter(),
            limit,
            until: now,
            failure: None,
        }
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
            match begin(address, keepalive) {
                Ok(endpoint) => return Ok(endpoint),
                Err(error) => self.failed(error.into()),
            }
        }
        let no_address = || ConnectError::Resolve(io::Error::other("the name has no address"));
        Err(self.failure.take().unwrap_or_else(no_address))
    }
}

fn begin(address: SocketAddr, keepalive: Option<Keepalive>) -> io::Result<Endpoint> {
    let socket = start_connect(address)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(keepalive) = keepalive {
        keepalive.set_on(&socket)?;
    }
    Ok(Endpoint::new(socket, address))
}
