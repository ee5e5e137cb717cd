//! The framing of HTTP/1.1 (RFC 9112): messages are rewritten for a connection that clients share.
//!
//! ```text
//!   message   = start-line CRLF *( field-line CRLF ) CRLF [ body ]
//!   request   start-line = method SP target SP HTTP-version        GET /a?b HTTP/1.1
//!   response  start-line = HTTP-version SP code SP [ reason ]      HTTP/1.1 200 OK
//!   field-line           = name ":" OWS value OWS                  Host: example
//! ```
//!
//! | part of a message | what the queue does with it |
//! |---|---|
//! | `Connection`, `Keep-Alive`, `Proxy-Connection`, `TE`, `Upgrade`, `HTTP2-Settings`, and the fields that `Connection` names | removed, because they concern one connection only (RFC 9110 section 7.6.1) |
//! | body of a request | sent with a `Content-Length` if all of it was held, or in chunks of our own if it streams; chunk extensions and trailers are removed |
//! | body of a response | passed on unchanged; without chunks for an HTTP/1.0 client |
//! | `Expect: 100-continue` | answered by the queue, because the queue holds the body |
//! | `Host` | becomes the first field; the authority of an absolute target replaces it (RFC 9112 section 3.2.2) |
//! | `Via` | added to requests with the version that the client has sent, as RFC 9110 section 7.6.3 demands of a gateway; not to responses |
//! | `Max-Forwards` of TRACE and OPTIONS | counted down; at 0 the queue answers: 200 to OPTIONS, 501 to TRACE (RFC 9110 section 7.6.2) |
//! | version | always HTTP/1.1, which is our own (RFC 9110 section 2.5) |
//! | `CONNECT`, `Upgrade: websocket` | refused with 501: both turn the connection into a tunnel for one client, and all clients share it |
//! | every other `Upgrade`, for example `h2c` | removed, and the request is served in HTTP/1.1, as RFC 9110 section 7.8 allows |
//! | more than 128 fields | refused with 431; in a response a 502 |

mod body;
mod details;
mod head;
mod reply;
mod request;
mod response;
mod rewrite;
mod settings;
mod target;

use std::sync::Arc;

use crate::queue::framing::{Framing, Persistence, Refusal, Summary};
use crate::queue::http1::settings::Settings;

pub use crate::queue::http1::details::Details;
pub use crate::queue::http1::request::Http1Requests;
pub use crate::queue::http1::response::Http1Responses;

/// The framing of HTTP/1.1.
#[derive(Clone, Debug)]
pub struct Http1 {
    settings: Arc<Settings>,
}

impl Http1 {
    /// Creates a framing for the upstream `host`, which holds heads of at most `max_head` bytes
    /// and bodies of at most `max_body` bytes.
    #[must_use]
    pub fn new(host: String, max_head: usize, max_body: usize) -> Self {
        let settings = Settings {
            host,
            max_head,
            max_body,
        };
        Self {
            settings: Arc::new(settings),
        }
    }
}

impl Framing for Http1 {
    type Details = Details;
    type Requests = Http1Requests;
    type Responses = Http1Responses;

    const NAME: &'static str = "http1";
    const CLOSES_IDLE: bool = true;
    const UNASKED: &'static str = "the upstream has sent bytes that answer no request";

    fn requests(&self) -> Http1Requests {
        Http1Requests::new(Arc::clone(&self.settings))
    }

    fn responses(&self, summary: Summary<Details>) -> Http1Responses {
        Http1Responses::new(summary, self.settings.max_head)
    }

    fn refuse(
        refusal: Refusal,
        summary: Option<Summary<Details>>,
        persistence: Persistence,
        out: &mut Vec<u8>,
    ) {
        let details = summary.map(|summary| summary.details);
        reply::write(refusal, details, persistence, out);
    }
}

#[cfg(test)]
mod tests;
