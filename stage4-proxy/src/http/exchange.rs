//! One request with its response: the body that goes up, and the bytes that come down.

use std::mem;

use crate::http::body::Body;
use crate::http::response::Response;
use crate::http::{Invalid, Message, Sight};

/// One request, whose head was sent, and its response.
#[derive(Debug)]
pub struct Exchange {
    /// The rest of the request.
    pub upload: Upload,
    /// The response.
    pub response: Response,
    /// The head as the target gets it, if the request may be sent twice: its method is idempotent (RFC 9110
    /// section 9.2.2), and it has no body.
    pub head: Option<Vec<u8>>,
    /// Whether the request has gone over a connection that an earlier one had used.
    pub is_on_kept: bool,
}

impl Exchange {
    /// Creates the exchange of a request with its response; see [`Exchange::head`].
    #[must_use]
    pub fn new(upload: Upload, response: Response, head: Option<Vec<u8>>) -> Self {
        Self {
            upload,
            response,
            head,
            is_on_kept: false,
        }
    }

    /// Returns whether the request may be sent twice.
    #[must_use]
    pub fn may_repeat(&self) -> bool {
        self.head.is_some()
    }

    /// Returns whether the client may send its next request on the same connection: both messages are complete,
    /// and both sides know it.
    #[must_use]
    pub fn keeps_client(&self) -> bool {
        self.upload.is_over() && self.response.is_over() && self.response.keeps_client()
    }
}

/// The body of a request.
///
/// Bytes behind it are the client's next request. They are kept, and never passed on with this one.
#[derive(Debug)]
pub struct Upload {
    body: Body,
    surplus: Vec<u8>,
}

impl Upload {
    /// Creates the upload of a body.
    #[must_use]
    pub fn new(body: Body) -> Self {
        Self {
            body,
            surplus: Vec::new(),
        }
    }

    /// Takes the bytes that were read behind the body.
    pub fn take_surplus(&mut self) -> Vec<u8> {
        mem::take(&mut self.surplus)
    }
}

impl Message for Upload {
    fn blind(&self) -> u64 {
        self.body.blind()
    }

    fn pass(&mut self, count: u64) {
        self.body.pass(count);
    }

    fn look(&mut self, bytes: &[u8]) -> Result<Sight, Invalid> {
        let used = self.body.take(bytes)?;
        self.surplus.extend_from_slice(&bytes[used..]);
        Ok(Sight {
            before: Vec::new(),
            verbatim: 0..used,
        })
    }

    fn is_over(&self) -> bool {
        self.body.is_over()
    }

    fn may_end(&self) -> bool {
        // The target can see that the request is not complete, and may answer that it is not.
        true
    }
}

#[cfg(test)]
mod tests;
