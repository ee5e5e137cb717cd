//! Addresses in bytes: how SOCKS5 and the chain write a host and a port (RFC 1928 section 5).
//!
//! ```text
//!    01 │ 4 bytes of IPv4           │ port, big-endian
//!    03 │ n │ n bytes of a name     │ port
//!    04 │ 16 bytes of IPv6          │ port
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use stage2_client::{Host, Target};

/// The type of an address of 4 bytes.
const IPV4: u8 = 1;
/// The type of a name: a length of one byte, then the name without a zero behind it.
const NAME: u8 = 3;
/// The type of an address of 16 bytes.
const IPV6: u8 = 4;

/// What the first bytes of an address are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// A part of one.
    Incomplete,
    /// A whole one of `length` bytes. There is no host if the name is none.
    Complete {
        host: Option<Host>,
        port: u16,
        length: usize,
    },
    /// None: the type is unknown, and with it the length.
    UnknownType,
}

/// Parses an address from the first bytes of `input`, and leaves those behind its port.
///
/// Its length follows from its first byte or two, so nothing is decided before its last byte is there,
/// except that the type is unknown. [`host`] reads the bytes between.
pub(crate) fn parse(input: &[u8]) -> Parsed {
    let (begin, end) = match *input {
        [IPV4, ..] => (1, 1 + 4),
        [NAME, length, ..] => (2, 2 + usize::from(length)),
        [IPV6, ..] => (1, 1 + 16),
        [] | [NAME] => return Parsed::Incomplete,
        [_, ..] => return Parsed::UnknownType,
    };
    match input.get(end..end + 2) {
        Some(&[high, low]) => Parsed::Complete {
            host: host(&input[begin..end], input[0]),
            port: u16::from_be_bytes([high, low]),
            length: end + 2,
        },
        Some(_) | None => Parsed::Incomplete,
    }
}

/// Reads the host; `None` if the name is none.
///
/// A name may also be an address in text: `curl --socks5-hostname` sends every target as a name.
fn host(bytes: &[u8], kind: u8) -> Option<Host> {
    let four = <[u8; 4]>::try_from(bytes).map(Ipv4Addr::from);
    let sixteen = <[u8; 16]>::try_from(bytes).map(Ipv6Addr::from);
    match (kind, four, sixteen) {
        (IPV4, Ok(address), _) => Some(Host::Address(address.into())),
        (IPV6, _, Ok(address)) => Some(Host::Address(address.into())),
        _ => {
            let name = str::from_utf8(bytes).ok()?;
            let address = name.parse::<IpAddr>().map(Host::Address);
            address.or_else(|_| name.parse()).ok()
        }
    }
}

/// Encodes the address of a socket, as [`parse`] reads it.
pub(crate) fn encode(address: SocketAddr) -> Vec<u8> {
    let (host, port) = (encode_ip(address.ip()), address.port());
    [&host[..], &port.to_be_bytes()].concat()
}

/// Encodes a target; a name is at most 253 bytes long, as in every [`Target`] that was parsed.
pub(crate) fn encode_target(target: &Target) -> Vec<u8> {
    let host = match &target.host {
        Host::Address(ip) => encode_ip(*ip),
        Host::Name(name) => {
            // An IPv6 address with a zone is a name for us, and is one with brackets only.
            let name = if name.contains('%') {
                &format!("[{name}]")
            } else {
                name
            };
            let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
            let bytes = &name.as_bytes()[..usize::from(length)];
            [&[NAME, length], bytes].concat()
        }
    };
    [&host[..], &target.port.to_be_bytes()].concat()
}

/// Encodes the type and the bytes of an address, without a port.
fn encode_ip(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => [&[IPV4], &ip.octets()[..]].concat(),
        IpAddr::V6(ip) => [&[IPV6], &ip.octets()[..]].concat(),
    }
}
