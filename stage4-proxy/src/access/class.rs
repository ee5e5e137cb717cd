//! Classes of addresses: which are public, and which are not, by the registries of IANA.
//!
//! `std`'s `is_global` is not stable, so the registries are written down here, as a table in their
//! order of the longest prefix first:
//!
//! - [IPv4 Special-Purpose Address Registry](https://www.iana.org/assignments/iana-ipv4-special-registry)
//! - [IPv6 Special-Purpose Address Registry](https://www.iana.org/assignments/iana-ipv6-special-registry)
//! - [IPv6 Address Space](https://www.iana.org/assignments/ipv6-address-space): unicast is assigned from
//!   `2000::/3` only, so that everything outside of it is not public, whatever it may become one day.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::access::network::Network;

/// What kind of network an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Globally reachable, in the words of the registries: what every host of the internet may reach.
    Public,
    /// Of a network of one owner: `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16` (RFC 1918), carriers'
    /// `100.64.0.0/10` (RFC 6598), `fc00::/7` (RFC 4193).
    Private,
    /// This machine: `127.0.0.0/8` (RFC 1122 section 3.2.1.3) and `::1` (RFC 4291 section 2.5.3).
    Loopback,
    /// An address that is dialled only if a rule names it as an address or a network.
    Special(Special),
    /// Reserved, or for documentation, benchmarks and protocols: no word but `any` opens it.
    Reserved,
}

/// Why an address has to be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Special {
    /// `0.0.0.0/8` and `::`: the kernel connects the first of them to this machine.
    ThisNetwork,
    /// `169.254.0.0/16` (RFC 3927), where clouds serve the credentials of a machine, and `fe80::/10`.
    LinkLocal,
    /// A cloud's own service for its machines, outside of the link-local networks.
    Metadata,
    /// `224.0.0.0/4` and `ff00::/8`.
    Multicast,
    /// `255.255.255.255`.
    Broadcast,
}

impl Class {
    /// Returns the class of an address, as it stands: one that embeds an IPv4 address is reserved
    /// (see [`embedded`](super::embedded::embedded)), only a mapped one is the IPv4 address itself.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        range_of(address).1
    }
}

/// Returns the range of the table in which an address lies, and its class.
pub(super) fn range_of(address: IpAddr) -> (Network, Class) {
    let address = address.to_canonical();
    let (table, rest): (&[_], _) = match address {
        IpAddr::V4(_) => (&IPV4, Network::v4([0; 4], 0)),
        IpAddr::V6(_) => (&IPV6, Network::v6([0; 4], 0)),
    };
    let row = table.iter().find(|(network, _)| network.contains(address));
    let elsewhere = match address {
        IpAddr::V4(_) => Class::Public,
        IpAddr::V6(_) => Class::Reserved,
    };
    *row.unwrap_or(&(rest, elsewhere))
}

/// The first row that contains an address tells its class; an address without a row is public.
const IPV4: [(Network, Class); 21] = [
    (Network::v4([0, 0, 0, 0], 8), THIS_NETWORK),
    (Network::v4([10, 0, 0, 0], 8), Class::Private),
    (Network::v4([100, 100, 100, 200], 32), METADATA), // Alibaba Cloud
    (Network::v4([100, 64, 0, 0], 10), Class::Private),
    (Network::v4([127, 0, 0, 0], 8), Class::Loopback),
    (Network::v4([168, 63, 129, 16], 32), METADATA), // Azure, although the address is a public one
    (Network::v4([169, 254, 0, 0], 16), LINK_LOCAL),
    (Network::v4([172, 16, 0, 0], 12), Class::Private),
    (Network::v4([192, 0, 0, 9], 32), Class::Public), // PCP anycast, RFC 7723
    (Network::v4([192, 0, 0, 10], 32), Class::Public), // TURN anycast, RFC 8155
    (Network::v4([192, 0, 0, 192], 32), METADATA),    // Oracle Cloud
    (Network::v4([192, 0, 0, 0], 24), Class::Reserved), // protocol assignments, RFC 6890
    (Network::v4([192, 0, 2, 0], 24), Class::Reserved), // documentation, RFC 5737
    (Network::v4([192, 88, 99, 0], 24), Class::Reserved), // 6to4 relays, RFC 7526
    (Network::v4([192, 168, 0, 0], 16), Class::Private),
    (Network::v4([198, 18, 0, 0], 15), Class::Reserved), // benchmarks, RFC 2544
    (Network::v4([198, 51, 100, 0], 24), Class::Reserved), // documentation
    (Network::v4([203, 0, 113, 0], 24), Class::Reserved), // documentation
    (Network::v4([224, 0, 0, 0], 4), MULTICAST),
    (Network::host(IpAddr::V4(Ipv4Addr::BROADCAST)), BROADCAST),
    (Network::v4([240, 0, 0, 0], 4), Class::Reserved), // RFC 1112 section 4
];

/// The same for IPv6, where an address without a row is reserved.
const IPV6: [(Network, Class); 19] = [
    (
        Network::host(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        THIS_NETWORK,
    ),
    (
        Network::host(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        Class::Loopback,
    ),
    (host([0x2001, 1, 0, 1]), Class::Public), // PCP anycast, RFC 7723
    (host([0x2001, 1, 0, 2]), Class::Public), // TURN anycast, RFC 8155
    (host([0x2001, 1, 0, 3]), Class::Public), // DNS-SD, RFC 9665
    (Network::v6([0x2001, 3, 0, 0], 32), Class::Public), // AMT, RFC 7450
    (Network::v6([0x2001, 4, 0x112, 0], 48), Class::Public), // AS112, RFC 7535
    (Network::v6([0x2001, 0x20, 0, 0], 28), Class::Public), // ORCHIDv2, RFC 7343
    (Network::v6([0x2001, 0x30, 0, 0], 28), Class::Public), // drones, RFC 9374
    (Network::v6([0x2001, 0, 0, 0], 23), Class::Reserved), // protocol assignments with Teredo, RFC 2928
    (Network::v6([0x2001, 0xdb8, 0, 0], 32), Class::Reserved), // documentation, RFC 3849
    (Network::v6([0x2002, 0, 0, 0], 16), Class::Reserved), // 6to4, RFC 3056
    (Network::v6([0x3fff, 0, 0, 0], 20), Class::Reserved), // documentation, RFC 9637
    (Network::v6([0x2000, 0, 0, 0], 3), Class::Public),
    (metadata([0xfd00, 0xec2]), METADATA), // AWS
    (metadata([0xfd20, 0xce]), METADATA),  // Google Cloud
    (Network::v6([0xfc00, 0, 0, 0], 7), Class::Private),
    (Network::v6([0xfe80, 0, 0, 0], 10), LINK_LOCAL),
    (Network::v6([0xff00, 0, 0, 0], 8), MULTICAST),
];

const THIS_NETWORK: Class = Class::Special(Special::ThisNetwork);
const LINK_LOCAL: Class = Class::Special(Special::LinkLocal);
const METADATA: Class = Class::Special(Special::Metadata);
const MULTICAST: Class = Class::Special(Special::Multicast);
const BROADCAST: Class = Class::Special(Special::Broadcast);

/// Returns the single address `A:B::D` of `[A, B, 0, D]`.
const fn host([first, second, _, last]: [u16; 4]) -> Network {
    Network::host(IpAddr::V6(Ipv6Addr::new(
        first, second, 0, 0, 0, 0, 0, last,
    )))
}

/// Returns the single address `A:B::254`.
const fn metadata([first, second]: [u16; 2]) -> Network {
    host([first, second, 0, 0x254])
}

impl fmt::Display for Class {
    /// Writes the class as an adjective: "private".
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Loopback => "loopback",
            Self::Special(Special::ThisNetwork) => "unspecified",
            Self::Special(Special::LinkLocal) => "link-local",
            Self::Special(Special::Metadata) => "metadata",
            Self::Special(Special::Multicast) => "multicast",
            Self::Special(Special::Broadcast) => "broadcast",
            Self::Reserved => "reserved",
        })
    }
}
