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
     script-src 'sha256-2BQqekFijHhufiqyYlIJpjiDkOV5ZMbm71WNsuc0hzw='; \
     style-src 'sha256-Z+VThJxGyM+0iBWUvKwNkHBOXM8jC0154cNIQX/MBMk='; \
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
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    const ALL_REFUSALS: [Refusal; 7] = [
        Refusal::BadRequest,
        Refusal::CrossSite,
        Refusal::NotFound,
        Refusal::MethodNotAllowed,
        Refusal::Misdirected,
        Refusal::HeadTooLarge,
        Refusal::Unavailable,
    ];

    fn text(response: Response, method: Method) -> String {
        String::from_utf8(response.encode().bytes(method).to_vec()).unwrap()
    }

    /// RFC 4648 section 4.
    fn base64(bytes: &[u8]) -> String {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for three in bytes.chunks(3) {
            let word = three
                .iter()
                .fold(0_u32, |word, &byte| word << 8 | u32::from(byte))
                << (8 * (3 - three.len()));
            for place in 0..4 {
                let six = (word >> (18 - 6 * place)) & 63;
                let letter = char::from(ALPHABET[six as usize]);
                text.push(if place <= three.len() { letter } else { '=' });
            }
        }
        text
    }

    /// The `'sha256-..'` of the text between `open` and `close`, which must be there exactly once.
    fn source_of(open: &str, close: &str) -> String {
        let (_, rest) = PAGE.split_once(open).unwrap();
        let (inner, rest) = rest.split_once(close).unwrap();
        assert!(!rest.contains(open), "{open} twice");
        format!("'sha256-{}'", base64(&Sha256::digest(inner)))
    }

    #[test]
    fn base64_knows_its_test_vectors() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn the_policy_names_exactly_this_script_and_this_style() {
        let script = source_of("<script>", "</script>");
        let style = source_of("<style>", "</style>");
        assert!(
            POLICY.contains(&format!("script-src {script};")),
            "POLICY needs script-src {script}"
        );
        assert!(
            POLICY.contains(&format!("style-src {style};")),
            "POLICY needs style-src {style}"
        );
    }

    #[test]
    fn sections_are_put_in_below_the_totals() {
        let section = |page| Section {
            name: "lines",
            json: serde_json::Value::Null,
            metrics: prometheus::Metrics::default(),
            page,
        };
        let both = tables(&[section("<p>one</p>\n"), section("<p>two</p>\n")]);
        assert!(both.contains("</dl>\n<p>one</p>\n<p>two</p>\n<p id=\"spoken\""));
        assert!(!both.contains(SECTIONS) && !tables(&[]).contains(SECTIONS));
    }

    #[test]
    fn the_page_loads_nothing_and_inserts_no_markup() {
        for word in [
            "src=",
            "http:",
            "https:",
            "//cdn",
            "@import",
            "url(",
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            " style=",
            "onclick",
        ] {
            assert!(!PAGE.contains(word), "{word} in page.html");
        }
    }

    #[test]
    fn every_response_has_its_length_and_its_guards() {
        let snapshot = Snapshot::default();
        let pages = Page::ALL.map(|page| Response::page(page, &snapshot));
        for response in pages.into_iter().chain(ALL_REFUSALS.map(Response::refusal)) {
            let length = response.body.len();
            let text = text(response, Method::Get);
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!(body.len(), length);
            for field in [
                &format!("Content-Length: {length}"),
                "Connection: close",
                "Cache-Control: no-store",
                "X-Content-Type-Options: nosniff",
                "Allow: GET, HEAD",
                "Content-Security-Policy: default-src 'none'; ",
            ] {
                assert!(head.contains(field), "{field} in {head}");
            }
        }
    }

    #[test]
    fn the_answer_to_head_has_the_same_head_and_no_body() {
        let metrics = || Response::page(Page::Metrics, &Snapshot::default());
        let whole = text(metrics(), Method::Get);
        let head = text(metrics(), Method::Head);
        assert!(head.ends_with("\r\n\r\n"));
        assert!(whole.starts_with(&head) && whole.len() > head.len());
    }

    #[test]
    fn each_refusal_has_its_own_status_and_a_sentence() {
        let status = |refusal| text(Response::refusal(refusal), Method::Get)[9..12].to_owned();
        assert_eq!(
            ALL_REFUSALS.map(status),
            ["400", "403", "404", "405", "421", "431", "503"]
        );
        for refusal in ALL_REFUSALS {
            let text = text(Response::refusal(refusal), Method::Get);
            assert!(text.ends_with(".\n"));
            let may_be_repeated = text.contains("Retry-After: 1\r\n");
            assert_eq!(may_be_repeated, refusal == Refusal::Unavailable);
        }
    }
}
