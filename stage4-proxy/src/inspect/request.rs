//! Parses the bytes of a request head into a verdict, free of I/O.

use crate::http_version;
use crate::inspect::collector::Scope;
use crate::inspect::hosts::Hosts;

/// The longest head that is read, in bytes. Browsers send the cookies of `localhost` to every port, so
/// those of all programs there must fit.
pub(super) const MAX_HEAD: usize = 16 * 1024;

/// The most header fields that a request may have; browsers send about twenty.
const MAX_FIELDS: usize = 64;

/// A parsed request: the page that it gets, or the reason why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) verdict: Result<Page, Refusal>,
}

impl Request {
    /// Creates a request whose head could not be parsed, so that its method is not known.
    pub(super) fn refused(refusal: Refusal) -> Self {
        Self {
            method: Method::Get,
            verdict: Err(refusal),
        }
    }
}

/// The part of the response that the client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Head and body; also every method that we refuse, because a refusal has a body.
    Get,
    /// The head only.
    Head,
}

/// The pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// `/`
    Tables,
    /// `/routes.json`
    Routes,
    /// `/metrics`
    Metrics,
}

impl Page {
    /// Every page.
    pub(super) const ALL: [Self; 3] = [Self::Tables, Self::Routes, Self::Metrics];

    /// Returns how much of the route table the page shows.
    pub(super) fn scope(self) -> Scope {
        match self {
            Self::Routes => Scope::Sessions,
            Self::Tables | Self::Metrics => Scope::Totals,
        }
    }
}

/// Why a request does not get what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    BadRequest,
    CrossSite,
    NotFound,
    MethodNotAllowed,
    Misdirected,
    HeadTooLarge,
    /// A worker does not answer.
    Unavailable,
}

/// Parses the request in `head`, or returns `None` while its end is missing.
pub(super) fn parse(head: &[u8], hosts: Hosts) -> Option<Request> {
    let head = &*http_version::as_known(head);
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => Some(request_of(&request, hosts)),
        Ok(httparse::Status::Partial) if head.len() < MAX_HEAD => None,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            Some(Request::refused(Refusal::HeadTooLarge))
        }
        Err(_) => Some(Request::refused(Refusal::BadRequest)),
    }
}

fn request_of(request: &httparse::Request, hosts: Hosts) -> Request {
    let method = match request.method {
        Some("HEAD") => Method::Head,
        _ => Method::Get,
    };
    Request {
        method,
        verdict: verdict(request, hosts),
    }
}

fn verdict(request: &httparse::Request, hosts: Hosts) -> Result<Page, Refusal> {
    let (authority, path) = split_target(request.path.unwrap_or_default());
    let field = host_field(request)?;
    // RFC 9112 section 3.2.2: the host in the request line replaces the one in the field.
    let allowed = authority.or(field).is_none_or(|host| hosts.contain(host));
    if !allowed {
        return Err(Refusal::Misdirected);
    }
    let page = match path {
        "/" => Page::Tables,
        "/routes.json" => Page::Routes,
        "/metrics" => Page::Metrics,
        _ => return Err(Refusal::NotFound),
    };
    if is_from_elsewhere(request, page) {
        return Err(Refusal::CrossSite);
    }
    match request.method {
        Some("GET" | "HEAD") => Ok(page),
        _ => Err(Refusal::MethodNotAllowed),
    }
}

/// Returns the only `Host` field. RFC 9112 section 3.2: two of them, or none in HTTP/1.1, is 400. HTTP/1.0
/// may leave it out; no browser does, so nothing is rebound that way.
fn host_field<'a>(request: &httparse::Request<'_, 'a>) -> Result<Option<&'a str>, Refusal> {
    let mut hosts = request
        .headers
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("host"));
    match (hosts.next(), hosts.next()) {
        (Some(field), None) => std::str::from_utf8(field.value)
            .map(Some)
            .map_err(|_| Refusal::BadRequest),
        (None, _) if request.version == Some(0) => Ok(None),
        (None, _) | (Some(_), Some(_)) => Err(Refusal::BadRequest),
    }
}

/// Returns whether a page of another origin has made the browser send this request (Fetch Metadata Request
/// Headers, section 2.3).
///
/// Such a page cannot read the answer, but it could ask again and again, and each time a worker copies its
/// table. Programs send no such field, and of browsers only those do whose user has typed the address
/// (`none`), or that show our page (`same-origin`). A link on another site may lead to the page, because
/// the user sees it then.
fn is_from_elsewhere(request: &httparse::Request, page: Page) -> bool {
    let is_link = page == Page::Tables
        && field(request, "sec-fetch-mode") == Some(b"navigate")
        && field(request, "sec-fetch-dest") == Some(b"document");
    match field(request, "sec-fetch-site") {
        None | Some(b"none" | b"same-origin") => false,
        Some(_) => !is_link,
    }
}

/// Returns the value of the first field of this name.
fn field<'a>(request: &httparse::Request<'_, 'a>, name: &str) -> Option<&'a [u8]> {
    let mut fields = request.headers.iter();
    let found = fields.find(|field| field.name.eq_ignore_ascii_case(name))?;
    Some(found.value)
}

/// Splits `http://host/path?query` or `/path?query` into host and path.
///
/// The scheme may be `https`, too, because a gateway may have ended TLS; its case does not matter (RFC 9110
/// section 4.2.3).
fn split_target(target: &str) -> (Option<&str>, &str) {
    let absolute = target.split_once("://").filter(|(scheme, _)| {
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    });
    let (authority, path) = match absolute.map(|(_, rest)| rest) {
        Some(rest) => match rest.find(['/', '?']) {
            Some(end) => (Some(&rest[..end]), &rest[end..]),
            None => (Some(rest), "/"),
        },
        None => (None, target),
    };
    (authority, path.split('?').next().unwrap_or_default())
}

#[cfg(test)]
mod tests;
