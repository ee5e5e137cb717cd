//! Version 1: a line of text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::proxy_protocol::header::{Origin, Parsed};

/// The first bytes of every line.
pub(super) const PREFIX: &[u8] = b"PROXY ";
/// The longest line, with its end (section 2.1): that of `UNKNOWN` with two full IPv6 addresses.
pub(super) const MAX_LINE: usize = 107;

/// Parses a line that begins with [`PREFIX`].
pub(super) fn parse(input: &[u8]) -> Parsed {
    let window = &input[..input.len().min(MAX_LINE)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        if window.len() == MAX_LINE {
            return Parsed::Malformed("the line is longer than 107 bytes");
        }
        return Parsed::Incomplete;
    };
    match origin(&window[PREFIX.len()..end]) {
        Some(origin) => Parsed::Complete {
            origin,
            length: end + 2,
        },
        None => Parsed::Malformed("the line has no addresses of its family"),
    }
}

/// Encodes a line; `addresses` are the source and the destination, if both are known.
pub(super) fn encode(addresses: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let line = match addresses {
        Some((source, destination)) => {
            let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from, to) = (source.ip(), destination.ip());
            let ports = (source.port(), destination.port());
            format!("PROXY {family} {from} {to} {} {}\r\n", ports.0, ports.1)
        }
        None => "PROXY UNKNOWN\r\n".to_owned(),
    };
    line.into_bytes()
}

/// Reads the line behind [`PREFIX`].
fn origin(line: &[u8]) -> Option<Origin> {
    // Nothing behind the word is looked at, because an older sender may write anything there.
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return Some(Origin::Sender);
    }
    let line = str::from_utf8(line).ok()?;
    let fields: Vec<_> = line.split(' ').collect();
    let &[family, source, destination, from, to] = &fields[..] else {
        return None;
    };
    let address = match family {
        "TCP4" => address::<Ipv4Addr>,
        "TCP6" => address::<Ipv6Addr>,
        _ => return None,
    };
    Some(Origin::client(
        SocketAddr::new(address(source)?, port(from)?),
        SocketAddr::new(address(destination)?, port(to)?),
    ))
}

fn address<A: FromStr + Into<IpAddr>>(text: &str) -> Option<IpAddr> {
    text.parse::<A>().ok().map(Into::into)
}

/// Reads a port: decimal, without a sign and without leading zeros.
fn port(text: &str) -> Option<u16> {
    let port: u16 = text.parse().ok()?;
    (port.to_string() == text).then_some(port)
}
