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
//! A request in absolute form is rewritten to origin form, its fields for this connection only are removed, and
//! its body and the response are framed ([`http`](crate::http)). So a client connection carries any number of
//! them, to the same target or to others, and a CONNECT behind them:
//!
//! ```text
//!          a head            connected            both complete
//!   Head ─────────▶ (target) ─────────▶ Exchange ───────────────▶ Head ...
//!    │ CONNECT                             │ the response says "close", or the request is not complete
//!    ▼                                     ▼
//!   Tunnel                               closed
//! ```
//!
//! The connection to the target is kept for the client's next request, if that goes to the same target and may be sent
//! twice ([`keeping`](crate::session::keeping)). Each other request is a new one in every way: it is judged by the access
//! rules, has its target looked up, and dials a connection of its own. A client's last request asks the target to close
//! after its response. Requests that come early (pipelining) wait for their turn in the client's socket.
//!
//! `Expect` and interim responses pass. `Upgrade` does not: the proxy offers CONNECT for other protocols, as
//! browsers use it for WebSocket, and without it a target answers in HTTP (RFC 9110 section 7.8).
//!
//! If there are users, a request needs the name and the password of one in `Proxy-Authorization: Basic` (RFC 7617);
//! otherwise it gets 407 (RFC 9110 section 15.5.8). The field goes no further.
//!
//! What does not work is told in HTTP, with a sentence in the body: also that a target has the request and is silent for
//! `--idle-timeout` (504), as long as no part of its response has gone to the client. Such a reply closes the connection.
//! It could be kept if the rest of the request were read and dropped first; but that rest may be large, or never come, and
//! to a client that has just failed a new connection costs little. While the proxy drains, each response says that it is the
//! last.

mod credentials;
mod reply;
mod request;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::access::{User, Users};
use crate::http::exchange::{Exchange, Upload};
use crate::http::head::{HeadFinder, NoHead};
use crate::http::proxy_name::ProxyName;
use crate::http::response::Response;
use crate::http::{Invalid, MAX_HEAD, Message};
use crate::ingress::http::credentials::{Credentials, Unproved};
use crate::ingress::http::reply::{ESTABLISHED, Status, challenge};
use crate::ingress::http::request::{Refusal, Request, Way};
use crate::ingress::{Client, Failure, Handshake, Ingress, Opening, Step};

/// Lets every client choose its target with an HTTP request, or every user if there are any.
#[derive(Clone, Debug, Default)]
pub struct Http {
    users: Option<Users>,
    name: ProxyName,
    keeps_targets: bool,
}

impl Http {
    /// Creates the ingress for `users`, or for all clients without them.
    #[must_use]
    pub fn new(users: Option<Users>) -> Self {
        Self {
            users,
            ..Self::default()
        }
    }

    /// Keeps a target's connection for the client's next request, and so does not ask the target to close it.
    #[must_use]
    pub fn keeping_targets(self) -> Self {
        Self {
            keeps_targets: true,
            ..self
        }
    }

    /// Sets the name under which requests and responses are passed on, and a password is asked for.
    #[must_use]
    pub fn named(self, name: ProxyName) -> Self {
        Self { name, ..self }
    }
}

impl Ingress for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn open(&self, _: &Client<'_>) -> Opening {
        Opening::Handshake(Box::new(HttpHandshake {
            users: self.users.clone(),
            name: self.name,
            keeps_targets: self.keeps_targets,
            ..HttpHandshake::default()
        }))
    }

    fn over_limit(&self) -> Vec<u8> {
        let why = "your address has as many connections as this proxy allows it";
        Status::TooManyRequests.reply(why, false)
    }
}

/// The handshake of one client: the head of its next request.
#[derive(Debug, Default)]
struct HttpHandshake {
    /// Finds the end of the head.
    finder: HeadFinder,
    /// Whether a byte of the head has come.
    has_begun: bool,
    /// What the client wants, once its head is complete.
    way: Option<Way>,
    /// Whether its request is a HEAD, to which no response has a body.
    head_only: bool,
    /// Those that may come; `None` for all clients.
    users: Option<Users>,
    /// The one that has come.
    user: Option<Arc<User>>,
    /// The name of the proxy.
    name: ProxyName,
    /// Whether the target's connection is kept for the next request.
    keeps_targets: bool,
}

impl HttpHandshake {
    /// Reads the head in `input[begin..end]`.
    fn read(&mut self, input: &[u8], begin: usize, end: usize) -> Step {
        let request = match Request::parse(&input[begin..end], self.name, self.keeps_targets) {
            Ok(request) => request,
            Err(Refusal { status, why }) => return refuse(input, status, why),
        };
        self.way = Some(request.way);
        self.head_only = request.asked.head_only;
        if let Err(unproved) = self.authenticate(&request.credentials) {
            let reply = challenge(self.name, &unproved.to_string(), self.head_only);
            return unproved.step(input.len(), reply);
        }
        match request.way {
            Way::Tunnel => Step::connect(end, request.target),
            Way::Forward => forward(request, &input[end..], input.len())
                .unwrap_or_else(|Invalid(why)| refuse(input, Status::BadRequest, why)),
        }
    }

    /// Checks the name and the password, if there are users.
    fn authenticate(&mut self, credentials: &Credentials) -> Result<(), Unproved> {
        if let Some(users) = &self.users {
            self.user = Some(credentials.prove(users)?);
        }
        Ok(())
    }
}

impl Handshake for HttpHandshake {
    fn advance(&mut self, input: &[u8]) -> Step {
        if self.way.is_some() {
            return Step::more();
        }
        self.has_begun |= !input.trim_ascii_start().is_empty();
        match self.finder.find(input, MAX_HEAD) {
            Ok(Some((begin, end))) => self.read(input, begin, end),
            Ok(None) | Err(_) if request::is_none(input) => refuse(
                input,
                Status::BadRequest,
                "this is a proxy for HTTP, and the request is none",
            ),
            // They are no part of a request, so a client that has sent them has not begun.
            Ok(None) => Step {
                consumed: self.finder.take_empty_lines(),
                ..Step::more()
            },
            Err(NoHead::BareLineFeed) => {
                refuse(input, Status::BadRequest, "a line ends in LF without CR")
            }
            Err(NoHead::TooLarge) => Step::too_long(input.len()),
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
        if !self.has_begun {
            return Vec::new();
        }
        Status::from(failure).reply(&failure.to_string(), self.head_only)
    }

    fn begin_again(&mut self) {
        *self = Self {
            users: self.users.take(),
            name: self.name,
            keeps_targets: self.keeps_targets,
            ..Self::default()
        };
    }

    fn user(&self) -> Option<Arc<User>> {
        self.user.clone()
    }
}

/// Forwards a request: its head as it was rewritten, and of its body what has come.
///
/// # Errors
///
/// Fails if what has come is not valid.
fn forward(request: Request, rest: &[u8], consumed: usize) -> Result<Step, Invalid> {
    let mut upload = Upload::new(request.body);
    let body = upload.look(rest)?.verbatim;
    let response = Response::new(request.asked).named(request.name);
    let head = request.may_repeat.then(|| request.forward.clone());
    Ok(Step {
        forward: [&request.forward, &rest[body]].concat(),
        exchange: Some(Box::new(Exchange::new(upload, response, head))),
        ..Step::connect(consumed, request.target)
    })
}

/// Ends the session of a client whose request is refused.
fn refuse(input: &[u8], status: Status, why: &'static str) -> Step {
    Step::refuse(input.len(), status.reply(why, false), why)
}

#[cfg(test)]
mod tests;
