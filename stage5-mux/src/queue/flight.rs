//! The request in flight and the reader of its response: never more than one.

use std::time::Instant;

use stage4_proxy::buffer::Buffer;
use stage4_proxy::token::Token;

use crate::queue::framing::{Framing, Summary};

/// The largest request that leaves room in the receive window of a peer that reads nothing.
///
/// The smallest windows of common kernels are of this size; Linux begins with 64 KiB (`tcp(7)`, `tcp_rmem`).
const FITS_IN_WINDOW: usize = 16 * 1024;

/// A request that its client hands out when its exchange begins.
#[derive(Debug)]
pub(super) struct Outgoing<D> {
    /// What the reader of its response must know.
    pub(super) summary: Summary<D>,
    /// The request, or the part of it that was held.
    pub(super) bytes: Vec<u8>,
    /// Whether `bytes` is all of it; otherwise the rest streams.
    pub(super) whole: bool,
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct Flight<F: Framing> {
    /// The client that gets the response; `None` once it has closed.
    pub(super) client: Option<Token>,
    /// The request may be sent a second time.
    pub(super) repeatable: bool,
    /// The request, or the part of it that is at hand.
    pub(super) request: Vec<u8>,
    /// How many bytes of `request` have left.
    pub(super) sent: usize,
    /// A byte of the request has left over the present connection.
    pub(super) begun: bool,
    /// `request` is the whole request, or its end.
    pub(super) whole: bool,
    /// A write has failed: nothing more is sent, but a response may still be read.
    pub(super) broken: bool,
    /// Finds the end of the response.
    pub(super) responses: F::Responses,
    /// The beginning of a head that is not complete.
    pub(super) carry: Buffer,
    /// How many bytes were read and given to no client: it has closed, or they are interim responses
    /// that it does not get.
    pub(super) dropped: usize,
    /// When the exchange began.
    pub(super) since: Instant,
}

/// How far the request is on its way from the client to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// All of it has left.
    Complete,
    /// Bytes at hand have to leave.
    Leaving,
    /// Nothing is at hand: the client has to send more.
    Awaited,
}

impl<F: Framing> Flight<F> {
    /// Begins with a request of which nothing has left.
    pub(super) fn new(
        client: Token,
        outgoing: Outgoing<F::Details>,
        responses: F::Responses,
        now: Instant,
    ) -> Self {
        let Outgoing {
            summary,
            bytes,
            whole,
        } = outgoing;
        Self {
            client: Some(client),
            // Of a request that streams, the beginning is gone when it would have to be repeated.
            repeatable: summary.repeatable && whole,
            request: bytes,
            sent: 0,
            begun: false,
            whole,
            broken: false,
            responses,
            carry: Buffer::new(),
            dropped: 0,
            since: now,
        }
    }

    /// Returns the bytes at hand that have not left.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.request[self.sent..]
    }

    /// Returns how far the request is.
    pub(super) fn sending(&self) -> Sending {
        match (self.unsent().is_empty(), self.whole) {
            (false, _) => Sending::Leaving,
            (true, false) => Sending::Awaited,
            (true, true) => Sending::Complete,
        }
    }

    /// Returns whether an upstream that is there has acknowledged the request by now, even if its program
    /// reads nothing.
    ///
    /// A larger request may wait for room in the window, and so may the bytes that have not left.
    pub(super) fn is_acknowledged_if_alive(&self) -> bool {
        self.sending() == Sending::Complete && self.request.len() <= FITS_IN_WINDOW
    }

    /// Goes back to the beginning, for a second attempt.
    pub(super) fn rewind(&mut self) {
        self.sent = 0;
        self.begun = false;
        self.broken = false;
    }
}
