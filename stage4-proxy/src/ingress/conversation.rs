//! A handshake and its bookkeeping: the bytes used, the bound, the verdict, the rest.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::access::User;
use crate::http::exchange::Exchange;
use crate::ingress::{Failure, Handshake, Step, Verdict};

/// The handshake of one client, driven without I/O.
///
/// The owner of the socket calls [`Conversation::advance`] first without bytes, because some
/// protocols let the server speak first, and then after every read with all bytes that were not
/// consumed yet. It sends each reply, and drops the consumed bytes. After
/// [`Verdict::Connect`], the rest belongs to the target, and [`Conversation::connected`] or
/// [`Conversation::failed`] encodes the last reply.
///
/// If the target gets one request only, [`Conversation::take_exchange`] has it. When it is over,
/// [`Conversation::begin_again`] begins with the next one.
#[derive(Debug)]
pub struct Conversation {
    handshake: Box<dyn Handshake>,
    consumed: usize,
    max_bytes: usize,
    /// The one request that the target gets; `None` means all bytes of the client.
    exchange: Option<Box<Exchange>>,
    /// A request was served, and no byte of the next one has come.
    waits_for_next: bool,
    /// What the target gets before the bytes of the client.
    preface: Vec<u8>,
}

impl Conversation {
    /// Begins a handshake that must be complete before the client has sent `max_bytes`.
    #[must_use]
    pub fn new(handshake: Box<dyn Handshake>, max_bytes: usize) -> Self {
        Self {
            handshake,
            consumed: 0,
            max_bytes,
            exchange: None,
            waits_for_next: false,
            preface: Vec::new(),
        }
    }

    /// Sets what the target gets before the bytes of the client.
    #[must_use]
    pub fn with_preface(mut self, preface: Vec<u8>) -> Self {
        self.preface = preface;
        self
    }

    /// Returns what the target gets before the bytes of the client, on a connection that is new.
    pub fn preface(&self) -> &[u8] {
        match &self.exchange {
            Some(exchange) if exchange.is_on_kept => &[],
            Some(_) | None => &self.preface,
        }
    }

    /// Shows the handshake the `pending` bytes, as often as it gets on with them.
    ///
    /// Returns the sum of its steps: all consumed bytes, all replies, all bytes to forward, and the last verdict.
    pub fn advance(&mut self, pending: &[u8]) -> Step {
        let mut sum = self.handshake.advance(pending);
        let mut last = sum.consumed;
        while sum.verdict.is_more() && last > 0 && sum.consumed < pending.len() {
            let step = self.handshake.advance(&pending[sum.consumed..]);
            last = step.consumed;
            sum.consumed += step.consumed;
            sum.reply.extend_from_slice(&step.reply);
            sum.forward.extend_from_slice(&step.forward);
            sum.exchange = step.exchange;
            sum.verdict = step.verdict;
        }
        // Consumed bytes count, too, because a handshake that takes everything and never decides
        // would otherwise keep its client forever.
        if sum.verdict.is_more() && self.consumed + pending.len() >= self.max_bytes {
            sum.verdict = Verdict::TooLong;
        }
        self.consumed += sum.consumed;
        // Bytes that are no part of a request, such as empty lines, are consumed at once.
        self.waits_for_next &= sum.consumed == pending.len();
        self.exchange = sum.exchange.take();
        sum
    }

    /// Takes the one request that the target gets; `None` means that it gets all bytes of the client.
    pub fn take_exchange(&mut self) -> Option<Box<Exchange>> {
        self.exchange.take()
    }

    /// Returns the one request that the target gets.
    pub(crate) fn exchange_mut(&mut self) -> Option<&mut Exchange> {
        self.exchange.as_deref_mut()
    }

    /// Puts an exchange back that was taken, because its request has to be sent again.
    pub(crate) fn put_back(&mut self, exchange: Box<Exchange>) {
        self.exchange = Some(exchange);
    }

    /// Begins anew with the client's next request; see [`Handshake::begin_again`].
    pub fn begin_again(&mut self) {
        self.handshake.begin_again();
        self.consumed = 0;
        self.waits_for_next = true;
    }

    /// Returns whether a request was served, and no byte of the next one has come.
    pub fn waits_for_next(&self) -> bool {
        self.waits_for_next
    }

    /// Returns the client's user; see [`Handshake::user`].
    pub fn user(&self) -> Option<Arc<User>> {
        self.handshake.user()
    }

    /// Returns whether the reply needs a local address; see [`Handshake::tells_local_addr`].
    pub fn tells_local_addr(&self) -> bool {
        self.handshake.tells_local_addr()
    }

    /// Encodes the reply to a client whose target is connected; see [`Handshake::connected`].
    pub fn connected(&mut self, local: Option<SocketAddr>) -> Vec<u8> {
        self.handshake.connected(local)
    }

    /// Encodes the reply to a client that gets no connection; see [`Handshake::failed`].
    pub fn failed(&mut self, failure: &Failure<'_>) -> Vec<u8> {
        self.handshake.failed(failure)
    }
}

#[cfg(test)]
mod tests;
