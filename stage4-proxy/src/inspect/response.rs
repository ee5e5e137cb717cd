//! Encodes a verdict as the bytes of a response, free of I/O.

use std::fmt::Write;

use crate::inspect::metrics;
use crate::inspect::prometheus;
use crate::inspect::request::{Method, Page, Refusal};
use crate::inspect::section::Section;
use crate::inspect::snapshot::Snapshot;

const PAGE: &str = include_str!("page.html");
/// Where the page parts of the sections are put in.
const SECTIONS: &str = "<!-- sections -->\n";

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// The content security policy: the browser runs exactly this script and style, named by their SHA-256,
/// fetches from this server only, and nothing else. A test computes both sums and prints the right ones if
/// they differ.
const POLICY: &str = "default-src 'none'; \
     script-src 'sha256-O1TZJNzNAs/C/LDnT3Hn9UlR/0M/s2zeUHRr7sbek5E='; \
     style-src 'sha256-xGA3niwa+/2F5ismhRjawoBCwl4B+bhDAut/Ik7Hq/E='; \
     connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'";

/// One response, not yet in bytes.
#[derive(Debug)]
pub(super) struct Response {
    status: &'static str,
    content_type: &'static str,
    /// Seconds after which the client may ask again.
    retry_after: Option<&'static str>,
    body: Vec<u8>,
}

/// A response in bytes, in the forms for GET and for HEAD.
#[derive(Debug)]
pub(super) struct Encoded {
    bytes: Vec<u8>,
    /// The bytes of the head, with its blank line.
    head: usize,
}

impl Encoded {
    /// Returns the bytes for a client; the response to HEAD ends after the blank line.
    pub(super) fn bytes(&self, method: Method) -> &[u8] {
        match method {
            Method::Get => &self.bytes,
            Method::Head => &self.bytes[..self.head],
        }
    }
}

impl Response {
    /// Creates the response with a page, filled from a snapshot.
    pub(super) fn page(page: Page, snapshot: &Snapshot) -> Self {
        let (content_type, body) = match page {
            Page::Tables => (HTML, tables(&snapshot.sections).into_bytes()),
            Page::Routes => match serde_json::to_vec(snapshot) {
                Ok(body) => (JSON, body),
                Err(error) => return Self::failure(&error),
            },
            Page::Metrics => (
                prometheus::CONTENT_TYPE,
                metrics::render(snapshot).into_bytes(),
            ),
        };
        Self {
            status: "200 OK",
            content_type,
            retry_after: None,
            body,
        }
    }

    /// Creates the response that says in one sentence why there is no page.
    pub(super) fn refusal(refusal: Refusal) -> Self {
        let (status, sentence) = match refusal {
            Refusal::BadRequest => ("400 Bad Request", "This is not a valid HTTP/1.1 request."),
            Refusal::CrossSite => (
                "403 Forbidden",
                "The inspector answers no page of another site: type the address, or follow a link to /.",
            ),
            Refusal::NotFound => (
                "404 Not Found",
                "There is only /, /routes.json and /metrics.",
            ),
            Refusal::MethodNotAllowed => (
                "405 Method Not Allowed",
                "The inspector only answers GET and HEAD.",
            ),
            // RFC 9110 section 15.5.20.
            Refusal::Misdirected => (
                "421 Misdirected Request",
                "The inspector listens on a loopback address: use localhost or that address in the URL.",
            ),
            Refusal::HeadTooLarge => (
                "431 Request Header Fields Too Large",
                "The request head may have 16 KiB and 64 fields.",
            ),
            // RFC 9110 section 15.6.4.
            Refusal::Unavailable => (
                "503 Service Unavailable",
                "A worker of the proxy does not answer, and a sum without its counters would be wrong.",
            ),
        };
        let retry_after = (refusal == Refusal::Unavailable).then_some("1");
        Self {
            status,
            content_type: TEXT,
            retry_after,
            body: format!("{sentence}\n").into_bytes(),
        }
    }

    fn failure(error: &serde_json::Error) -> Self {
        let body = format!("The snapshot cannot be written as JSON: {error}.\n").into_bytes();
        Self {
            status: "500 Internal Server Error",
            content_type: TEXT,
            retry_after: None,
            body,
        }
    }

    /// Returns the response in bytes.
    pub(super) fn encode(self) -> Encoded {
        let mut bytes = self.head().into_bytes();
        let head = bytes.len();
        bytes.extend(self.body);
        Encoded { bytes, head }
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {}\r\n", self.status);
        let length = self.body.len().to_string();
        let fields = [
            ("Content-Type", self.content_type),
            ("Content-Length", &length),
            ("Connection", "close"),
            ("Cache-Control", "no-store"),
            ("Allow", "GET, HEAD"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Content-Security-Policy", POLICY),
        ];
        let retry_after = self.retry_after.map(|seconds| ("Retry-After", seconds));
        for (name, value) in fields.into_iter().chain(retry_after) {
            // Writing to a String never fails.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head + "\r\n"
    }
}

/// Returns the page with the parts of these sections.
fn tables(sections: &[Section]) -> String {
    let parts: String = sections.iter().map(|section| section.page).collect();
    PAGE.replacen(SECTIONS, &parts, 1)
}

#[cfg(test)]
mod tests;
