//! Connecting a stream to its target: the addresses in a race, each judged before its connect(2).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stage1_server::Keepalive;
use stage2_client::{Target, start_connect};
use stage4_proxy::access::Access;
use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::egress::{Permit, Permits, check_dialled};
use stage4_proxy::race::Race;
use stage4_proxy::resolve::Resolver;
use stage4_proxy::token::Token;

use crate::endpoint::Endpoint;

/// The time for which the winner of a race is tried first; then the order of the resolver counts again.
const FAVOUR: Duration = Duration::from_secs(10);

/// The attempts to connect one stream.
#[derive(Debug)]
pub(super) struct Racing {
    pub(super) target: Arc<Target>,
    pub(super) race: Race<Racer>,
}

/// One socket of a race.
#[derive(Debug)]
pub(super) struct Racer {
    /// The token of its events, which is in no cell of the table.
    pub(super) token: Token,
    pub(super) endpoint: Endpoint,
    /// The right to this socket, if it is not the only one of its stream.
    pub(super) _permit: Option<Permit>,
}

/// The server's way out: where streams may lead, and how their targets are reached.
#[derive(Debug)]
pub(super) struct Egress {
    /// The target of all streams; `None` if each stream begins with a request header that names its own.
    pub(super) upstream: Option<Arc<Target>>,
    pub(super) resolver: Resolver,
    access: Access,
    permits: Permits,
    favourite: Option<(Arc<Target>, SocketAddr, Instant)>,
}

impl Egress {
    /// Creates a way out that dials what `access` allows; all races together may have `extra_attempts` sockets beyond
    /// one for each stream.
    pub(super) fn new(
        upstream: Option<Target>,
        resolver: Resolver,
        access: Access,
        extra_attempts: usize,
    ) -> Self {
        Self {
            upstream: upstream.map(Arc::new),
            resolver,
            access,
            permits: Permits::new(extra_attempts),
            favourite: None,
        }
    }

    /// Begins a race between the addresses of a target; the one that has won a short time ago is tried first.
    pub(super) fn race(
        &self,
        target: Arc<Target>,
        addresses: &[SocketAddr],
        limit: Duration,
        now: Instant,
    ) -> Racing {
        let mut race = Race::new(addresses, limit, now);
        if let Some((favourite, address, until)) = &self.favourite
            && *favourite == target
            && now < *until
        {
            race.favour(*address);
        }
        Racing { target, race }
    }

    /// Remembers the address that has won.
    pub(super) fn remember(&mut self, target: &Arc<Target>, address: SocketAddr, now: Instant) {
        self.favourite = Some((Arc::clone(target), address, now + FAVOUR));
    }

    /// Takes the right to one more socket for a stream that has one already.
    pub(super) fn permit(&self) -> Option<Permit> {
        self.permits.take()
    }

    /// Judges an address of `target`, then begins a connect(2) to it.
    ///
    /// # Errors
    ///
    /// Fails if a rule forbids the address, or if connect(2) fails at once.
    pub(super) fn dial(
        &self,
        address: SocketAddr,
        target: &Target,
        keepalive: Option<Keepalive>,
    ) -> Result<Endpoint, ConnectError> {
        check_dialled(&self.access, address, target).map_err(ConnectError::Denied)?;
        Ok(begin(address, keepalive)?)
    }
}

fn begin(address: SocketAddr, keepalive: Option<Keepalive>) -> io::Result<Endpoint> {
    let socket = start_connect(address)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(keepalive) = keepalive {
        keepalive.set_on(&socket)?;
    }
    Ok(Endpoint::connecting(socket, address))
}
