//! Rewrites a client's request head into the one that the upstream gets.

use std::io::Write as _;
use std::mem::MaybeUninit;

use httparse::Request;
use stage4_proxy::http::max_forwards;
use stage4_proxy::http_version;

use crate::queue::framing::{Refusal, Summary};
use crate::queue::http1::body::{Body, Chunks};
use crate::queue::http1::details::{Details, Version};
use crate::queue::http1::head::{Fields, Flaw, MAX_FIELDS, Name, Room, pass_on};
use crate::queue::http1::settings::Settings;
use crate::queue::http1::target;

/// The bytes that a head grows by, roughly.
const ADDED: usize = 64;

const NO_TRACE: &str =
    "Max-Forwards is 0, so this TRACE ends at the queue, which reflects no requests";

const NO_TUNNEL: &str =
    "the upstream connection is shared by all clients, so it cannot become a tunnel for one";

/// The facts of a request head that the body and the response depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestHead {
    pub(super) summary: Summary<Details>,
    pub(super) body: Body,
    /// The client waits for permission to send the body.
    pub(super) expects_continue: bool,
}

/// The request line of a client, taken apart.
#[derive(Clone, Copy, Debug)]
struct RequestLine<'head> {
    method: &'head str,
    target: &'head [u8],
    version: Version,
}

/// Parses a complete head and appends the upstream's version of it to `out`, up to the fields that
/// frame the body and the empty line.
///
/// # Errors
///
/// Fails if the head is not valid, is ambiguous, or asks for what the queue cannot do.
pub(super) fn rewrite(
    head: &[u8],
    settings: &Settings,
    out: &mut Vec<u8>,
) -> Result<RequestHead, Refusal> {
    let known = &*http_version::as_known(head);
    let mut room: Room<'_> = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = Request::new(&mut []);
    let line = parse(known, &mut room, &mut request)?;
    let fields = Fields::collect(request.headers)?;
    check(line, &fields)?;
    let (path, host) = target::split(line.method, line.target, line.version, &fields)?;
    let hops = max_forwards::left(line.method, request.headers)?;
    let host = host.unwrap_or(settings.host.as_bytes());
    // One allocation for the whole head.
    out.reserve(head.len() + host.len() + ADDED);
    write_line(line.method, &path, host, out);
    write_fields(&request, &fields, hops, out);
    write_via(head, line, out);
    Ok(RequestHead {
        summary: summary(line, &fields),
        body: body(&fields),
        expects_continue: fields.expect.is_some() && line.version == Version::Http11,
    })
}

/// Parses the request line and the fields into `request`.
fn parse<'head>(
    head: &'head [u8],
    room: &'head mut Room<'head>,
    request: &mut Request<'head, 'head>,
) -> Result<RequestLine<'head>, Refusal> {
    match request.parse_with_uninit_headers(head, room) {
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
    Ok(RequestLine {
        method,
        target: target.as_bytes(),
        version: Version::from_minor(minor),
    })
}

/// Writes the request line with our version, and `Host` as the first field (RFC 9110 section 7.2).
fn write_line(method: &str, path: &[u8], host: &[u8], out: &mut Vec<u8>) {
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
}

/// Returns the refusal of a head that httparse does not accept.
fn refusal(error: httparse::Error, head: &[u8]) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::TooManyFields,
        httparse::Error::Version if http_version::is_named(head) => Refusal::UnknownVersion,
        httparse::Error::HeaderName => Refusal::BadRequest("a field name is not valid"),
        httparse::Error::HeaderValue => Refusal::BadRequest("a field value is not valid"),
        httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token
        | httparse::Error::Version => Refusal::BadRequest("the head is not valid"),
    }
}

impl From<max_forwards::End> for Refusal {
    fn from(end: max_forwards::End) -> Self {
        match end {
            max_forwards::End::LastHop => Self::LastHop,
            max_forwards::End::NoTrace => Self::NotPossible(NO_TRACE),
            max_forwards::End::Twice => Self::BadRequest("more than one Max-Forwards"),
            max_forwards::End::NoNumber => Self::BadRequest("the Max-Forwards is not a number"),
        }
    }
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

/// Refuses requests that the queue cannot serve.
fn check(line: RequestLine<'_>, fields: &Fields<'_>) -> Result<(), Refusal> {
    if line.method == "CONNECT" {
        return Err(Refusal::NotPossible(NO_TUNNEL));
    }
    match line.version {
        // RFC 9112 section 6.1. `Upgrade` and `Expect` mean nothing in HTTP/1.0 (RFC 9110 sections
        // 7.8 and 10.1.1).
        Version::Http10 if fields.chunked => {
            Err(Refusal::BadRequest("HTTP/1.0 has no Transfer-Encoding"))
        }
        Version::Http10 => Ok(()),
        // Every other protocol may be declined by an ordinary response (RFC 9110 section 7.8).
        Version::Http11 if fields.asks_for_websocket => Err(Refusal::NotPossible(NO_TUNNEL)),
        Version::Http11 => check_expectation(fields.expect),
    }
}

/// Refuses every expectation but the one of RFC 9110 section 10.1.1.
fn check_expectation(expect: Option<&[u8]>) -> Result<(), Refusal> {
    match expect {
        Some(expect) if !expect.eq_ignore_ascii_case(b"100-continue") => {
            Err(Refusal::UnknownExpectation)
        }
        Some(_) | None => Ok(()),
    }
}

/// Writes the fields that the upstream gets from the client.
fn write_fields(
    request: &Request<'_, '_>,
    fields: &Fields<'_>,
    hops: Option<u32>,
    out: &mut Vec<u8>,
) {
    let nominating = fields.nominates.then_some(&*request.headers);
    for header in &*request.headers {
        match Name::of(header.name) {
            Name::MaxForwards if hops.is_some() => {}
            Name::MaxForwards | Name::Other => pass_on(header, nominating, out),
            // Replaced by fields of our own, or removed.
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
    if let Some(hops) = hops {
        // Writing to a Vec never fails.
        let _ = write!(out, "Max-Forwards: {hops}\r\n");
    }
}

/// Writes our name, and the version in which the client has sent the request (RFC 9110 section
/// 7.6.3), which may be another than the one in which it is passed on.
fn write_via(head: &[u8], line: RequestLine<'_>, out: &mut Vec<u8>) {
    // Behind both parts, two spaces and `HTTP/1.`; the parser has read a later version as 1.1.
    let place = line.method.len() + line.target.len() + b"  HTTP/1.".len();
    let minor = head.get(place).copied().unwrap_or(b'1');
    out.extend_from_slice(b"Via: 1.");
    out.push(minor);
    out.extend_from_slice(b" stage5-mux\r\n");
}

fn summary(line: RequestLine<'_>, fields: &Fields<'_>) -> Summary<Details> {
    Summary {
        // The idempotent methods of RFC 9110 section 9.2.2.
        repeatable: matches!(
            line.method,
            "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"
        ),
        persistent: fields.persist(line.version),
        details: Details {
            head_only: line.method == "HEAD",
            version: line.version,
        },
    }
}

/// Returns how the body of a request is delimited (RFC 9112 section 6.3, for requests).
fn body(fields: &Fields<'_>) -> Body {
    if fields.chunked {
        Body::Chunked(Chunks::START)
    } else {
        Body::Length(fields.content_length.unwrap_or(0))
    }
}

/// Returns whether a request of this method has a `Content-Length` even if its body is empty (RFC
/// 9110 section 8.6).
pub(super) fn announces_empty_body(request: &[u8]) -> bool {
    [&b"POST "[..], b"PUT ", b"PATCH "]
        .iter()
        .any(|method| request.starts_with(method))
}
