//! Resolves a target to addresses, in the order in which to try them.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use crate::target::{Host, Target};

/// The address family that is tried first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Prefer {
    /// IPv6 addresses first, as RFC 6724 does.
    #[default]
    Ipv6,
    /// IPv4 addresses first.
    Ipv4,
}

/// Returns the addresses of `target`, the preferred family first; this blocks (`getaddrinfo(3)`).
///
/// An address needs no lookup. A lookup may take many seconds if the name server does not answer,
/// so an event loop must never call this: stage 4 calls it on threads.
///
/// # Errors
/// Fails with [`io::ErrorKind::NotFound`] if the name has no address; the text names the host.
pub fn resolve(target: &Target, prefer: Prefer) -> io::Result<Vec<SocketAddr>> {
    let mut addresses = match &target.host {
        Host::Address(address) => vec![SocketAddr::new(*address, target.port)],
        Host::Name(name) => look_up(name, target.port)?,
    };
    order(&mut addresses, prefer);
    Ok(addresses)
}

/// Asks the system for the addresses of a name, each with `port`, in the system's order (`getaddrinfo(3)`).
///
/// # Errors
/// Fails with [`not_found`] if the lookup fails, and if it brings no address.
fn look_up(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = (name, port).to_socket_addrs();
    let addresses: Vec<_> = found.map_err(|error| not_found(name, &error))?.collect();
    if addresses.is_empty() {
        return Err(not_found(name, &"it has no address"));
    }
    Ok(addresses)
}

fn not_found(name: &str, reason: &dyn std::fmt::Display) -> io::Error {
    let sentence = format!("cannot find the host {name:?}: {reason}");
    io::Error::new(io::ErrorKind::NotFound, sentence)
}

/// Puts the preferred family first and changes nothing else in the order.
///
/// The resolver has already sorted the addresses by preference for this machine (RFC 6724); a
/// stable sort keeps that order within each family.
///
/// ```
/// use stage2_client::{Prefer, order};
///
/// let mut addresses = ["[::1]:80", "192.0.2.1:80"].map(|text| text.parse().unwrap());
/// order(&mut addresses, Prefer::Ipv4);
/// assert!(addresses[0].is_ipv4());
/// ```
pub fn order(addresses: &mut [SocketAddr], prefer: Prefer) {
    addresses.sort_by_key(|address| match prefer {
        Prefer::Ipv6 => address.is_ipv4(),
        Prefer::Ipv4 => address.is_ipv6(),
    });
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_needs_no_lookup() {
        let target = "[2001:db8::1]:443".parse().unwrap();
        let addresses = resolve(&target, Prefer::Ipv4).expect("an address is its own answer");
        let expected = ["[2001:db8::1]:443".parse().unwrap()];
        assert_eq!(
            addresses, expected,
            "an IPv6 address, although IPv4 is preferred"
        );
    }

    #[test]
    fn localhost_is_a_loopback_address() {
        let addresses = resolve(&"localhost:80".parse().unwrap(), Prefer::Ipv6).unwrap();
        assert!(
            addresses.iter().all(|address| address.ip().is_loopback()),
            "localhost is this machine, but it became {addresses:?}"
        );
    }

    #[test]
    fn an_unknown_host_is_named_in_the_error() {
        // A label of more than 63 bytes is refused before any name server is asked (RFC 1035
        // section 2.3.4), so that the test needs no network.
        let name = "a".repeat(64);
        let target = format!("{name}:80").parse().unwrap();
        let error = resolve(&target, Prefer::Ipv6).unwrap_err();
        assert_eq!(
            error.kind(),
            io::ErrorKind::NotFound,
            "the kind of: {error}"
        );
        assert!(error.to_string().contains(&name), "{error}");
    }

    fn any_addresses() -> impl Strategy<Value = Vec<SocketAddr>> {
        let ip = prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u16; 8]>().prop_map(IpAddr::from),
        ];
        vec((ip, any::<u16>()).prop_map(SocketAddr::from), 0..12)
    }

    proptest! {
        #[test]
        fn order_only_moves_families(before in any_addresses(), prefer_ipv4 in any::<bool>()) {
            let prefer = if prefer_ipv4 { Prefer::Ipv4 } else { Prefer::Ipv6 };
            let mut after = before.clone();
            order(&mut after, prefer);
            let (mut first, second): (Vec<_>, Vec<_>) =
                before.into_iter().partition(|address| address.is_ipv4() == prefer_ipv4);
            first.extend(second);
            prop_assert_eq!(after, first);
        }
    }
}
