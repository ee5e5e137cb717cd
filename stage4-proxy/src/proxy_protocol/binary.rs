//! Version 2: binary.

use std::net::{IpAddr, SocketAddr};

use crate::proxy_protocol::header::{Origin, Parsed};

/// The first bytes of every header.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, one byte of version and command, one of family and transport, two of length.
const FIXED: usize = SIGNATURE.len() + 4;
/// The most bytes behind the fixed part: room for the addresses and for TLVs of a certificate's size, while a
/// peer cannot make us keep 64 KiB before it has said anything.
pub(super) const MAX_LENGTH: usize = 4096;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;
/// Datagrams over IPv4, IPv6 and Unix sockets.
const DATAGRAMS: [u8; 3] = [0x12, 0x22, 0x32];
/// Two paths of 108 bytes each.
const UNIX_ADDRESSES: usize = 216;

/// Parses a header that begins with [`SIGNATURE`].
pub(super) fn parse(input: &[u8]) -> Parsed {
    let &[command, family, high, low] = &input[SIGNATURE.len()..input.len().min(FIXED)] else {
        return Parsed::Incomplete;
    };
    if command != LOCAL && command != PROXY {
        return Parsed::Malformed("its version or command is unknown");
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_LENGTH {
        return Parsed::Malformed("it is longer than 4096 bytes");
    }
    let Some(rest) = input.get(FIXED..FIXED + length) else {
        return Parsed::Incomplete;
    };
    let origin = match command {
        // The connection is the sender's own, and the addresses mean nothing (section 2.2).
        LOCAL => Ok(Origin::Sender),
        _ => origin(family, rest),
    };
    match origin {
        Ok(origin) => Parsed::Complete {
            origin,
            length: FIXED + length,
        },
        Err(why) => Parsed::Malformed(why),
    }
}

/// Encodes a header; `addresses` are the source and the destination, if both are known.
pub(super) fn encode(addresses: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let (family, block) = match addresses {
        Some((source, destination)) => {
            let family = if source.is_ipv4() { TCP4 } else { TCP6 };
            let ports = [source.port(), destination.port()].map(u16::to_be_bytes);
            let hosts = [octets(source.ip()), octets(destination.ip())].concat();
            (family, [hosts, ports.concat()].concat())
        }
        None => (UNSPECIFIED, Vec::new()),
    };
    // At most 36, so the high byte of the length is zero.
    let length = u8::try_from(block.len()).unwrap_or(u8::MAX);
    [SIGNATURE, &[PROXY, family, 0, length], &block].concat()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Reads the addresses in front of the TLVs.
fn origin(family: u8, rest: &[u8]) -> Result<Origin, &'static str> {
    match family {
        TCP4 => client::<4>(rest),
        TCP6 => client::<16>(rest),
        // A path says nothing about who the client is.
        UNIX_STREAM if rest.len() >= UNIX_ADDRESSES => Ok(Origin::Sender),
        UNSPECIFIED => Ok(Origin::Sender),
        UNIX_STREAM => Err("its addresses are cut off"),
        family if DATAGRAMS.contains(&family) => Err("it is a datagram's, and this is a stream"),
        _ => Err("its address family is unknown"),
    }
}

/// Reads two addresses of `N` bytes, and their ports.
fn client<const N: usize>(rest: &[u8]) -> Result<Origin, &'static str>
where
    IpAddr: From<[u8; N]>,
{
    let cut_off = "its addresses are cut off";
    let (source, rest) = rest.split_first_chunk::<N>().ok_or(cut_off)?;
    let (destination, rest) = rest.split_first_chunk::<N>().ok_or(cut_off)?;
    let (&[a, b, c, d], _tlvs) = rest.split_first_chunk::<4>().ok_or(cut_off)?;
    Ok(Origin::client(
        SocketAddr::new((*source).into(), u16::from_be_bytes([a, b])),
        SocketAddr::new((*destination).into(), u16::from_be_bytes([c, d])),
    ))
}
