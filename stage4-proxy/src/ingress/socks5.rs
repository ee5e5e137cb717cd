//! The SOCKS5 ingress: the client names its target in a request of bytes (RFC 1928).
//!
//! ```text
//!   client                                   proxy
//!     │  05 │ n │ n methods                    │
//!     ├───────────────────────────────────────▶│  which ways of authentication do you know?
//!     │◀───────────────────────────────────────┤
//!     │                            05 │ method │  00 none is needed, FF none fits
//!     │  05 │ cmd │ 00 │ atyp │ addr │ port    │
//!     ├───────────────────────────────────────▶│  connect me to this target
//!     │◀───────────────────────────────────────┤
//!     │     05 │ rep │ 00 │ atyp │ addr │ port │  00 connected, otherwise why not
//!     │                                        │
//!     │◀─────── bytes of the target ──────────▶│
//! ```
//!
//! A client may send all three parts at once, with bytes for the target behind them: each part is read
//! by its length, and what lies behind the request stays for the target.
//!
//! CONNECT is the only command; BIND and UDP ASSOCIATE are refused with reply 07.

mod reply;
mod request;

use std::net::SocketAddr;

use crate::ingress::socks5::reply::{METHOD_NONE, METHOD_UNACCEPTABLE, Reply, VERSION};
use crate::ingress::socks5::request::Request;
use crate::ingress::{Client, Failure, Handshake, Ingress, Opening, Step};

/// The first byte of a SOCKS4 request, which is another protocol.
const VERSION_4: u8 = 4;

/// The response to a client that speaks HTTP.
const HTTP_400: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Content-Length: 50\r\nConnection: close\r\n\r\nThis proxy speaks SOCKS5 and does not speak HTTP.\n";

/// Lets every client choose its target with SOCKS5.
#[derive(Clone, Copy, Debug, Default)]
pub struct Socks5;

impl Ingress for Socks5 {
    fn name(&self) -> &'static str {
        "socks5"
    }

    fn open(&self, _: &Client<'_>) -> Opening {
        Opening::Handshake(Box::new(Socks5Handshake::new()))
    }
}

/// How far a client's handshake has come.
///
/// ```text
///   Greeting ── a method fits ──▶ Request ── complete ──▶ Decided
///      └───────── none does ────────────────────────────────▲
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The methods of authentication come first.
    Greeting,
    /// The request comes next.
    Request,
    /// The target is known, or the refusal is on its way.
    Decided,
}

/// The handshake of one client.
#[derive(Debug)]
struct Socks5Handshake {
    state: State,
}

impl Socks5Handshake {
    /// Creates the handshake of a client that has sent nothing yet.
    fn new() -> Self {
        Self {
            state: State::Greeting,
        }
    }

    /// Reads the methods that the client knows, and chooses the one without authentication.
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
        if !methods.contains(&METHOD_NONE) {
            let why = "the client offers no authentication method that the proxy knows";
            return self.refuse(2 + count, vec![version, METHOD_UNACCEPTABLE], why);
        }
        self.state = State::Request;
        Step {
            consumed: 2 + count,
            reply: vec![version, METHOD_NONE],
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

    fn refuse(&mut self, consumed: usize, reply: Vec<u8>, why: &str) -> Step {
        self.state = State::Decided;
        Step::refuse(consumed, reply, why)
    }
}

impl Handshake for Socks5Handshake {
    fn advance(&mut self, input: &[u8]) -> Step {
        match self.state {
            State::Greeting => self.greet(input),
            State::Request => self.read_request(input),
            State::Decided => Step::more(),
        }
    }

    fn connected(&mut self, local: Option<SocketAddr>) -> Vec<u8> {
        Reply::Succeeded.encode(local)
    }

    fn failed(&mut self, failure: &Failure<'_>) -> Vec<u8> {
        match self.state {
            // No reply fits before the methods are known, except that none of them does.
            State::Greeting => vec![VERSION, METHOD_UNACCEPTABLE],
            State::Request | State::Decided => Reply::from(failure).encode(None),
        }
    }
}

#[cfg(test)]
mod tests;
