//! The PROXY protocol: how a proxy tells the next one who the client is.
//!
//! A relay hides its clients: the server behind it sees the relay's address only. So the relay writes one
//! header in front of the first byte of each connection. Version 1 is a line of text, version 2 is binary
//! (HAProxy's `proxy-protocol.txt`, sections 2.1 and 2.2):
//!
//! ```text
//!   v1   PROXY TCP4 192.0.2.7 198.51.100.1 50312 443\r\n          at most 107 bytes
//!              │    │         │            │     └ destination port
//!              │    │         │            └ source port
//!              │    │         └ destination: the address that the client has connected to
//!              │    └ source: the client
//!              └ TCP4, TCP6 or UNKNOWN; behind UNKNOWN the rest of the line means nothing
//!
//!   v2   0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a   a signature that no other protocol begins with
//!        2 │ command       0 LOCAL, 1 PROXY
//!        family │ transport                     0 none, 1 IPv4, 2 IPv6, 3 Unix │ 0 none, 1 stream, 2 datagram
//!        length, big-endian                    of everything behind it
//!        source │ destination │ source port │ destination port
//!        TLVs                                  further facts, which we skip
//! ```
//!
//! # Trust
//!
//! Everyone can write such a header, so it proves nothing by itself: the address counts because of the
//! machine that has sent it. `--accept-proxy` names the networks of these machines. From them a header is
//! demanded, and a connection that begins with anything else is reset. From all others the same bytes are
//! payload: nothing is guessed (section 2 demands this, too).

mod binary;
mod flags;
mod header;
mod preamble;
mod text;
mod version;

pub use flags::{ProxyProtocol, ProxyProtocolFlags};
pub use header::{Origin, Parsed};
pub(crate) use preamble::Preamble;
pub use version::{Version, parse};

#[cfg(test)]
mod tests;
