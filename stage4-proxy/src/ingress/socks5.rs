//! The SOCKS5 ingress: the client names its target in a request of bytes (RFC 1928).
//!
//! ```text
//!   client                                   proxy
//!     │  05 │ n │ n methods                    │
//!     ├───────────────────────────────────────▶│  which ways of authentication do you know?
//!     │◀───────────────────────────────────────┤
//!     │                            05 │ method │  00 none is needed, 02 name and password, FF none fits
//!     │  01 │ n │ name │ n │ password           │  after 02 only (RFC 1929)
//!     ├───────────────────────────────────────▶│
//!     │◀───────────────────────────────────────┤
//!     │                            01 │ status │  00 they are right, otherwise the end
//!     │  05 │ cmd │ 00 │ atyp │ addr │ port    │
//!     ├───────────────────────────────────────▶│  connect me to this target
//!     │◀───────────────────────────────────────┤
//!     │     05 │ rep │ 00 │ atyp │ addr │ port │  00 connected, otherwise why not
//!     │                                        │
//!     │◀─────── bytes of the target ──────────▶│
//! ```
//!
//! A client may send all parts at once, with bytes for the target behind them: each part is read
//! by its length, and what lies behind the request stays for the target.
//!
//! UDP ASSOCIATE is granted with the address of a socket for datagrams, and the connection stays open as long as the
//! client needs it (see `udp`). BIND is refused with reply 07.

mod associate;
mod credentials;
mod reply;
mod request;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::access::{User, Users};
use crate::ingress::socks5::associate::Associate;
use crate::ingress::socks5::credentials::{Credentials, FAILURE, SUCCESS};
use crate::ingress::socks5::reply::{
    METHOD_NONE, METHOD_PASSWORD, METHOD_UNACCEPTABLE, Reply, VERSION,
};
use crate::ingress::socks5::request::Request;
use crate::ingress::{Client, Failure, Handshake, Ingress, Opening, Step};

/// The first byte of a SOCKS4 request, which is another protocol.
const VERSION_4: u8 = 4;

/// The response to a client that speaks HTTP.
const HTTP_400: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Content-Length: 50\r\nConnection: close\r\n\r\nThis proxy speaks SOCKS5 and does not speak HTTP.\n";

/// Lets every client choose its target with SOCKS5, or every user if there are any.
#[derive(Clone, Debug, Default)]
pub struct Socks5 {
    users: Option<Users>,
    refuses_datagrams: bool,
}

impl Socks5 {
    /// Creates the ingress for `users`, or for all clients without them.
    #[must_use]
    pub fn new(users: Option<Users>) -> Self {
        Self {
            users,
            refuses_datagrams: false,
        }
    }

    /// Refuses UDP ASSOCIATE with reply 07, because the way to the targets carries connections only.
    #[must_use]
    pub fn without_datagrams(self) -> Self {
        Self {
            refuses_datagrams: true,
            ..self
        }
    }
}

impl Ingress for Socks5 {
    fn name(&self) -> &'static str {
        "socks5"
    }

    fn open(&self, _: &Client<'_>) -> Opening {
        Opening::Handshake(Box::new(Socks5Handshake {
            refuses_datagrams: self.refuses_datagrams,
            ..Socks5Handshake::new(self.users.clone())
        }))
    }

    /// Says that no method fits, which is all that can be said so early.
    fn over_limit(&self) -> Vec<u8> {
        vec![VERSION, METHOD_UNACCEPTABLE]
    }
}

/// How far a client's handshake has come.
///
/// ```text
///              no users: method 00
///   Greeting ──────────────────────────▶ Request ── complete ──▶ Decided
///    │   │ users: method 02                 ▲                       ▲
///    │   └─▶ Credentials ── they are right ─┘                       │
///    │           └──────── they are wrong ──────────────────────────┤
///    └──────────── no method fits ──────────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The methods of authentication come first.
    Greeting,
    /// The name and the password come next.
    Credentials,
    /// The request comes next.
    Request,
    /// The target is known, or the refusal is on its way.
    Decided,
}

/// The handshake of one client.
#[derive(Debug)]
struct Socks5Handshake {
    state: State,
    /// Those that may come; `None` for all clients.
    users: Option<Users>,
    /// The one that has come.
    user: Option<Arc<User>>,
    refuses_datagrams: bool,
}

impl Socks5Handshake {
    /// Creates the handshake of a client that has sent nothing yet.
    fn new(users: Option<Users>) -> Self {
        Self {
            state: State::Greeting,
            users,
            user: None,
            refuses_datagrams: false,
        }
    }

    /// Reads the methods that the client knows, and chooses the one by name and password if there are users,
    /// and otherwise the one without authentication.
    fn greet(&mut self, input: &[u8]) -> Step {
        let (version, count) = match *input {
            [version, ..] if version != VERSION => {
                return self.refuse_version(input.len(), version);
            }
            [version, count, ..] => (version, usize::from(count)),
            [] | [_] => return Step::more(),
        };
        let Some(methods) = input.get(2..2 + count) else {
            return Step::more();
        };
        let (method, next, why) = match self.users {
            Some(_) => (
                METHOD_PASSWORD,
                State::Credentials,
                "the client offers no name and password, which the proxy demands",
            ),
            None => (
                METHOD_NONE,
                State::Request,
                "the client offers no authentication method that the proxy knows",
            ),
        };
        if !methods.contains(&method) {
            return self.refuse(2 + count, vec![version, METHOD_UNACCEPTABLE], why);
        }
        self.state = next;
        Step {
            consumed: 2 + count,
            reply: vec![version, method],
            ..Step::more()
        }
    }

    /// Reads the name and the password, and checks them.
    fn authenticate(&mut self, input: &[u8]) -> Step {
        let (name, password, length) = match Credentials::parse(input) {
            Credentials::Incomplete => return Step::more(),
            Credentials::Malformed(why) => {
                return self.refuse(input.len(), FAILURE.to_vec(), why);
            }
            Credentials::Complete {
                name,
                password,
                length,
            } => (name, password, length),
        };
        // Checked against the users of now and not of the greeting, because one may have been taken away since.
        match self.users.as_ref().map(|users| users.check(name, password)) {
            Some(Err(wrong)) => {
                self.state = State::Decided;
                Step::unauthorized(input.len(), FAILURE.to_vec(), wrong)
            }
            Some(Ok(user)) => {
                self.user = Some(user);
                self.welcome(length)
            }
            None => self.welcome(length),
        }
    }

    fn welcome(&mut self, consumed: usize) -> Step {
        self.state = State::Request;
        Step {
            consumed,
            reply: SUCCESS.to_vec(),
            ..Step::more()
        }
    }

    /// Refuses a client that does not speak SOCKS5, in its own protocol if it is plain which one.
    fn refuse_version(&mut self, consumed: usize, version: u8) -> Step {
        let (reply, why): (&[u8], _) = match version {
            // A SOCKS4 reply: version 0, code 91 "rejected or failed", and six bytes without meaning.
            VERSION_4 => (&[0, 91, 0, 0, 0, 0, 0, 0], "SOCKS4 instead of SOCKS5"),
            // The methods of HTTP are written in capitals.
            b'A'..=b'Z' => (HTTP_400, "HTTP instead of SOCKS5"),
            _ => (&[], "not SOCKS5"),
        };
        self.refuse(consumed, reply.to_vec(), why)
    }

    /// Reads the request.
    fn read_request(&mut self, input: &[u8]) -> Step {
        match Request::parse(input) {
            Request::Incomplete => Step::more(),
            Request::Connect { target, length } => {
                self.state = State::Decided;
                Step::connect(length, target)
            }
            Request::Invalid { reply, why } => self.refuse(input.len(), reply.encode(None), why),
        }
    }

    /// Answers a request for datagrams.
    fn associate(&mut self, input: &[u8], request: Associate) -> Step {
        match request {
            Associate::Incomplete => Step::more(),
            Associate::Complete { hint, length } => {
                self.state = State::Decided;
                Step::associate(length, hint)
            }
            Associate::UnknownType => {
                let reply = Reply::AddressNotSupported.encode(None);
                self.refuse(input.len(), reply, "the type of the address is unknown")
            }
        }
    }

    fn refuse(&mut self, consumed: usize, reply: Vec<u8>, why: &str) -> Step {
        self.state = State::Decided;
        Step::refuse(consumed, reply, why)
    }
}

impl Handshake for Socks5Handshake {
    fn advance(&mut self, input: &[u8]) -> Step {
        match self.state {
            State::Greeting => self.greet(input),
            State::Credentials => self.authenticate(input),
            State::Request => match Associate::parse(input) {
                Some(request) if !self.refuses_datagrams => self.associate(input, request),
                Some(_) | None => self.read_request(input),
            },
            State::Decided => Step::more(),
        }
    }

    fn tells_local_addr(&self) -> bool {
        true
    }

    fn connected(&mut self, local: Option<SocketAddr>) -> Vec<u8> {
        Reply::Succeeded.encode(local)
    }

    fn failed(&mut self, failure: &Failure<'_>) -> Vec<u8> {
        match self.state {
            // No reply fits before the methods are known, except that none of them does.
            State::Greeting => vec![VERSION, METHOD_UNACCEPTABLE],
            State::Credentials => FAILURE.to_vec(),
            State::Request | State::Decided => Reply::from(failure).encode(None),
        }
    }

    fn user(&self) -> Option<Arc<User>> {
        self.user.clone()
    }
}

#[cfg(test)]
mod tests;
