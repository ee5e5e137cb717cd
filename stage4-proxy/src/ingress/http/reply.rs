//! Replies: a status, and a sentence that a person can read.

use crate::chain;
use crate::http::proxy_name::ProxyName;
use crate::ingress::Failure;

/// The reply to a CONNECT whose target is connected. It has no body, and no field that would describe
/// one (RFC 9110 section 9.3.6).
pub(super) const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Why there is no response from a target, by the number in the reply (RFC 9110 section 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// The request asks the last of its proxies, and its `Max-Forwards` is 0. This reply is no error.
    Ok = 200,
    /// The request is not valid.
    BadRequest = 400,
    /// An access rule forbids the target.
    Forbidden = 403,
    /// The proxy demands a name and a password.
    ProxyAuthenticationRequired = 407,
    /// The head was not complete in time.
    RequestTimeout = 408,
    /// The client's address has too many connections (RFC 6585 section 4).
    TooManyRequests = 429,
    /// The head is too long.
    HeadTooLarge = 431,
    /// The request asks for what this proxy cannot do.
    NotImplemented = 501,
    /// The target cannot be reached.
    BadGateway = 502,
    /// The target has not answered in time.
    GatewayTimeout = 504,
    /// HTTP, but neither 1.0 nor 1.1.
    VersionNotSupported = 505,
}

impl Status {
    /// Encodes the reply; `why` becomes its body, unless the request was a HEAD.
    pub(super) fn reply(self, why: &str, head_only: bool) -> Vec<u8> {
        self.reply_with("", why, head_only)
    }

    fn reply_with(self, field: &str, why: &str, head_only: bool) -> Vec<u8> {
        let (code, phrase) = (self as u16, self.phrase());
        let body = format!("{code} {phrase}: {why}\n");
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {code} {phrase}\r\n{field}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        let body = if head_only { "" } else { &body };
        (head + body).into_bytes()
    }

    fn phrase(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::BadRequest => "Bad Request",
            Self::Forbidden => "Forbidden",
            Self::ProxyAuthenticationRequired => "Proxy Authentication Required",
            Self::RequestTimeout => "Request Timeout",
            Self::TooManyRequests => "Too Many Requests",
            Self::HeadTooLarge => "Request Header Fields Too Large",
            Self::NotImplemented => "Not Implemented",
            Self::BadGateway => "Bad Gateway",
            Self::GatewayTimeout => "Gateway Timeout",
            Self::VersionNotSupported => "HTTP Version Not Supported",
        }
    }
}

/// Encodes the reply that asks for a name and a password; `why` becomes its body, unless the request was a HEAD.
pub(super) fn challenge(realm: ProxyName, why: &str, head_only: bool) -> Vec<u8> {
    // The charset is for clients whose users have names beyond ASCII (RFC 7617 section 2.1).
    let field = format!("Proxy-Authenticate: Basic realm=\"{realm}\", charset=\"UTF-8\"\r\n");
    Status::ProxyAuthenticationRequired.reply_with(&field, why, head_only)
}

impl From<&Failure<'_>> for Status {
    fn from(failure: &Failure<'_>) -> Self {
        match failure {
            Failure::Unreached(error) => match chain::Status::from(*error) {
                chain::Status::NotAllowed => Self::Forbidden,
                chain::Status::TimedOut => Self::GatewayTimeout,
                chain::Status::Ok
                | chain::Status::Resolve
                | chain::Status::Refused
                | chain::Status::Unreachable
                | chain::Status::Malformed
                | chain::Status::LimitReached
                | chain::Status::Other => Self::BadGateway,
            },
            Failure::TooSlow => Self::RequestTimeout,
            Failure::Silent => Self::GatewayTimeout,
            Failure::TooLong => Self::HeadTooLarge,
            Failure::BadRequest(_) => Self::BadRequest,
            Failure::BadResponse(_) => Self::BadGateway,
        }
    }
}
