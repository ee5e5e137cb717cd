//! IPv4 addresses inside IPv6 addresses: a translator or a tunnel at the other end takes them out again,
//! so a rule about an IPv4 address has to hold for each of its disguises.
//!
//! ```text
//!   bytes        0        4        8        12      16
//!   mapped       0 ····················· ffff [v4   ]     ::ffff:0:0/96      RFC 4291 section 2.5.5.2
//!   compatible   0 ·························· [v4   ]     ::/96              RFC 4291 section 2.5.5.1
//!   translated   0 ·············· ffff 0 0    [v4   ]     ::ffff:0:0:0/96    RFC 2765 section 2.1
//!   NAT64        0064 ff9b 0 ················ [v4   ]     64:ff9b::/96       RFC 6052 section 2.1
//!   NAT64        0064 ff9b 0001 .. one of the four layouts below          64:ff9b:1::/48, RFC 8215
//!   6to4         2002 [v4   ] ···                         2002::/16          RFC 3056 section 2
//!   Teredo       2001 0000 [server] ···      [client]     2001::/32          RFC 4380 section 4
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns the IPv4 addresses that an address embeds; none if it is an IPv4 address itself.
///
/// A Teredo address embeds two, and what lies in `64:ff9b:1::/48` can be read in four ways, because the operator
/// of the translator chooses the length of the prefix (RFC 8215 section 5): all readings count.
///
/// ```
/// use stage4_proxy::access::embedded;
///
/// let [first, ..] = embedded("64:ff9b::7f00:1".parse().unwrap());
/// assert_eq!(first, Some([127, 0, 0, 1].into()));
/// ```
#[must_use]
pub fn embedded(address: IpAddr) -> [Option<Ipv4Addr>; MOST] {
    let IpAddr::V6(address) = address else {
        return [None; MOST];
    };
    let bytes = address.octets();
    match address.segments() {
        // The unspecified address and loopback are addresses of IPv6 (RFC 4291 sections 2.5.2 and 2.5.3).
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None; MOST],
        [0, 0, 0, 0, 0, 0 | 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..] => one(at(bytes, [12, 13, 14, 15])),
        [0x64, 0xff9b, 1, ..] => local_nat64(bytes),
        [0x2002, ..] => one(at(bytes, [2, 3, 4, 5])),
        [0x2001, 0, ..] => teredo(address),
        _ => [None; MOST],
    }
}

/// The most IPv4 addresses in one address.
const MOST: usize = 4;

/// Where an IPv4 address lies behind a prefix of 48, 56, 64 and 96 bits: byte 8 stays zero (RFC 6052 section 2.2).
const LAYOUTS: [[usize; 4]; MOST] = [
    [6, 7, 9, 10],
    [7, 9, 10, 11],
    [9, 10, 11, 12],
    [12, 13, 14, 15],
];

/// Reads the address in every layout. What begins with a zero is no reading, because the unused bytes of the
/// other layouts are zero, and a router does not forward packets to `0.0.0.0/8` (RFC 1122 section 3.2.1.3).
fn local_nat64(bytes: [u8; 16]) -> [Option<Ipv4Addr>; MOST] {
    let is_reading = |address: &Ipv4Addr| address.octets()[0] != 0;
    let readings = LAYOUTS.map(|layout| Some(at(bytes, layout)).filter(is_reading));
    if readings.iter().any(Option::is_some) {
        return readings;
    }
    let [.., last] = LAYOUTS;
    one(at(bytes, last))
}

/// A client of Teredo is written with all bits flipped, so that no translator on its way changes it.
fn teredo(address: Ipv6Addr) -> [Option<Ipv4Addr>; MOST] {
    let server = at(address.octets(), [4, 5, 6, 7]);
    let client = at(address.octets(), [12, 13, 14, 15]);
    let client = Ipv4Addr::from_bits(!client.to_bits());
    [Some(server), Some(client), None, None]
}

fn at(bytes: [u8; 16], places: [usize; 4]) -> Ipv4Addr {
    places.map(|place| bytes[place]).into()
}

fn one(address: Ipv4Addr) -> [Option<Ipv4Addr>; MOST] {
    [Some(address), None, None, None]
}
