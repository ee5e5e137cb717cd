//! Parses the bytes of a request head into a verdict, free of I/O.

use std::net::IpAddr;

use crate::http_version;
use crate::inspect::collector::Scope;

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

/// The host names that the server answers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hosts {
    /// `localhost` and loopback addresses only.
    Loopback,
    /// Every name: an operator who listens on a public address has names for it that we cannot know.
    Any,
}

impl Hosts {
    /// Returns the names that suit a server listening on `address`.
    pub(super) fn for_listener(address: IpAddr) -> Self {
        if address.to_canonical().is_loopback() {
            Self::Loopback
        } else {
            Self::Any
        }
    }

    /// Returns whether `authority`, a host with or without a port, is one of ours.
    fn contain(self, authority: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Loopback => {
                let host = without_port(authority);
                let address = host.parse::<IpAddr>();
                host.eq_ignore_ascii_case("localhost")
                    || address.is_ok_and(|address| address.to_canonical().is_loopback())
            }
        }
    }
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

/// Returns the host of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn without_port(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    authority
        .rsplit_once(':')
        .map_or(authority, |(host, _port)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict_of(head: &str) -> Result<Page, Refusal> {
        parse(head.as_bytes(), Hosts::Loopback)
            .expect("a complete head")
            .verdict
    }

    fn verdict_for_host(host: &str) -> Result<Page, Refusal> {
        verdict_of(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    }

    fn verdict_for_line(line: &str) -> Result<Page, Refusal> {
        verdict_of(&format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    #[test]
    fn the_three_pages_are_found() {
        assert_eq!(verdict_for_line("GET /"), Ok(Page::Tables));
        assert_eq!(verdict_for_line("GET /routes.json"), Ok(Page::Routes));
        assert_eq!(verdict_for_line("GET /metrics"), Ok(Page::Metrics));
        assert_eq!(
            verdict_of("GET / HTTP/1.2\r\nHost: localhost\r\n\r\n"),
            Ok(Page::Tables)
        );
        assert_eq!(verdict_for_line("GET /metrics?x=/y"), Ok(Page::Metrics));
        assert_eq!(
            verdict_for_line("GET http://localhost:1/metrics"),
            Ok(Page::Metrics)
        );
        assert_eq!(verdict_for_line("GET http://localhost"), Ok(Page::Tables));
    }

    #[test]
    fn the_scheme_of_an_absolute_target_has_no_case() {
        for target in [
            "HTTP://localhost/metrics",
            "Http://localhost:9/metrics?a",
            "https://localhost/metrics",
            "HTTPS://[::1]/metrics",
        ] {
            let line = format!("GET {target}");
            assert_eq!(verdict_for_line(&line), Ok(Page::Metrics), "{target}");
        }
        for target in [
            "ftp://localhost/metrics",
            "://localhost/",
            "/http://localhost/",
        ] {
            let line = format!("GET {target}");
            assert_eq!(verdict_for_line(&line), Err(Refusal::NotFound), "{target}");
        }
        let foreign = verdict_for_line("GET HTTP://example.org/");
        assert_eq!(foreign, Err(Refusal::Misdirected));
    }

    fn verdict_with(path: &str, fields: &str) -> Result<Page, Refusal> {
        verdict_of(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"
        ))
    }

    #[test]
    fn a_page_of_another_origin_gets_nothing() {
        for path in ["/", "/metrics", "/routes.json"] {
            for site in ["cross-site", "same-site", "anything"] {
                let fields = format!("sec-fetch-site: {site}\r\nSec-Fetch-Mode: no-cors\r\n");
                let verdict = verdict_with(path, &fields);
                assert_eq!(verdict, Err(Refusal::CrossSite), "{path} {site}");
            }
            for site in ["same-origin", "none"] {
                let verdict = verdict_with(path, &format!("Sec-Fetch-Site: {site}\r\n"));
                assert!(verdict.is_ok(), "{path} {site}");
            }
        }
    }

    #[test]
    fn a_link_leads_to_the_page_in_a_window_of_its_own_only() {
        let from_a_link = |dest: &str| {
            format!(
                "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: {dest}\r\n"
            )
        };
        assert_eq!(
            verdict_with("/", &from_a_link("document")),
            Ok(Page::Tables)
        );
        for (path, dest) in [("/", "iframe"), ("/metrics", "document")] {
            let verdict = verdict_with(path, &from_a_link(dest));
            assert_eq!(verdict, Err(Refusal::CrossSite), "{path} {dest}");
        }
    }

    #[test]
    fn head_is_remembered_also_in_a_refusal() {
        let found = parse(b"HEAD / HTTP/1.0\r\n\r\n", Hosts::Loopback).unwrap();
        assert_eq!(
            found,
            Request {
                method: Method::Head,
                verdict: Ok(Page::Tables)
            }
        );
        let missing = parse(b"HEAD /x HTTP/1.0\r\n\r\n", Hosts::Loopback).unwrap();
        assert_eq!(
            missing,
            Request {
                method: Method::Head,
                verdict: Err(Refusal::NotFound)
            }
        );
    }

    #[test]
    fn other_paths_and_methods_are_refused() {
        for line in [
            "GET /x",
            "GET //",
            "GET /routes.json/",
            "GET *",
            "POST /x",
            "GET /%2e",
            "GET /..",
        ] {
            assert_eq!(verdict_for_line(line), Err(Refusal::NotFound), "{line}");
        }
        for line in ["POST /", "DELETE /metrics", "get /routes.json", "OPTIONS /"] {
            assert_eq!(
                verdict_for_line(line),
                Err(Refusal::MethodNotAllowed),
                "{line}"
            );
        }
    }

    #[test]
    fn loopback_hosts_are_ours_and_no_others() {
        for host in [
            "localhost",
            "LocalHost:9",
            "127.0.0.1",
            "127.8.9.1:80",
            "[::1]",
            "[::1]:80",
            "[::ffff:127.0.0.1]",
        ] {
            assert_eq!(verdict_for_host(host), Ok(Page::Tables), "{host}");
        }
        for host in [
            "example.org",
            "example.org:80",
            "localhost.example.org",
            "10.0.0.1",
            "0.0.0.0",
            "[::2]",
            "",
            ":80",
            "localhost@example.org",
            "127.0.0.1.example.org",
            "[",
            "[]",
            "notlocalhost",
        ] {
            assert_eq!(verdict_for_host(host), Err(Refusal::Misdirected), "{host}");
        }
    }

    #[test]
    fn the_host_in_the_request_line_counts() {
        assert_eq!(
            verdict_for_line("GET http://example.org/"),
            Err(Refusal::Misdirected)
        );
        assert_eq!(
            verdict_for_line("GET http://example.org"),
            Err(Refusal::Misdirected)
        );
    }

    #[test]
    fn any_host_will_do_on_a_public_address() {
        let request = parse(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", Hosts::Any).unwrap();
        assert_eq!(request.verdict, Ok(Page::Tables));
        assert_eq!(Hosts::for_listener("0.0.0.0".parse().unwrap()), Hosts::Any);
        assert_eq!(Hosts::for_listener("::".parse().unwrap()), Hosts::Any);
        assert_eq!(
            Hosts::for_listener("127.0.0.2".parse().unwrap()),
            Hosts::Loopback
        );
        assert_eq!(
            Hosts::for_listener("::ffff:127.0.0.1".parse().unwrap()),
            Hosts::Loopback
        );
    }

    #[test]
    fn one_host_field_no_more_no_less() {
        let missing = "GET / HTTP/1.1\r\n\r\n";
        let twice = "GET / HTTP/1.1\r\nHost: localhost\r\nhost: localhost\r\n\r\n";
        assert_eq!(verdict_of(missing), Err(Refusal::BadRequest));
        assert_eq!(verdict_of(twice), Err(Refusal::BadRequest));
        assert_eq!(verdict_of("GET / HTTP/1.0\r\n\r\n"), Ok(Page::Tables));
    }

    #[test]
    fn every_shorter_prefix_asks_for_more() {
        let head = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
        for length in 0..head.len() {
            assert_eq!(
                parse(&head[..length], Hosts::Loopback),
                None,
                "{length} bytes"
            );
        }
        assert!(parse(head, Hosts::Loopback).is_some());
    }

    #[test]
    fn a_head_without_end_is_too_large_at_its_bound_and_not_before() {
        let mut head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ".to_vec();
        head.resize(MAX_HEAD - 1, b'x');
        assert_eq!(parse(&head, Hosts::Loopback), None);
        head.push(b'x');
        let refused = Request::refused(Refusal::HeadTooLarge);
        assert_eq!(parse(&head, Hosts::Loopback), Some(refused));
        let many = format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "A: b\r\n".repeat(MAX_FIELDS + 1)
        );
        assert_eq!(parse(many.as_bytes(), Hosts::Loopback), Some(refused));
    }

    #[test]
    fn garbage_is_a_bad_request() {
        for head in [
            &b"\x16\x03\x01\x02\x00\x01\x00"[..],
            b"GET / HTTP/2.0\r\n\r\n",
            b"\0\0\0\0",
            b"GET\r\n\r\n",
        ] {
            let refused = Request::refused(Refusal::BadRequest);
            assert_eq!(parse(head, Hosts::Loopback), Some(refused), "{head:?}");
        }
    }
}
