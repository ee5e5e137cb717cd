//! Access rules: which addresses the proxy may dial.
//!
//! They are checked in one place, `egress::direct::Direct::dial`, for each address of a
//! target: after resolving, because otherwise a name would get around them, and before connect(2),
//! because a refused address must not get a single packet. UDP datagrams will be checked the same way.
//!
//! To add a rule, add a variant to [`Rule`] and a line to `Access::check`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The rules of one worker.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// Where the proxy itself listens.
    listener: SocketAddr,
}

/// The rule that forbids an address, as the log says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// Every session would open another one, until no row is left.
    #[error("the proxy would connect to itself")]
    OwnListener,
}

impl Access {
    /// Creates the rules of a proxy that listens on `listener`, with the real port.
    pub(crate) fn new(listener: SocketAddr) -> Self {
        Self { listener }
    }

    /// Checks an address that is about to be dialled.
    ///
    /// # Errors
    ///
    /// Fails with the rule that forbids it.
    pub(crate) fn check(&self, address: SocketAddr) -> Result<(), Rule> {
        if self.is_own_listener(address) {
            return Err(Rule::OwnListener);
        }
        Ok(())
    }

    /// Returns whether connect(2) to `address` would reach the proxy's own listener.
    ///
    /// A listener on the unspecified address has more addresses than this can know without a list
    /// of the interfaces: only loopback is found.
    fn is_own_listener(&self, address: SocketAddr) -> bool {
        let own = self.listener.ip();
        let dialled = reached(address.ip());
        let same_ip = own == dialled
            // Of the same family, because our listeners set IPV6_V6ONLY.
            || own.is_unspecified() && dialled.is_loopback() && own.is_ipv4() == dialled.is_ipv4();
        same_ip && address.port() == self.listener.port()
    }
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
mod tests {
    use super::*;

    #[test]
    fn the_own_listener_is_not_dialled_whatever_its_address_looks_like() {
        let table = [
            // listener, address, whether it may be dialled
            ("127.0.0.1:80", "127.0.0.1:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", true),
            ("127.0.0.1:80", "127.0.0.2:80", true),
            ("127.0.0.1:80", "[::1]:80", true),
            ("127.0.0.1:80", "0.0.0.0:80", false),
            ("127.0.0.1:80", "[::ffff:127.0.0.1]:80", false),
            ("127.0.0.2:80", "0.0.0.0:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", false),
            ("0.0.0.0:80", "127.0.0.9:80", false),
            ("0.0.0.0:80", "0.0.0.0:80", false),
            ("0.0.0.0:80", "[::1]:80", true),
            ("0.0.0.0:80", "192.0.2.1:80", true),
            ("[::1]:80", "[::1]:80", false),
            ("[::1]:80", "[::]:80", false),
            ("[::]:80", "[::1]:80", false),
            ("[::]:80", "127.0.0.1:80", true),
        ];
        for (listener, address, allowed) in table {
            let access = Access::new(listener.parse().unwrap());
            let checked = access.check(address.parse().unwrap());
            let expected = if allowed {
                Ok(())
            } else {
                Err(Rule::OwnListener)
            };
            assert_eq!(checked, expected, "{listener} dials {address}");
        }
    }
}
