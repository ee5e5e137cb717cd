//! The replies that we make ourselves (RFC 9110 section 15).

use std::io::Write as _;

use super::Details;
use crate::queue::framing::Refusal;

/// Writes the whole reply to `out`.
pub(super) fn write(refusal: Refusal, details: Option<Details>, closing: bool, out: &mut Vec<u8>) {
    let text = format!("{refusal}\n");
    let connection = match details {
        _ if closing => "Connection: close\r\n",
        Some(details) if details.http10 => "Connection: keep-alive\r\n",
        Some(_) | None => "",
    };
    let extra = if refusal == Refusal::QueueFull {
        "Retry-After: 1\r\n"
    } else {
        ""
    };
    let head_only = details.is_some_and(|details| details.head_only);
    let body = if head_only { "" } else { &text };
    // Writing to a Vec never fails.
    let _ = write!(
        out,
        "HTTP/1.1 {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         {extra}{connection}\r\n{body}",
        status(refusal),
        text.len(),
    );
}

fn status(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::BadRequest(_) => "400 Bad Request",
        Refusal::TooSlow => "408 Request Timeout",
        Refusal::TooLarge => "413 Content Too Large",
        Refusal::UnknownExpectation => "417 Expectation Failed",
        Refusal::HeadTooLarge => "431 Request Header Fields Too Large",
        Refusal::NotPossible(_) => "501 Not Implemented",
        Refusal::BadGateway(_) => "502 Bad Gateway",
        Refusal::QueueFull => "503 Service Unavailable",
        Refusal::UpstreamTimeout => "504 Gateway Timeout",
        Refusal::UnknownVersion => "505 HTTP Version Not Supported",
    }
}
