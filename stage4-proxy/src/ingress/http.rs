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
//! removed, and the target is asked to close after its response. Only the bytes of this one request go
//! up: a client connection carries one of them, because the next one may be for another host. A client
//! that sends a further request is closed after the response, and opens another connection, as it would
//! with a server that closes.
//!
//! If there are users, a request needs the name and the password of one in `Proxy-Authorization: Basic` (RFC 7617);
//! otherwise it gets 407 (RFC 9110 section 15.5.8). The field goes no further.
//!
//! What does not work is told in HTTP, with a sentence in the body.

mod credentials;
mod reply;
mod request;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::access::{User, Users};
use crate::ingress::http::credentials::{Credentials, Unproved};
use crate::ingress::http::reply::{ESTABLISHED, Status};
use crate::ingress::http::request::{Refusal, Request, Way};
use crate::ingress::{Client, Failure, Handshake, Ingress, Opening, Step};

/// The most bytes of a head. Servers take 8 to 32 KiB, and cookies make heads long.
const MAX_HEAD: usize = 32 * 1024;

/// Lets every client choose its target with an HTTP request, or every user if there are any.
#[derive(Clone, Debug, Default)]
pub struct Http {
    users: Option<Users>,
}

impl Http {
    /// Creates the ingress for `users`, or for all clients without them.
    #[must_use]
    pub fn new(users: Option<Users>) -> Self {
        Self { users }
    }
}

impl Ingress for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn open(&self, _: &Client<'_>) -> Opening {
        let users = self.users.clone();
        Opening::Handshake(Box::new(HttpHandshake {
            users,
            ..HttpHandshake::default()
        }))
    }

    fn over_limit(&self) -> Vec<u8> {
        let why = "your address has as many connections as this proxy allows it";
        Status::TooManyRequests.reply(why, false)
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
    /// Those that may come; `None` for all clients.
    users: Option<Users>,
    /// The one that has come.
    user: Option<Arc<User>>,
}

impl HttpHandshake {
    /// Reads the head in `input[begin..end]`.
    fn read(&mut self, input: &[u8], begin: usize, end: usize) -> Step {
        let request = match Request::parse(&input[begin..end]) {
            Ok(request) => request,
            Err(Refusal { status, why }) => {
                return Step::refuse(input.len(), status.reply(why, self.head_only), why);
            }
        };
        self.way = Some(request.way);
        self.head_only = request.head_only;
        if let Err(unproved) = self.authenticate(&request.credentials) {
            let status = Status::ProxyAuthenticationRequired;
            let reply = status.reply(&unproved.to_string(), self.head_only);
            return unproved.step(input.len(), reply);
        }
        match request.way {
            Way::Tunnel => Step::connect(end, request.target),
            Way::Forward => forward(request, &input[end..], input.len()),
        }
    }

    /// Checks the name and the password, if there are users.
    fn authenticate(&mut self, credentials: &Credentials) -> Result<(), Unproved> {
        if let Some(users) = &self.users {
            self.user = Some(credentials.prove(users)?);
        }
        Ok(())
    }

    /// Finds the empty line that ends the head that begins at `begin`, and returns the end of the head.
    fn find_end(&mut self, input: &[u8], begin: usize) -> Option<usize> {
        let end = b"\r\n\r\n";
        // The end may have come in two reads.
        let from = self.searched.saturating_sub(end.len() - 1).max(begin);
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
        let begin = empty_lines(input);
        match self.find_end(input, begin) {
            Some(end) if end <= MAX_HEAD => self.read(input, begin, end),
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
        // Browsers connect in advance: an answer that nothing has asked for could be taken for that of
        // the first request.
        if self.searched == 0 {
            return Vec::new();
        }
        Status::from(failure).reply(&failure.to_string(), self.head_only)
    }

    fn user(&self) -> Option<Arc<User>> {
        self.user.clone()
    }
}

/// Forwards a request: its head as it was rewritten, and of its body what has come.
///
/// Bytes behind the body are no part of it. They are dropped, and the connection is closed after the
/// response, so that the client sends them again over another one.
fn forward(request: Request, rest: &[u8], consumed: usize) -> Step {
    let length = usize::try_from(request.body).unwrap_or(usize::MAX);
    let body = &rest[..rest.len().min(length)];
    Step {
        forward: [&request.forward, body].concat(),
        upload: Some(request.body - body.len() as u64),
        ..Step::connect(consumed, request.target)
    }
}

/// Returns the length of the empty lines before a request, which are ignored (RFC 9112 section 2.2).
fn empty_lines(input: &[u8]) -> usize {
    let lines = input.chunks(2).take_while(|line| *line == b"\r\n");
    2 * lines.count()
}

#[cfg(test)]
mod tests;
