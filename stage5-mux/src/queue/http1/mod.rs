//! HTTP/1.1 messages (RFC 9112), rewritten on the way through a shared connection.
//!
//! | what | what happens to it |
//! |---|---|
//! | `Connection`, `Keep-Alive`, `Proxy-Connection`, `TE`, `Upgrade`, and what `Connection` names | ends here: each connection has its own |
//! | a request's body | sent with a `Content-Length` when all of it was held, in chunks of our own when it streams; extensions and trailers of its chunks end here |
//! | a response's body | passed on as it is; without chunks for an HTTP/1.0 client |
//! | `Expect: 100-continue` | answered here, because the body is held here |
//! | `Host` | first field; the authority of an absolute target counts more (RFC 9112 section 3.2.2) |
//! | `Via` | added to requests, as RFC 9110 section 7.6.3 demands of a gateway; not to responses |
//! | the version | always HTTP/1.1, ours (RFC 9110 section 2.5) |
//! | `CONNECT`, `Upgrade` | 501: both turn the connection into a tunnel for one client, and this connection belongs to all |

mod body;
mod head;
mod reply;
mod request;
mod response;
mod rewrite;

use std::sync::Arc;

use super::framing::{Framing, Refusal, Summary};

pub use request::Http1Requests;
pub use response::Http1Responses;

/// The framing of HTTP/1.1.
#[derive(Clone, Debug)]
pub struct Http1 {
    settings: Arc<Settings>,
}

/// What all readers of requests have in common.
#[derive(Debug)]
struct Settings {
    /// The upstream's name, for clients that do not say one.
    host: String,
    max_head: usize,
    max_body: usize,
}

/// What the reader of a response must know of the request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Details {
    /// The method was HEAD: the response has no body, whatever its head says.
    head_only: bool,
    /// The client speaks HTTP/1.0: it knows no chunks, and its connection goes on only if it is
    /// told so.
    http10: bool,
}

impl Http1 {
    /// Makes a framing for an upstream called `host`, which holds heads of at most `max_head`
    /// bytes and bodies of at most `max_body` bytes.
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

    fn requests(&self) -> Http1Requests {
        Http1Requests::new(Arc::clone(&self.settings))
    }

    fn responses(&self, summary: Summary<Details>) -> Http1Responses {
        Http1Responses::new(summary, self.settings.max_head)
    }

    fn refuse(
        refusal: Refusal,
        summary: Option<Summary<Details>>,
        closing: bool,
        out: &mut Vec<u8>,
    ) {
        reply::write(
            refusal,
            summary.map(|summary| summary.details),
            closing,
            out,
        );
    }
}

#[cfg(test)]
mod tests;
