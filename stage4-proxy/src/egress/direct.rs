//! The egress without hops: resolve the target, dial its addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stage2_client::{Host, Target, start_connect};

use crate::access::{Access, Denial};
use crate::connect_error::ConnectError;
use crate::egress::permits::{Permit, Permits};
use crate::endpoint::Endpoint;
use crate::ingress::OwnConnects;
use crate::inspect::Section;
use crate::limits::Limits;
use crate::resolve::{Answer, Resolution, Resolver};
use crate::send_queue;

/// Connects straight to each target.
#[derive(Debug)]
pub(crate) struct Direct {
    resolver: Resolver,
    access: Access,
    permits: Permits,
    /// Where the connections are noted, for an ingress that they could come back to.
    own_connects: Option<OwnConnects>,
    /// One for the whole worker, because most ingresses have one target.
    favourite: Option<Favourite>,
}

/// The address that has won the last race.
#[derive(Debug)]
struct Favourite {
    target: Arc<Target>,
    address: SocketAddr,
    until: Instant,
}

/// The time for which the winner of a race is tried first; then the order of the resolver counts
/// again, because the address that it prefers may work by then.
const FAVOUR: Duration = Duration::from_secs(10);

impl Direct {
    /// Creates the egress that dials what `access` allows.
    ///
    /// All races of the worker together may have `limits.extra_attempts` sockets in progress beyond
    /// one for each session.
    pub(crate) fn new(resolver: Resolver, access: Access, limits: &Limits) -> Self {
        Self {
            resolver,
            access,
            permits: Permits::new(limits.extra_attempts),
            own_connects: None,
            favourite: None,
        }
    }

    /// Notes each connection for an ingress that it could come back to.
    pub(crate) fn noting(mut self, own_connects: Option<&OwnConnects>) -> Self {
        self.own_connects = own_connects.cloned();
        self
    }

    /// Returns the target's addresses, or has them looked up: then `deliver` gets the answer.
    ///
    /// # Errors
    ///
    /// Fails if a lookup has just failed, or if too many names are being looked up.
    pub(crate) fn resolve(
        &self,
        target: &Arc<Target>,
        now: Instant,
        deliver: impl FnOnce(Answer) + Send + 'static,
    ) -> Result<Resolution, ConnectError> {
        self.resolver.resolve(target, now, deliver)
    }

    /// Notes that no address of `target` could be reached.
    pub(crate) fn distrust(&self, target: &Arc<Target>, now: Instant) {
        self.resolver.distrust(target, now);
    }

    /// Returns the inspector's section on names.
    pub(crate) fn section(&self) -> Section {
        self.resolver.section()
    }

    /// Checks the address, one of `target`'s, then begins a non-blocking connect(2).
    ///
    /// `TCP_NODELAY` is on, as on the client's side, because a relay passes small messages on at once
    /// and must not wait for an acknowledgement of the one before (`tcp(7)`).
    ///
    /// # Errors
    ///
    /// Fails if a rule forbids the address, or if connect(2) fails at once.
    pub(crate) fn dial(
        &self,
        address: SocketAddr,
        target: Option<&Target>,
    ) -> Result<Endpoint, ConnectError> {
        self.check(address, target.and_then(name_of))
            .map_err(ConnectError::Denied)?;
        let socket = match &self.own_connects {
            Some(own) => own.connect(address, || start_connect(address))?,
            None => start_connect(address)?,
        };
        socket.set_tcp_nodelay(true)?;
        send_queue::limit_unsent(&socket)?;
        Ok(Endpoint::connecting(socket, address))
    }

    /// Checks an address of `target`'s, as [`Direct::dial`] does.
    ///
    /// # Errors
    ///
    /// Fails with the rule that forbids it.
    pub(super) fn check_target(&self, address: SocketAddr, target: &Target) -> Result<(), Denial> {
        self.check(address, name_of(target))
    }

    /// Checks an address of `target`'s by the rules alone: it costs no system call.
    ///
    /// # Errors
    ///
    /// Fails with the rule that forbids it.
    pub(super) fn check_rules(&self, address: SocketAddr, target: &Target) -> Result<(), Denial> {
        self.access.check(address, name_of(target))
    }

    /// Takes the right to one more attempt beside the one that a session has room for.
    pub(crate) fn permit(&self) -> Option<Permit> {
        self.permits.take()
    }

    /// Returns the address at which `target` was reached a short time ago, if it was the last one.
    pub(crate) fn remembered(&self, target: &Target, now: Instant) -> Option<SocketAddr> {
        let favourite = self.favourite.as_ref()?;
        let is_it = *favourite.target == *target && now < favourite.until;
        is_it.then_some(favourite.address)
    }

    /// Remembers the address that has won the race for `target`.
    pub(crate) fn remember(&mut self, target: &Arc<Target>, address: SocketAddr, now: Instant) {
        self.favourite = Some(Favourite {
            target: Arc::clone(target),
            address,
            until: now + FAVOUR,
        });
    }

    fn check(&self, address: SocketAddr, name: Option<&str>) -> Result<(), Denial> {
        check(&self.access, address, name)
    }
}

/// Checks an address that is about to be dialled for `target`: by the rules, and whether it leads back to the proxy
/// itself.
///
/// # Errors
///
/// Fails with the rule that forbids it.
pub fn check_dialled(access: &Access, address: SocketAddr, target: &Target) -> Result<(), Denial> {
    check(access, address, name_of(target))
}

fn check(access: &Access, address: SocketAddr, name: Option<&str>) -> Result<(), Denial> {
    access.check(address, name)?;
    // Asked only where it can matter, because it costs three system calls.
    if access.is_own_if_here(address) && is_here(address) {
        return Err(Denial::OwnListener);
    }
    Ok(())
}

/// Returns whether an address is one of this machine's: the kernel would reach it from itself.
///
/// connect(2) on a datagram socket sends nothing, and only chooses the route and the local address
/// (`udp(7)`). A second address of an interface in the same network is not found: there it chooses the first.
fn is_here(address: SocketAddr) -> bool {
    let anywhere: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    UdpSocket::bind((anywhere, 0))
        .and_then(|socket| socket.connect(address).and(socket.local_addr()))
        .is_ok_and(|local| local.ip() == address.ip())
}

fn name_of(target: &Target) -> Option<&str> {
    match &target.host {
        Host::Name(name) => Some(name),
        Host::Address(_) => None,
    }
}
