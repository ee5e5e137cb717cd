//! The response to one request: its head rewritten for the client, its body passed on, its end found.
//!
//! ```text
//!            final head                       interim head (1xx)
//!   Head ───────────────▶ Body         Head ────────────────────▶ Head
//! ```

use std::mem;

use httparse::{Header, ParserConfig};

use crate::http::body::{Blanks, Body};
use crate::http::fields::{self, Flaw, is};
use crate::http::head::{HeadFinder, NoHead};
use crate::http::proxy_name::ProxyName;
use crate::http::{Invalid, MAX_FIELDS, MAX_HEAD, Message, Sight, TOO_MANY_FIELDS};
use crate::http_version;

/// What the reader of a response has to know of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The method was HEAD: the response has no body, whatever its fields say.
    pub head_only: bool,
    /// The minor version that the client speaks; an HTTP/1.0 client knows neither chunks nor interim responses.
    pub minor: u8,
    /// The client wants to send a further request on its connection.
    pub persistent: bool,
}

/// Reads the response to one request.
#[derive(Debug)]
pub struct Response {
    asked: Asked,
    state: State,
    /// The client's connection is kept after the response.
    keeps_client: bool,
    /// The target's connection may carry a further request.
    keeps_target: bool,
    /// A byte of the response has come, perhaps of an interim one.
    has_come: bool,
    /// The name of the proxy that passes it on.
    name: ProxyName,
}

/// The part of a response that comes next.
#[derive(Debug)]
enum State {
    /// A head, of which these bytes have come.
    Head(HeadFinder, Vec<u8>),
    /// The body of the final response.
    Body(Body),
}

impl Response {
    /// Creates the reader of the response to one request.
    #[must_use]
    pub fn new(asked: Asked) -> Self {
        Self {
            asked,
            state: State::Head(HeadFinder::default(), Vec::new()),
            keeps_client: false,
            keeps_target: false,
            has_come: false,
            name: ProxyName::default(),
        }
    }

    /// Passes the response on under another name.
    #[must_use]
    pub fn named(self, name: ProxyName) -> Self {
        Self { name, ..self }
    }

    /// Returns whether a part of the final response may have gone to the client.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        matches!(self.state, State::Body(_))
    }

    /// Returns whether the client was told that its connection is kept.
    #[must_use]
    pub fn keeps_client(&self) -> bool {
        self.keeps_client
    }

    /// Returns whether the target's connection may carry a further request after this response.
    #[must_use]
    pub fn keeps_target(&self) -> bool {
        self.keeps_target && self.is_over()
    }

    /// Returns whether a byte of the response has come.
    #[must_use]
    pub fn has_come(&self) -> bool {
        self.has_come
    }

    /// Has the response say that the client's connection is closed after it, unless its head is on its way already.
    pub fn close_client(&mut self) {
        self.asked.persistent = false;
    }

    /// Reads complete heads at the front of `bytes`, up to the final one; returns the state behind them, and how
    /// many bytes they have.
    fn heads(
        &mut self,
        mut finder: HeadFinder,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(State, usize), Invalid> {
        let mut used = 0;
        while let Some((begin, end)) = finder.find(&bytes[used..], MAX_HEAD)? {
            let body = self.head(&bytes[used + begin..used + end], out)?;
            used += end;
            if let Some(body) = body {
                return Ok((State::Body(body), used));
            }
            // One read may hold an interim head and the final head behind it.
            finder = HeadFinder::default();
        }
        let rest = bytes[used..].to_vec();
        Ok((State::Head(finder, rest), bytes.len()))
    }

    /// Rewrites one head; returns the body that follows, and `None` behind an interim one.
    fn head(&mut self, head: &[u8], out: &mut Vec<u8>) -> Result<Option<Body>, Invalid> {
        let head = &*http_version::as_known(head);
        let mut room = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut parsed = httparse::Response::new(&mut room);
        let (code, minor) = parse(head, &mut parsed)?;
        if code == 101 {
            // RFC 9110 section 7.8: a server switches only if it was asked to, and `Upgrade` goes no further.
            return Err(Invalid(
                "it switches protocols, although the request did not ask for it",
            ));
        }
        let body = self.body(code, minor, parsed.headers)?;
        if let Some(body) = body {
            let is_delimited = body != Body::UntilClose;
            self.keeps_client = self.asked.persistent && is_delimited;
            let closes = fields::has_connection_option(parsed.headers, "close");
            self.keeps_target = is_delimited && minor > 0 && !closes;
        } else if self.asked.minor == 0 {
            // RFC 9110 section 15.2: HTTP/1.0 has no interim responses.
            return Ok(None);
        }
        write_head(head, code, parsed.headers, out);
        let is_last = body.is_some() && !self.keeps_client;
        let ending: &[u8] = if is_last {
            b"Connection: close\r\n\r\n"
        } else {
            b"\r\n"
        };
        write_via(minor, self.name, out);
        out.extend_from_slice(ending);
        Ok(body)
    }

    /// Returns the body of a response, and `None` for an interim one (RFC 9112 section 6.3).
    fn body(&self, code: u16, minor: u8, fields: &[Header<'_>]) -> Result<Option<Body>, Invalid> {
        let announced = fields::body(fields, minor, Blanks::Skipped)?;
        match (code, announced) {
            (..200, _) => Ok(None),
            (204 | 304, _) => Ok(Some(Body::NONE)),
            _ if self.asked.head_only => Ok(Some(Body::NONE)),
            (_, Some(Body::Chunked(_))) if self.asked.minor == 0 => {
                Err(Invalid("it has chunks, which HTTP/1.0 does not know"))
            }
            (_, Some(body)) => Ok(Some(body)),
            (_, None) => Ok(Some(Body::UntilClose)),
        }
    }
}

impl Message for Response {
    fn blind(&self) -> u64 {
        match &self.state {
            State::Head(..) => 0,
            State::Body(body) => body.blind(),
        }
    }

    fn pass(&mut self, count: u64) {
        if let State::Body(body) = &mut self.state {
            body.pass(count);
        }
    }

    fn look(&mut self, bytes: &[u8]) -> Result<Sight, Invalid> {
        self.has_come |= !bytes.is_empty();
        let (finder, mut all) = match &mut self.state {
            State::Head(finder, held) => (*finder, mem::take(held)),
            State::Body(body) => {
                // Bytes behind the body answer no request, so they go nowhere, and their connection is not kept.
                let used = body.take(bytes)?;
                self.keeps_target &= used == bytes.len();
                return Ok(Sight {
                    before: Vec::new(),
                    verbatim: 0..used,
                });
            }
        };
        all.extend_from_slice(bytes);
        let mut before = Vec::new();
        let (mut state, used) = self.heads(finder, &all, &mut before)?;
        if let State::Body(body) = &mut state {
            // Copied with the head, because the first bytes of a body are few.
            let count = body.take(&all[used..])?;
            self.keeps_target &= used + count == all.len();
            before.extend_from_slice(&all[used..used + count]);
        }
        // Last, because a response of which nothing is passed on has not begun.
        self.state = state;
        Ok(Sight {
            before,
            verbatim: 0..0,
        })
    }

    fn is_over(&self) -> bool {
        match &self.state {
            State::Head(..) => false,
            State::Body(body) => body.is_over(),
        }
    }

    fn may_end(&self) -> bool {
        // RFC 9112 section 8: only a body that the close delimits may end so.
        matches!(self.state, State::Body(Body::UntilClose))
    }
}

/// Parses the status line and the fields; returns the status code and the minor version.
fn parse<'head>(
    head: &'head [u8],
    parsed: &mut httparse::Response<'_, 'head>,
) -> Result<(u16, u8), Invalid> {
    match ParserConfig::default().parse_response(parsed, head) {
        Err(httparse::Error::TooManyHeaders) => return Err(Invalid(TOO_MANY_FIELDS)),
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) | Err(_) => return Err(Invalid("its head is not valid")),
    }
    match (parsed.code, parsed.version) {
        // Below 100 it would be no interim response either.
        (Some(code @ 100..), Some(minor)) => Ok((code, minor)),
        (Some(_) | None, _) => Err(Invalid("its status code is not valid")),
    }
}

/// Writes the status line with our version (RFC 9110 section 2.5), and the fields that the client gets.
fn write_head(head: &[u8], code: u16, all: &[Header<'_>], out: &mut Vec<u8>) {
    let version = b"HTTP/1.1";
    let line = head.iter().position(|&byte| byte == b'\r');
    out.extend_from_slice(version);
    out.extend_from_slice(&head[version.len()..line.unwrap_or(head.len())]);
    out.extend_from_slice(b"\r\n");
    // RFC 9112 section 6.1 and RFC 9110 section 8.6: these have no body, and must announce none.
    let is_bodiless = code < 200 || code == 204;
    let announces =
        |field: &Header<'_>| is(field, "Content-Length") || is(field, "Transfer-Encoding");
    for field in all {
        let is_dropped = is_bodiless && announces(field);
        if !is_dropped && !fields::is_for_one_connection(field, all) {
            fields::write(field, out);
        }
    }
}

/// Writes our name, and the version in which the target has answered (RFC 9110 section 7.6.3).
fn write_via(minor: u8, name: ProxyName, out: &mut Vec<u8>) {
    let minor = minor.min(1);
    out.extend(format!("Via: 1.{minor} {name}\r\n").into_bytes());
}

impl From<NoHead> for Invalid {
    fn from(no_head: NoHead) -> Self {
        match no_head {
            NoHead::BareLineFeed => Self("a line of its head ends in LF without CR"),
            NoHead::TooLarge => Self("its head is too large"),
        }
    }
}

impl From<Flaw> for Invalid {
    fn from(flaw: Flaw) -> Self {
        Self(flaw.reason())
    }
}

#[cfg(test)]
mod tests;
