//! The replies that the queue writes itself (RFC 9110 section 15).

use std::io::Write as _;

use crate::queue::framing::{Persistence, Refusal};
use crate::queue::http1::details::{Details, Version};

/// Appends the whole reply to `out`.
///
/// A reply to a HEAD request announces the length of its text, but does not carry the text (RFC
/// 9110 section 9.3.2).
pub(super) fn write(
    refusal: Refusal,
    details: Option<Details>,
    persistence: Persistence,
    out: &mut Vec<u8>,
) {
    let text = format!("{refusal}\n");
    let head_only = details.is_some_and(|details| details.head_only);
    let body = if head_only { "" } else { &text };
    // Writing to a Vec never fails.
    let _ = write!(
        out,
        "HTTP/1.1 {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         {}{}\r\n{body}",
        status(refusal),
        text.len(),
        advice(refusal),
        connection(details, persistence),
    );
}

/// Returns the field that tells a client what it can do.
fn advice(refusal: Refusal) -> &'static str {
    match refusal {
        // It may be over in a second.
        Refusal::QueueFull => "Retry-After: 1\r\n",
        // The methods that the queue passes on; which of them a resource allows, only the upstream
        // knows (RFC 9110 section 9.3.7).
        Refusal::LastHop => "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE\r\n",
        Refusal::BadRequest(_)
        | Refusal::TooSlow
        | Refusal::TooLarge
        | Refusal::UnknownExpectation
        | Refusal::HeadTooLarge
        | Refusal::TooManyFields
        | Refusal::NotPossible(_)
        | Refusal::BadGateway(_)
        | Refusal::UpstreamTimeout
        | Refusal::UnknownVersion => "",
    }
}

/// Returns the `Connection` field, if the client's version needs one.
fn connection(details: Option<Details>, persistence: Persistence) -> &'static str {
    match details.map(|details| details.version) {
        _ if persistence == Persistence::Close => "Connection: close\r\n",
        Some(Version::Http10) => "Connection: keep-alive\r\n",
        Some(Version::Http11) | None => "",
    }
}

fn status(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::LastHop => "200 OK",
        Refusal::BadRequest(_) => "400 Bad Request",
        Refusal::TooSlow => "408 Request Timeout",
        Refusal::TooLarge => "413 Content Too Large",
        Refusal::UnknownExpectation => "417 Expectation Failed",
        Refusal::HeadTooLarge | Refusal::TooManyFields => "431 Request Header Fields Too Large",
        Refusal::NotPossible(_) => "501 Not Implemented",
        Refusal::BadGateway(_) => "502 Bad Gateway",
        Refusal::QueueFull => "503 Service Unavailable",
        Refusal::UpstreamTimeout => "504 Gateway Timeout",
        Refusal::UnknownVersion => "505 HTTP Version Not Supported",
    }
}
