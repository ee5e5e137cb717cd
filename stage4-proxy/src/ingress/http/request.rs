//! The head of a request to a proxy: where it goes, and what the target gets of it.

use std::mem::MaybeUninit;

use httparse::Header;
use stage2_client::Target;

use crate::http::body::{Blanks, Body};
use crate::http::fields::{self, Flaw, is};
use crate::http::max_forwards::{self, End};
use crate::http::proxy_name::ProxyName;
use crate::http::response::Asked;
use crate::http::{MAX_FIELDS, TOO_MANY_FIELDS};
use crate::http_version;
use crate::ingress::http::credentials::Credentials;
use crate::ingress::http::reply::Status;

/// The longest method that is in use is shorter.
const MAX_METHOD: usize = 32;

/// What a client asks a proxy for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Bytes both ways, after a reply of the proxy.
    Tunnel,
    /// One request, whose response comes from the target.
    Forward,
}

/// A valid request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) way: Way,
    /// The host and port of its target.
    pub(super) target: Target,
    /// The head that the target gets; empty for a tunnel.
    pub(super) forward: Vec<u8>,
    /// Its body.
    pub(super) body: Body,
    /// What the reader of its response has to know.
    pub(super) asked: Asked,
    /// Whether it may be sent twice: its method is idempotent (RFC 9110 section 9.2.2), and it has no body.
    pub(super) may_repeat: bool,
    /// The client's name and password.
    pub(super) credentials: Credentials,
    /// The name under which it is passed on.
    pub(super) name: ProxyName,
}

/// Why a request goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: Status,
    pub(super) why: &'static str,
}

impl Refusal {
    fn bad(why: &'static str) -> Self {
        Self {
            status: Status::BadRequest,
            why,
        }
    }
}

/// Returns whether bytes that are no complete head yet cannot become one: a method has no other
/// characters than those of a token, and is short.
pub(super) fn is_none(input: &[u8]) -> bool {
    let method = input.split(|&byte| byte == b' ').next().unwrap_or(input);
    // RFC 9112 section 2.2: empty lines before a request are ignored.
    let method = method.trim_ascii_start();
    method.len() > MAX_METHOD || !method.iter().all(|&byte| is_token(byte))
}

impl Request {
    /// Parses a complete head.
    ///
    /// # Errors
    ///
    /// Fails if the head is not valid, is ambiguous, or names no target.
    pub(super) fn parse(head: &[u8], name: ProxyName, keeps_target: bool) -> Result<Self, Refusal> {
        let head = &*http_version::as_known(head);
        let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(head, &mut room) {
            Ok(httparse::Status::Complete(_)) => Self::of(&request, name, keeps_target),
            Ok(httparse::Status::Partial) => Err(Refusal::bad("the head is not complete")),
            Err(error) => Err(refusal(error, head)),
        }
    }

    fn of(
        request: &httparse::Request<'_, '_>,
        name: ProxyName,
        keeps_target: bool,
    ) -> Result<Self, Refusal> {
        let method = request.method.unwrap_or_default();
        let url = request.path.unwrap_or_default();
        if method.len() > MAX_METHOD {
            return Err(Refusal::bad("the method is too long"));
        }
        // What lies behind the head of a CONNECT is no body, whatever its fields say.
        if method == "CONNECT" {
            return Ok(Self {
                way: Way::Tunnel,
                target: target(url)?,
                forward: Vec::new(),
                body: Body::NONE,
                asked: asked(request),
                may_repeat: false,
                credentials: Credentials::of(request.headers),
                name,
            });
        }
        let (authority, path) = split(method, url)?;
        check_host(request.headers)?;
        let hops = max_forwards::left(method, request.headers)?;
        let (body, asked) = (body(request)?, asked(request));
        let is_last = !(keeps_target && asked.persistent);
        Ok(Self {
            way: Way::Forward,
            target: target_of_url(authority)?,
            forward: rewrite(request, (authority, &path), hops, is_last, name),
            may_repeat: body == Body::NONE && is_idempotent(method),
            body,
            asked,
            credentials: Credentials::of(request.headers),
            name,
        })
    }
}

/// Sorts the parser's errors.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "httparse's errors are not ours: every other one is a bad request"
)]
fn refusal(error: httparse::Error, head: &[u8]) -> Refusal {
    match error {
        httparse::Error::Version if http_version::is_named(head) => Refusal {
            status: Status::VersionNotSupported,
            why: "the proxy speaks HTTP/1.1 and HTTP/1.0",
        },
        httparse::Error::TooManyHeaders => Refusal {
            status: Status::HeadTooLarge,
            why: TOO_MANY_FIELDS,
        },
        _ => Refusal::bad("the head is not valid"),
    }
}

/// Returns the body that the fields announce.
///
/// Refuses a body that could end at two places, because the target may choose the other one.
fn body(request: &httparse::Request<'_, '_>) -> Result<Body, Refusal> {
    let minor = request.version.unwrap_or(1);
    match fields::body(request.headers, minor, Blanks::Refused) {
        Ok(body) => Ok(body.unwrap_or(Body::NONE)),
        Err(flaw @ Flaw::Ambiguous(_)) => Err(Refusal::bad(flaw.reason())),
        Err(flaw @ Flaw::UnknownCoding) => Err(Refusal {
            status: Status::NotImplemented,
            why: flaw.reason(),
        }),
    }
}

/// Refuses a second `Host`: the next recipient may choose another one than we do (RFC 9112 section 3.2).
fn check_host(headers: &[Header<'_>]) -> Result<(), Refusal> {
    let hosts = headers.iter().filter(|field| is(field, "Host"));
    if hosts.count() > 1 {
        return Err(Refusal::bad("the Host is given twice"));
    }
    Ok(())
}

/// Returns what the reader of the response has to know of a request.
///
/// A client of HTTP/1.0 is not kept: with `Keep-Alive` it may mean us or a proxy before us (RFC 9112 appendix C.2.2).
fn asked(request: &httparse::Request<'_, '_>) -> Asked {
    let minor = request.version.unwrap_or(1);
    Asked {
        head_only: request.method == Some("HEAD"),
        minor,
        persistent: minor > 0 && !fields::has_connection_option(request.headers, "close"),
    }
}

impl From<End> for Refusal {
    fn from(end: End) -> Self {
        let (status, why) = match end {
            End::LastHop => (
                Status::Ok,
                "the request ends here, because its Max-Forwards is 0",
            ),
            End::NoTrace => (
                Status::NotImplemented,
                "the Max-Forwards is 0, and this proxy reflects no requests",
            ),
            End::Twice => (Status::BadRequest, "the Max-Forwards is given twice"),
            End::NoNumber => (Status::BadRequest, "the Max-Forwards is not a number"),
        };
        Self { status, why }
    }
}

/// Splits a target in absolute form into authority, path and query.
fn split<'a>(method: &str, asked: &'a str) -> Result<(&'a str, String), Refusal> {
    let whole = "this is a proxy: the request needs a whole URL, such as http://example.org/";
    let (scheme, rest) = match asked.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?', '#']) => (scheme, rest),
        Some(_) | None => return Err(Refusal::bad(whole)),
    };
    if !scheme.eq_ignore_ascii_case("http") {
        let why = "the proxy fetches http:// only; for https:// it needs CONNECT";
        let status = Status::NotImplemented;
        return Err(Refusal { status, why });
    }
    // A fragment is for the client alone (RFC 9110 section 4.2.5).
    let rest = rest.split('#').next().unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // A zone means something on the client's machine only.
    if authority.contains('%') {
        return Err(Refusal::bad("the target is not HOST:PORT"));
    }
    let path = match path.bytes().next() {
        // RFC 9112 section 3.2.4.
        None if method == "OPTIONS" => "*".to_owned(),
        None | Some(b'?') => format!("/{path}"),
        Some(_) => path.to_owned(),
    };
    Ok((authority, path))
}

/// Reads the authority of a URL: a host and a port, which is 80 if it is missing or empty.
///
/// The colons of an IPv6 address are within its brackets, so that they begin no port.
fn target_of_url(authority: &str) -> Result<Target, Refusal> {
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && !port.contains(']'));
    if has_port {
        return target(authority);
    }
    // The colon may be there without a port (RFC 3986 section 3.2.3).
    target(&format!(
        "{}:80",
        authority.strip_suffix(':').unwrap_or(authority)
    ))
}

fn target(authority: &str) -> Result<Target, Refusal> {
    let no_target = |_| Refusal::bad("the target is not HOST:PORT");
    authority.parse().map_err(no_target)
}

/// Writes the head that the target gets: the first line with `path` in the place of the URL, a `Host` with the URL's
/// authority, the client's own fields, `Via` with the client's version and `name`, and, if it `is_last` on its
/// connection, `Connection: close`.
///
/// The client's `Host` is left out, and so are the fields that are for one connection. With `hops`, the client's
/// `Max-Forwards` is replaced by one with this number.
///
/// The head has the client's version, because a target answers an HTTP/1.1 request with what an HTTP/1.0
/// client cannot read, such as chunks.
fn rewrite(
    request: &httparse::Request<'_, '_>,
    (authority, path): (&str, &str),
    hops: Option<u32>,
    is_last: bool,
    name: ProxyName,
) -> Vec<u8> {
    let version: &[u8] = match request.version {
        Some(0) => b"1.0",
        Some(_) | None => b"1.1",
    };
    let method = request.method.unwrap_or_default().as_bytes();
    let mut out = [method, b" ", path.as_bytes(), b" HTTP/", version, b"\r\n"].concat();
    out.extend([b"Host: ", authority.as_bytes(), b"\r\n"].concat());
    for field in request.headers.iter() {
        let is_replaced = is(field, "Host") || hops.is_some() && is(field, max_forwards::NAME);
        if !is_replaced && !fields::is_for_one_connection(field, request.headers) {
            fields::write(field, &mut out);
        }
    }
    if let Some(hops) = hops {
        out.extend(format!("{}: {hops}\r\n", max_forwards::NAME).into_bytes());
    }
    out.extend([b"Via: ", version].concat());
    out.extend(format!(" {name}\r\n").into_bytes());
    if is_last {
        out.extend(b"Connection: close\r\n");
    }
    out.extend(b"\r\n");
    out
}

/// Returns whether a request with this method has the same effect if it comes twice (RFC 9110 section 9.2.2).
fn is_idempotent(method: &str) -> bool {
    ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"].contains(&method)
}

/// Returns whether a method or a field's name may have this byte (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
