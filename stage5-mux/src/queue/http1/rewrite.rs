//! From a client's request head to the one that the upstream gets.

use httparse::Request;

use super::body::{Body, Chunks};
use super::head::{Fields, Flaw, MAX_FIELDS, Name, Room, pass_on};
use super::{Details, Settings};
use crate::queue::framing::{Refusal, Summary};

/// Our name in `Via`.
const VIA: &[u8] = b"Via: 1.1 stage5-mux\r\n";

/// About as many bytes as a head may grow.
const ADDED: usize = 64;

const NO_TUNNEL: &str =
    "the upstream connection is shared by all clients, so it cannot become a tunnel for one";

/// What a request head says.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestHead {
    pub(super) summary: Summary<Details>,
    pub(super) body: Body,
    /// The client waits for permission to send the body.
    pub(super) expects_continue: bool,
}

/// Parses a complete head and appends the upstream's version of it to `out`, all but the fields
/// that frame the body and the empty line.
pub(super) fn rewrite(
    head: &[u8],
    settings: &Settings,
    out: &mut Vec<u8>,
) -> Result<RequestHead, Refusal> {
    let mut room: Room<'_> = [const { std::mem::MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = Request::new(&mut []);
    match request.parse_with_uninit_headers(head, &mut room) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => {
            return Err(Refusal::BadRequest("the head is not complete"));
        }
        Err(error) => return Err(refusal(error, head)),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(Refusal::BadRequest("the request line is not complete"));
    };
    let fields = Fields::collect(request.headers)?;
    let http10 = minor == 0;
    check(method, &fields, http10)?;
    let (path, host) = split_target(method, target, &fields, http10)?;
    let host = host.unwrap_or(settings.host.as_bytes());
    out.reserve(head.len() + host.len() + ADDED);
    for part in [
        method.as_bytes(),
        b" ",
        path,
        b" HTTP/1.1\r\nHost: ",
        host,
        b"\r\n",
    ] {
        out.extend_from_slice(part);
    }
    write_fields(&request, &fields, out);
    out.extend_from_slice(VIA);
    Ok(RequestHead {
        summary: summary(method, &fields, http10),
        body: body(&fields),
        expects_continue: fields.expect.is_some() && !http10,
    })
}

fn refusal(error: httparse::Error, head: &[u8]) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::HeadTooLarge,
        httparse::Error::Version if names_a_version(head) => Refusal::UnknownVersion,
        httparse::Error::HeaderName => Refusal::BadRequest("a field name is not valid"),
        httparse::Error::HeaderValue => Refusal::BadRequest("a field value is not valid"),
        httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token
        | httparse::Error::Version => Refusal::BadRequest("the head is not valid"),
    }
}

/// Says whether the request line has three parts and the last one is a version of HTTP.
fn names_a_version(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\r').next();
    let mut parts = line.unwrap_or_default().split(|&byte| byte == b' ').skip(2);
    let version = parts.next().unwrap_or_default();
    let number = version.strip_prefix(b"HTTP/").and_then(<[u8]>::first);
    number.is_some_and(u8::is_ascii_digit) && parts.next().is_none()
}

impl From<Flaw> for Refusal {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Bad(reason) => Self::BadRequest(reason),
            Flaw::UnknownCoding => Self::NotPossible("the transfer coding is not known"),
            Flaw::TooLarge => Self::TooLarge,
        }
    }
}

fn check(method: &str, fields: &Fields<'_>, http10: bool) -> Result<(), Refusal> {
    if method == "CONNECT" {
        return Err(Refusal::NotPossible(NO_TUNNEL));
    }
    if http10 && fields.chunked {
        return Err(Refusal::BadRequest("HTTP/1.0 has no Transfer-Encoding"));
    }
    // RFC 9110 section 7.8: in HTTP/1.0 the field means nothing.
    if fields.upgrade && !http10 {
        return Err(Refusal::NotPossible(NO_TUNNEL));
    }
    match fields.expect {
        Some(expect) if !http10 && !expect.eq_ignore_ascii_case(b"100-continue") => {
            Err(Refusal::UnknownExpectation)
        }
        Some(_) | None => Ok(()),
    }
}

/// Takes the target apart into what the request line says and the host (RFC 9112 section 3.2).
fn split_target<'a>(
    method: &str,
    target: &'a str,
    fields: &Fields<'a>,
    http10: bool,
) -> Result<(&'a [u8], Option<&'a [u8]>), Refusal> {
    match fields.host {
        None if !http10 => return Err(Refusal::BadRequest("the Host is missing")),
        Some(host) if !is_host(host) => return Err(Refusal::BadRequest("the Host is not valid")),
        Some(_) | None => {}
    }
    let bytes = target.as_bytes();
    if bytes.starts_with(b"/") || (target == "*" && method == "OPTIONS") {
        return Ok((bytes, fields.host.filter(|host| !host.is_empty())));
    }
    let scheme = b"http://";
    let Some((given, rest)) = bytes.split_at_checked(scheme.len()) else {
        return Err(Refusal::BadRequest("the target is not valid"));
    };
    let end = rest.iter().position(|byte| b"/?#".contains(byte));
    let (authority, path) = rest.split_at(end.unwrap_or(rest.len()));
    let path: &[u8] = match path.first() {
        None if method == "OPTIONS" => b"*",
        None => b"/",
        Some(b'/') => path,
        Some(_) => return Err(Refusal::BadRequest("the target has no path")),
    };
    if !given.eq_ignore_ascii_case(scheme) || authority.is_empty() || !is_host(authority) {
        return Err(Refusal::BadRequest("the target is not valid"));
    }
    Ok((path, Some(authority)))
}

/// Says whether this can be a host and a port (RFC 3986 section 3.2): no white space, no list, no
/// user name, no path.
fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host.iter().rposition(|&byte| byte == b':') {
        Some(colon) if !host[colon..].contains(&b']') => host.split_at(colon),
        Some(_) | None => (host, &b""[..]),
    };
    let port_is_good = port.iter().skip(1).all(u8::is_ascii_digit);
    let name_is_good = match name {
        [b'[', address @ .., b']'] => address
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b":.".contains(byte)),
        name => name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(byte)),
    };
    port_is_good && name_is_good && (!name.is_empty() || port.is_empty())
}

fn write_fields(request: &Request<'_, '_>, fields: &Fields<'_>, out: &mut Vec<u8>) {
    let nominating = fields.nominates.then_some(&*request.headers);
    for header in &*request.headers {
        match Name::of(header.name) {
            Name::Other => pass_on(header, nominating, out),
            // Written anew, or ended here.
            Name::Connection
            | Name::ContentLength
            | Name::Expect
            | Name::Host
            | Name::HopByHop
            | Name::Trailer
            | Name::TransferEncoding
            | Name::Upgrade => {}
        }
    }
}

fn summary(method: &str, fields: &Fields<'_>, http10: bool) -> Summary<Details> {
    Summary {
        // RFC 9110 section 9.2.2.
        repeatable: matches!(
            method,
            "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"
        ),
        // RFC 9112 section 9.3.
        persistent: !fields.close && (!http10 || fields.keep_alive),
        details: Details {
            head_only: method == "HEAD",
            http10,
        },
    }
}

/// RFC 9112 section 6.3, for requests.
fn body(fields: &Fields<'_>) -> Body {
    if fields.chunked {
        Body::Chunked(Chunks::START)
    } else {
        Body::Length(fields.content_length.unwrap_or(0))
    }
}

/// Says whether a request of this method is sent with a `Content-Length` even if it has no body
/// (RFC 9110 section 8.6).
pub(super) fn announces_empty_body(request: &[u8]) -> bool {
    [&b"POST "[..], b"PUT ", b"PATCH "]
        .iter()
        .any(|method| request.starts_with(method))
}
