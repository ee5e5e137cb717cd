//! The request in flight and the response to it: never more than one.

use std::time::Instant;

use stage4_proxy::buffer::Buffer;
use stage4_proxy::token::Token;

use crate::queue::framing::{Framing, Summary};

/// One exchange with the upstream.
#[derive(Debug)]
pub(super) struct Flight<F: Framing> {
    /// Who gets the response; nobody, when the client has gone.
    pub(super) client: Option<Token>,
    /// What is remembered of the request.
    pub(super) exchange: Summary<F::Details>,
    /// The request, or the part of it that is at hand.
    pub(super) request: Vec<u8>,
    /// How much of `request` has left.
    pub(super) sent: usize,
    /// `request` is the whole request, or its end.
    pub(super) whole: bool,
    /// The upstream takes nothing more; what it has said may still be read.
    pub(super) broken: bool,
    /// Finds the end of the response.
    pub(super) responses: F::Responses,
    /// The beginning of a head that is not complete.
    pub(super) carry: Buffer,
    /// Bytes that came for a client that has gone.
    pub(super) dropped: usize,
    /// When its turn began.
    pub(super) since: Instant,
}

impl<F: Framing> Flight<F> {
    /// Says what is still to be sent.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.request[self.sent..]
    }

    /// Goes back to the beginning, for a second attempt.
    pub(super) fn rewind(&mut self) {
        self.sent = 0;
        self.broken = false;
    }
}
