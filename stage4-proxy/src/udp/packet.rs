//! The datagrams between a client and its association (RFC 1928 section 7).
//!
//! ```text
//!    00 │ 00 │ frag │ address │ payload
//! ```
//!
//! On the way up, the address is the target's; on the way down, it is the sender's. The address is that of RFC 1928
//! section 5.

use std::net::SocketAddr;

use stage2_client::Target;

use crate::udp::counts::Dropped;
use crate::wire_address::{self, Parsed};

/// The longest header with an address and no name: three bytes, a type, 16 bytes of IPv6 and a port.
const LONGEST: usize = 3 + 1 + 16 + 2;

/// Reads the header of a client's datagram, and returns the target with the place where the payload begins.
///
/// # Errors
///
/// Fails if there is no header, or if the datagram is a fragment: a proxy that does not put fragments together must
/// drop them (RFC 1928 section 7).
pub(super) fn parse(datagram: &[u8]) -> Result<(Target, usize), Dropped> {
    let address = match datagram {
        [0, 0, 0, address @ ..] => address,
        [0, 0, _, ..] => return Err(Dropped::Fragment),
        [..] => return Err(Dropped::Malformed),
    };
    match wire_address::parse(address) {
        Parsed::Complete {
            host: Some(host),
            port,
            length,
        } if port != 0 => Ok((Target { host, port }, 3 + length)),
        // A datagram is whole: the rest of an address never comes.
        Parsed::Complete { .. } | Parsed::Incomplete | Parsed::UnknownType => {
            Err(Dropped::Malformed)
        }
    }
}

/// The header in front of an answer, without an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Header {
    /// Encodes the header of an answer that `sender` has sent.
    pub(super) fn of(sender: SocketAddr) -> Self {
        let address = wire_address::encode(sender);
        let mut bytes = [0; LONGEST];
        let length = 3 + address.len();
        bytes[3..length].copy_from_slice(&address);
        Self { bytes, length }
    }

    /// Returns the header's bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Encodes the header of an answer from a target that the client has named itself.
pub(super) fn encode(target: &Target) -> Vec<u8> {
    [&[0; 3], &wire_address::encode_target(target)[..]].concat()
}

#[cfg(test)]
mod tests {
    use harness::expect_value;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_names_its_target() {
        let table: [(&[u8], _, _); 2] = [
            (b"\0\0\0\x01\x7f\0\0\x01\0\x35query", "127.0.0.1:53", 10),
            (b"\0\0\0\x03\x07example\0\x35", "example:53", 14),
        ];
        for (datagram, target, start) in table {
            let parsed = parse(datagram).map(|(target, start)| (target.to_string(), start));
            expect_value(
                format!(
                    "What the header of {:?} says",
                    datagram.escape_ascii().to_string()
                ),
                &Ok((target.to_owned(), start)),
                &parsed,
                "behind three bytes of its own it is an address as in a request.",
            );
        }
    }

    #[test]
    fn what_is_none_is_dropped_with_its_reason() {
        let table: [(&[u8], Dropped); 9] = [
            (b"", Dropped::Malformed),
            (b"\0\0", Dropped::Malformed),
            (b"\0\0\0", Dropped::Malformed),
            (b"\0\0\x01\x01\x7f\0\0\x01\0\x35", Dropped::Fragment),
            (b"\0\0\x80\x01\x7f\0\0\x01\0\x35", Dropped::Fragment),
            (b"\x01\0\0\x01\x7f\0\0\x01\0\x35", Dropped::Malformed),
            (b"\0\0\0\x01\x7f\0\0\x01\0", Dropped::Malformed),
            (b"\0\0\0\x02\x7f\0\0\x01\0\x35", Dropped::Malformed),
            (b"\0\0\0\x01\x7f\0\0\x01\0\0", Dropped::Malformed),
        ];
        for (datagram, why) in table {
            expect_value(
                format!("What is made of the datagram {datagram:?}"),
                &Err(why),
                &parse(datagram),
                "an address that is not complete, of an unknown type or with port 0 is malformed.",
            );
        }
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(ip: std::net::IpAddr, port in 1..=u16::MAX, payload: Vec<u8>) {
            let header = Header::of((ip, port).into());
            let datagram = [header.bytes(), &payload].concat();
            let (target, start) = parse(&datagram).unwrap();
            prop_assert_eq!(encode(&target), header.bytes());
            prop_assert_eq!(&datagram[start..], &payload[..]);
        }

        #[test]
        fn arbitrary_bytes_are_a_header_or_none(datagram: Vec<u8>, zeros in 0..4_usize) {
            let datagram = [&vec![0; zeros][..], &datagram].concat();
            if let Ok((_, start)) = parse(&datagram) {
                prop_assert!(start <= datagram.len());
                prop_assert_eq!(&datagram[..3], &[0; 3]);
            }
        }
    }
}
