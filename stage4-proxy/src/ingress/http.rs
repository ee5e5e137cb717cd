//! The HTTP ingress: what browsers, curl and package managers call an HTTP proxy.
//!
//! ```text
//!   CONNECT example.org:443 HTTP/1.1          a tunnel (RFC 9110 section 9.3.6)
//!     connect, then  HTTP/1.1 200 ...         all further bytes are relayed, both ways
//!
//!   GET http://example.org/a HTTP/1.1         a request in absolute form (RFC 9112 section 3.2.2)
//!     connect, then  GET /a HTTP/1.1          goes to the target, and the response comes back
//! ```
//!
//! A request in absolute form is rewritten to origin form, its fields for this connection only are
//! removed, and the target is asked to close after its response: so a client connection carries one
//! such request, and no byte behind it can be taken for another client's. A client that wants more
//! opens another connection, as it would with a server that closes.
//!
//! What does not work is told in HTTP, with a sentence in the body.

mod reply;
mod request;

use std::net::SocketAddr;

use crate::ingress::http::reply::{ESTABLISHED, Status};
use crate::ingress::http::request::{Refusal, Request, Way};
use crate::ingress::{Client, Failure, Handshake, Ingress, Opening, Step};

/// The most bytes of a head. Servers take 8 to 32 KiB, and cookies make heads long.
const MAX_HEAD: usize = 32 * 1024;

/// Lets every client choose its target with an HTTP request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Http;

impl Ingress for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn open(&self, _: &Client<'_>) -> Opening {
        Opening::Handshake(Box::<HttpHandshake>::default())
    }
}

/// The handshake of one client: the head of its first request.
#[derive(Debug, Default)]
struct HttpHandshake {
    /// How many bytes were searched for the end of the head, so that none is searched twice.
    searched: usize,
    /// What the client wants, once its head is complete.
    way: Option<Way>,
    /// Whether its request is a HEAD, to which no response has a body.
    head_only: bool,
}

impl HttpHandshake {
    fn read(&mut self, head: &[u8]) -> Step {
        match Request::parse(head) {
            Ok(request) => {
                self.way = Some(request.way);
                self.head_only = request.head_only;
                Step {
                    forward: request.forward,
                    ..Step::connect(head.len(), request.target)
                }
            }
            Err(Refusal { status, why }) => {
                Step::refuse(head.len(), status.reply(why, self.head_only), why)
            }
        }
    }

    /// Finds the empty line that ends the head, and returns the length of the head.
    fn find_end(&mut self, input: &[u8]) -> Option<usize> {
        let end = b"\r\n\r\n";
        // The end may have come in two reads.
        let from = self.searched.saturating_sub(end.len() - 1);
        self.searched = input.len();
        let place = input[from..].windows(end.len()).position(|it| it == end)?;
        Some(from + place + end.len())
    }
}

impl Handshake for HttpHandshake {
    fn advance(&mut self, input: &[u8]) -> Step {
        if self.way.is_some() {
            return Step::more();
        }
        match self.find_end(input) {
            Some(end) if end <= MAX_HEAD => self.read(&input[..end]),
            None if input.len() < MAX_HEAD && !request::is_none(input) => Step::more(),
            None if request::is_none(input) => {
                let why = "this is a proxy for HTTP, and the request is none";
                let reply = Status::BadRequest.reply(why, false);
                Step::refuse(input.len(), reply, why)
            }
            Some(_) | None => Step::too_long(input.len()),
        }
    }

    fn connected(&mut self, _local: Option<SocketAddr>) -> Vec<u8> {
        match self.way {
            Some(Way::Tunnel) => ESTABLISHED.to_vec(),
            // The target's own response is the answer.
            Some(Way::Forward) | None => Vec::new(),
        }
    }

    fn failed(&mut self, failure: &Failure<'_>) -> Vec<u8> {
        Status::from(failure).reply(&failure.to_string(), self.head_only)
    }
}

#[cfg(test)]
mod tests;
