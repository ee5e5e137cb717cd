//! The two versions: which one a peer speaks, and which one we do.

use std::net::{IpAddr, SocketAddr};

use clap::ValueEnum;

use crate::proxy_protocol::header::Parsed;
use crate::proxy_protocol::{binary, text};

/// A version of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Version {
    /// A line of text
    V1,
    /// Binary
    V2,
}

/// Parses a header of either version from the first bytes of `input`; of the second one at most 4096 bytes may follow
/// the first 16.
///
/// Nothing is decided before the last byte of the header is there, except that it is none.
#[must_use]
pub fn parse(input: &[u8]) -> Parsed {
    if input.starts_with(text::PREFIX) {
        text::parse(input)
    } else if input.starts_with(binary::SIGNATURE) {
        binary::parse(input)
    } else if text::PREFIX.starts_with(input) || binary::SIGNATURE.starts_with(input) {
        Parsed::Incomplete
    } else {
        Parsed::Malformed("the first bytes are those of another protocol")
    }
}

impl Version {
    /// Encodes the header for a connection that relays one from `source`, the client, to `destination`, the address
    /// that it has connected to; without both it says that they are not known.
    #[must_use]
    pub fn encode(self, source: Option<SocketAddr>, destination: Option<SocketAddr>) -> Vec<u8> {
        let addresses = source.zip(destination).map(of_one_family);
        match self {
            Self::V1 => text::encode(addresses),
            Self::V2 => binary::encode(addresses),
        }
    }
}

/// Writes an IPv4 address as one of IPv6 if the other one is, because a header has one family for both.
fn of_one_family((source, destination): (SocketAddr, SocketAddr)) -> (SocketAddr, SocketAddr) {
    if source.is_ipv4() == destination.is_ipv4() {
        return (source, destination);
    }
    (mapped(source), mapped(destination))
}

fn mapped(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    SocketAddr::new(ip.into(), address.port())
}
