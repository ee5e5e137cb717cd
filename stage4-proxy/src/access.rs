//! Access rules: which clients may come, and which addresses the proxy may dial.
//!
//! ```text
//!   --clients ──▶ Clients ◀── asked after accept(2), by the listener
//!   --max-per-client ▶ PerClient ◀── asked as soon as the client's address is known
//!   --user    ──▶ Users ◀──── asked by the handshake of a protocol that has names and passwords
//!   --allow   ──▶ Rule ─┐
//!   --deny    ──▶ Rule ─┴▶ Policy ──▶ Access ◀── asked before connect(2), for each address
//! ```
//!
//! Addresses are checked in one place, `egress::direct::Direct::dial`: after resolving, because otherwise
//! a name would get around the rules, and before connect(2), because a refused address must not get
//! a single packet. Datagrams are checked the same way, each of them. Everything here is free of I/O, except
//! for `users::file`, which no worker calls.
//!
//! # Order of the rules
//!
//! 1. The proxy's own listeners are never dialled.
//! 2. If the operator has named the target (`--ingress fixed`), nothing else is asked.
//! 3. An IPv4 address inside an IPv6 address ([`embedded()`]) is judged, too: both must pass.
//! 4. A rule of `--deny` that matches forbids.
//! 5. A rule of `--allow` that matches opens, but a name opens public addresses only; [`Special`] addresses
//!    are opened only by a rule with the address or a network within their range, and port 25 only
//!    by a rule with this port.
//! 6. Everything else is forbidden.
//!
//! Read `network` and `class` first, then `scope`, `name` and `rule`, and `policy` last. `users` and `per_client` can be
//! read alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

mod class;
mod clients;
mod denial;
mod embedded;
mod flags;
mod name;
mod network;
mod per_client;
mod policy;
mod rule;
mod scope;
mod users;

pub use class::{Class, Special};
pub use clients::{ClientScope, ClientScopeError, Clients};
pub use denial::Denial;
pub use embedded::embedded;
pub use flags::AccessFlags;
pub use name::{NameError, NamePattern};
pub use network::{Network, NetworkError};
pub use per_client::{PerClient, Place};
pub use policy::{Policy, PolicyError};
pub use rule::{Rule, RuleError};
pub use scope::Scope;
pub use users::{FileError, Flaw, User, UserFlags, Users, UsersError, Wrong, read_private_file};

use crate::access::rule::Dialled;

/// The rules of one worker: the operator's policy, and the addresses of the proxy itself.
#[derive(Clone, Debug)]
pub struct Access {
    policy: Policy,
    /// Where the proxy itself listens, with the real ports.
    listeners: Vec<SocketAddr>,
    /// Where its inspector does, which starts last; all clones know it then.
    inspector: Arc<OnceLock<SocketAddr>>,
}

impl Access {
    /// Creates the rules of a proxy that listens on `listeners`, with the real ports.
    #[must_use]
    pub fn new(policy: Policy, listeners: Vec<SocketAddr>) -> Self {
        Self {
            policy,
            listeners,
            inspector: Arc::default(),
        }
    }

    /// Returns whether only the kernel can tell if `address` is the proxy's own listener: it is, if it is
    /// one of this machine's, because a listener on the unspecified address has them all.
    #[must_use]
    pub fn is_own_if_here(&self, address: SocketAddr) -> bool {
        let inspector = self.inspector.get().filter(|_| self.policy.has_rules());
        let mut listeners = self.listeners.iter().chain(inspector);
        listeners.any(|listener| {
            listener.port() == address.port()
                && listener.ip().is_unspecified()
                && listener.is_ipv4() == address.ip().to_canonical().is_ipv4()
        })
    }

    /// Keeps clients that choose their targets from the inspector, too: it shows all clients.
    pub fn add_inspector(&self, address: SocketAddr) {
        // There is one inspector at most, so that it is never set already.
        let _ = self.inspector.set(address);
    }

    /// Checks an address that is about to be dialled, because a client has asked for it or for `name`.
    ///
    /// # Errors
    ///
    /// Fails with the rule that forbids it.
    pub fn check(&self, address: SocketAddr, name: Option<&str>) -> Result<(), Denial> {
        if self.is_own_listener(address) {
            return Err(Denial::OwnListener);
        }
        if !self.policy.has_rules() {
            return Ok(());
        }
        self.judge(address, name)
    }

    /// Returns the clients that may come.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        self.policy.clients()
    }

    fn judge(&self, address: SocketAddr, name: Option<&str>) -> Result<(), Denial> {
        let (outer, port) = (address.ip().to_canonical(), address.port());
        let is_inspector = |address| {
            let inspector = self.inspector.get();
            inspector.is_some_and(|inspector| leads_to(address, *inspector))
        };
        if is_inspector(address) {
            return Err(Denial::OwnListener);
        }
        let judge = |address, class| {
            self.policy.judge(&Dialled {
                address,
                class,
                port,
                name,
            })
        };
        let inner = embedded(outer);
        if inner.iter().all(Option::is_none) {
            return judge(outer, Class::of(outer));
        }
        for inner in inner.into_iter().flatten().map(IpAddr::V4) {
            let within = SocketAddr::new(inner, port);
            if self.is_own_listener(within) || is_inspector(within) {
                return Err(Denial::OwnListener);
            }
            // The packets go where the inner address is, so the words mean this one for both; a network
            // means the address as it is written, so both have to be in one.
            let class = Class::of(inner);
            judge(inner, class)?;
            judge(outer, class)?;
        }
        Ok(())
    }

    /// Returns whether connect(2) to `address` would reach the proxy itself.
    fn is_own_listener(&self, address: SocketAddr) -> bool {
        let mut listeners = self.listeners.iter();
        listeners.any(|&listener| leads_to(address, listener))
    }
}

/// Returns whether connect(2) to `address` would reach `listener`.
///
/// Of the addresses that a listener on the unspecified address has, loopback alone is known here; for the
/// others there is [`Access::is_own_if_here`].
fn leads_to(address: SocketAddr, listener: SocketAddr) -> bool {
    let (own, dialled) = (listener.ip(), reached(address.ip()));
    let same_ip = own == dialled
        // Of the same family, because our listeners set IPV6_V6ONLY.
        || own.is_unspecified() && dialled.is_loopback() && own.is_ipv4() == dialled.is_ipv4();
    same_ip && address.port() == listener.port()
}

/// Returns the address that the kernel really connects to: an IPv4 address may come mapped into IPv6
/// (`ipv6(7)`), and the unspecified address means loopback.
fn reached(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address @ (IpAddr::V4(_) | IpAddr::V6(_)) => address,
    }
}

#[cfg(test)]
mod tests;
