//! The head of a request to a proxy: where it goes, and what the target gets of it.

use std::mem::MaybeUninit;

use httparse::Header;
use stage2_client::Target;

use crate::http_version;
use crate::ingress::http::credentials::Credentials;
use crate::ingress::http::reply::Status;

/// The most fields of a head.
const MAX_FIELDS: usize = 128;
/// The longest method that is in use is shorter.
const MAX_METHOD: usize = 32;
/// The field that names the proxy to the target (RFC 9110 section 7.6.3).
const VIA: &[u8] = b" stage4-proxy\r\n";

/// Fields for the connection between client and proxy only, and those that are replaced.
const REMOVED: [&str; 9] = [
    "Connection",
    "Host",
    "HTTP2-Settings",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Upgrade",
];

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
    /// The length of its body.
    pub(super) body: u64,
    /// Whether its response has no body.
    pub(super) head_only: bool,
    /// The client's name and password.
    pub(super) credentials: Credentials,
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
    pub(super) fn parse(head: &[u8]) -> Result<Self, Refusal> {
        if has_bare_line_feed(head) {
            return Err(Refusal::bad("a line ends in LF without CR"));
        }
        let head = &*http_version::as_known(head);
        let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(head, &mut room) {
            Ok(httparse::Status::Complete(_)) => Self::of(&request),
            Ok(httparse::Status::Partial) => Err(Refusal::bad("the head is not complete")),
            Err(error) => Err(refusal(error)),
        }
    }

    fn of(request: &httparse::Request<'_, '_>) -> Result<Self, Refusal> {
        let method = request.method.unwrap_or_default();
        let asked = request.path.unwrap_or_default();
        if method.len() > MAX_METHOD {
            return Err(Refusal::bad("the method is too long"));
        }
        // What lies behind the head of a CONNECT is no body, whatever its fields say.
        if method == "CONNECT" {
            return Ok(Self {
                way: Way::Tunnel,
                target: target(asked)?,
                forward: Vec::new(),
                body: 0,
                head_only: false,
                credentials: Credentials::of(request.headers),
            });
        }
        let (authority, path) = split(method, asked)?;
        Ok(Self {
            way: Way::Forward,
            target: target_of_url(authority)?,
            forward: rewrite(request, authority, &path),
            body: body_length(request.headers)?,
            head_only: method == "HEAD",
            credentials: Credentials::of(request.headers),
        })
    }
}

/// Sorts the parser's errors.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "httparse's errors are not ours: every other one is a bad request"
)]
fn refusal(error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::Version => Refusal {
            status: Status::VersionNotSupported,
            why: "the proxy speaks HTTP/1.1 and HTTP/1.0",
        },
        httparse::Error::TooManyHeaders => Refusal {
            status: Status::HeadTooLarge,
            why: "the head has more than 128 fields",
        },
        _ => Refusal::bad("the head is not valid"),
    }
}

/// Returns the length of the body.
///
/// Refuses a body that could end at two places, because the target may choose the other one, and one in
/// chunks, because its end is known only to those who read them.
fn body_length(fields: &[Header<'_>]) -> Result<u64, Refusal> {
    if fields.iter().any(|field| is(field, "Transfer-Encoding")) {
        let why = "a body in chunks needs CONNECT here, or a Content-Length instead";
        let status = Status::LengthRequired;
        return Err(Refusal { status, why });
    }
    let mut lengths = fields.iter().filter(|field| is(field, "Content-Length"));
    let digits = match (lengths.next(), lengths.next()) {
        (None, _) => return Ok(0),
        (Some(length), None) => str::from_utf8(length.value).unwrap_or_default(),
        (Some(_), Some(_)) => return Err(Refusal::bad("the length of the body is given twice")),
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let length = digits.parse().ok().filter(|_| is_number);
    length.ok_or(Refusal::bad("the length of the body is not a number"))
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

/// Reads the authority of a URL, in which the port may be missing.
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

/// Writes the head that the target gets.
///
/// It has the client's version, because a target answers an HTTP/1.1 request with what an HTTP/1.0
/// client cannot read, such as chunks.
fn rewrite(request: &httparse::Request<'_, '_>, authority: &str, path: &str) -> Vec<u8> {
    let version: &[u8] = match request.version {
        Some(0) => b"1.0",
        Some(_) | None => b"1.1",
    };
    let method = request.method.unwrap_or_default().as_bytes();
    let mut out = [method, b" ", path.as_bytes(), b" HTTP/", version, b"\r\n"].concat();
    out.extend([b"Host: ", authority.as_bytes(), b"\r\n"].concat());
    let fields = request.headers.iter();
    for field in fields.filter(|field| is_passed_on(field, request.headers)) {
        out.extend([field.name.as_bytes(), b": ", field.value, b"\r\n"].concat());
    }
    out.extend([b"Via: ", version, VIA, b"Connection: close\r\n\r\n"].concat());
    out
}

/// Returns whether the target gets a field.
///
/// `Connection` names more fields that concern one connection only (RFC 9110 section 7.6.1). It cannot
/// name those that say how long the body is: without them the target would see another request in it.
fn is_passed_on(field: &Header<'_>, all: &[Header<'_>]) -> bool {
    if is(field, "Content-Length") || is(field, "Transfer-Encoding") {
        return true;
    }
    let removed = REMOVED.iter().any(|name| is(field, name));
    let mut connection = all.iter().filter(|other| is(other, "Connection"));
    !removed && !connection.any(|list| names(list.value, field.name))
}

/// Returns whether a list of options has this one.
fn names(list: &[u8], option: &str) -> bool {
    list.split(|&byte| byte == b',')
        .any(|it| it.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
}

fn is(field: &Header<'_>, name: &str) -> bool {
    field.name.eq_ignore_ascii_case(name)
}

/// Returns whether a line ends in LF alone, which is where two parsers begin to disagree.
fn has_bare_line_feed(head: &[u8]) -> bool {
    head.windows(2)
        .any(|pair| pair[1] == b'\n' && pair[0] != b'\r')
}

/// Returns whether a method or a field's name may have this byte (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
