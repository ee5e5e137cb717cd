//! The request for a way for datagrams (RFC 1928 section 4, UDP ASSOCIATE).

use std::net::SocketAddr;

use stage2_client::Host;

use crate::ingress::socks5::reply::VERSION;
use crate::wire_address::{self, Parsed};

/// The command.
const UDP_ASSOCIATE: u8 = 3;

/// What the first bytes of a request for datagrams are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Associate {
    /// A part of one.
    Incomplete,
    /// A whole one of `length` bytes. The client says where it will send from, if it knows.
    Complete {
        hint: Option<SocketAddr>,
        length: usize,
    },
    /// None, because the type of the address is unknown.
    UnknownType,
}

impl Associate {
    /// Parses a request from the first bytes of `input`; `None` if they ask for something else, or do not tell yet.
    ///
    /// ```text
    ///    05 │ 03 │ 00 │ address
    /// ```
    /// A client that does not know its address yet sends zeros; a name says nothing.
    pub(super) fn parse(input: &[u8]) -> Option<Self> {
        let address = match input {
            [VERSION, UDP_ASSOCIATE, _, address @ ..] => address,
            [VERSION, UDP_ASSOCIATE] => return Some(Self::Incomplete),
            [..] => return None,
        };
        Some(match wire_address::parse(address) {
            Parsed::Incomplete => Self::Incomplete,
            Parsed::UnknownType => Self::UnknownType,
            Parsed::Complete { host, port, length } => Self::Complete {
                hint: match host {
                    Some(Host::Address(ip)) => Some((ip, port).into()),
                    Some(Host::Name(_)) | None => None,
                },
                length: 3 + length,
            },
        })
    }
}
