//! The ingress of a hop: a request header of the chain names the next hop, or the target.
//!
//! The header's bytes and the response's are those of [`chain`](crate::chain). What lies behind the
//! header is for the next hop, and is not looked at.

use std::net::SocketAddr;

use crate::chain::{Request, Response, Status};
use crate::ingress::{Client, Datagrams, Failure, Handshake, Ingress, Opening, Step};

/// Makes the proxy a hop of any chain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hop;

impl Ingress for Hop {
    fn name(&self) -> &'static str {
        "hop"
    }

    fn datagrams(&self) -> Option<Datagrams> {
        Some(Datagrams::Hop)
    }

    fn open(&self, _: &Client<'_>) -> Opening {
        Opening::Handshake(Box::<HopHandshake>::default())
    }

    fn over_limit(&self) -> Vec<u8> {
        let text = "your address has too many connections".to_owned();
        let status = Status::LimitReached;
        Response { status, text }.encode()
    }
}

/// The handshake of one client: one header, one response.
#[derive(Debug, Default)]
struct HopHandshake {
    /// Set with the header's last byte: the rest is for the next hop.
    complete: bool,
}

impl Handshake for HopHandshake {
    fn advance(&mut self, input: &[u8]) -> Step {
        if self.complete {
            return Step::more();
        }
        match Request::parse(input) {
            Request::Incomplete => Step::more(),
            Request::Connect { next, length } => {
                self.complete = true;
                Step::connect(length, next)
            }
            Request::Malformed(why) => {
                self.complete = true;
                let status = Status::Malformed;
                let text = why.to_owned();
                Step::refuse(input.len(), Response { status, text }.encode(), why)
            }
        }
    }

    fn connected(&mut self, _local: Option<SocketAddr>) -> Vec<u8> {
        let (status, text) = (Status::Ok, String::new());
        Response { status, text }.encode()
    }

    fn failed(&mut self, failure: &Failure<'_>) -> Vec<u8> {
        let status = match failure {
            Failure::Unreached(error) => Status::from(*error),
            Failure::TooSlow | Failure::TooLong | Failure::BadRequest(_) => Status::Malformed,
            Failure::Silent | Failure::BadResponse(_) => Status::Other,
        };
        let text = failure.to_string();
        Response { status, text }.encode()
    }
}

#[cfg(test)]
mod tests {
    use stage2_client::Target;

    use super::*;
    use crate::connect_error::ConnectError;
    use crate::ingress::Verdict;

    #[test]
    fn the_header_is_taken_and_the_rest_left() {
        let next: Target = "b.example:2".parse().unwrap();
        let header = Request::encode(&next);
        let mut handshake = HopHandshake::default();
        assert!(handshake.advance(&header[..5]).verdict.is_more());
        let step = handshake.advance(&[&header[..], b"the rest"].concat());
        assert_eq!(step.consumed, header.len());
        assert!(matches!(step.verdict, Verdict::Connect(target) if *target == next));
        assert_eq!(handshake.connected(None), [1, 0, 0]);
        assert!(handshake.advance(b"the rest").verdict.is_more());
    }

    #[test]
    fn a_failure_is_a_response_with_its_reason() {
        let mut handshake = HopHandshake::default();
        let reply = handshake.failed(&Failure::Unreached(&ConnectError::Refused));
        assert_eq!(reply, b"\x01\x02\x12connection refused");
        let step = handshake.advance(b"GET / HTTP/1.1\r\n");
        assert_eq!(step.reply[..2], [1, 6]);
        assert!(matches!(step.verdict, Verdict::Refuse(_)));
    }
}
