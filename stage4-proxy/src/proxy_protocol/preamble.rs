//! The handshake before every other: a header that says who the client is.

use std::net::SocketAddr;

use crate::ingress::{Failure, Handshake, Step};
use crate::proxy_protocol::header::Parsed;
use crate::proxy_protocol::version::parse;

/// Waits for the header of a peer that speaks for its clients.
///
/// The protocol has no reply, so a peer without a header is reset.
#[derive(Debug)]
pub(crate) struct Preamble;

impl Handshake for Preamble {
    fn advance(&mut self, input: &[u8]) -> Step {
        match parse(input) {
            Parsed::Incomplete => Step::more(),
            Parsed::Complete { origin, length } => Step::identified(length, origin),
            Parsed::Malformed(why) => {
                let why = format!("no PROXY protocol header of a peer in --accept-proxy: {why}");
                Step::refuse(input.len(), Vec::new(), why)
            }
        }
    }

    fn connected(&mut self, _local: Option<SocketAddr>) -> Vec<u8> {
        Vec::new()
    }

    fn failed(&mut self, _failure: &Failure<'_>) -> Vec<u8> {
        Vec::new()
    }
}
