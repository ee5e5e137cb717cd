//! Forwards one request and its response: the phase of an HTTP request in absolute form.
//!
//! ```text
//!              response complete, request complete, both sides know it
//!   Handshake ◀─────────────────────────────────────────────────────── Forward
//!                                 response complete, but              │  │  │
//!   Lingering ◀───────────────────────────────────────────────────────┘  │  │
//!                                 not valid, no part of it was sent      │  │
//!   refused with 400 or 502, or 504 for a target that is silent ◀────────┘  │
//!                                 not valid, a part of it was sent          │
//!   Aborting ◀──────────────────────────────────────────────────────────────┘
//! ```
//!
//! Only the bytes of this one request may reach the target, and only those of this one response the client. A
//! client that takes the response for complete sends its next request on the same connection, perhaps to another
//! host and with that one's cookies. So behind the last byte of the body nothing is read for the target any more, and
//! behind the last byte of the response nothing is read for the client. The target's connection is closed then, unless it
//! is [kept](crate::session::keeping) for the client's next request.

use std::borrow::Cow;
use std::time::Instant;

use crate::deadline::Timeout;
use crate::half::{Half, HalfState};
use crate::http::exchange::Exchange;
use crate::http::{Invalid, Message};
use crate::relay::{MessageFault, Progress};
use crate::scratch::Scratch;
use crate::session::conversing::check_client;
use crate::session::keeping::repeat;
use crate::session::{Next, Phase, Reason, Session};
use crate::token::Side;

impl Session {
    /// Moves the request up and the response down.
    pub(super) fn forward(&mut self, scratch: &mut Scratch, now: Instant) -> Next {
        let (Phase::Forward(exchange), Some(upstream)) = (&mut self.phase, &mut self.upstream)
        else {
            return Next::Wait;
        };
        let before = (self.up.half.progress(), self.down.half.progress());
        let client = &mut self.client;
        let Exchange {
            upload, response, ..
        } = &mut **exchange;
        if scratch.is_draining {
            response.close_client();
        }
        let up = self.up.pump_message(upload, client, upstream, scratch);
        let down = self.down.pump_message(response, upstream, client, scratch);
        let has_begun = response.has_begun();
        if (self.up.half.progress(), self.down.half.progress()) != before {
            self.active = now;
        }
        if let Some(next) = repeat(self, &up, &down, scratch) {
            return next;
        }
        if let Some(next) = objection(&up, &down, has_begun) {
            return next;
        }
        let (up, down) = (
            up.map_err(MessageFault::into_fault),
            down.map_err(MessageFault::into_fault),
        );
        let up = self.outcome_of(up, Side::Client, Side::Upstream);
        let down = self.outcome_of(down, Side::Upstream, Side::Client);
        match (up, down) {
            (Err((side, error)), _) | (_, Err((side, error))) => self.abort(side, error, now),
            (Ok(_), Ok(_)) if is_answered(&self.phase, &self.down.half) => {
                self.end_exchange(scratch.is_draining, now)
            }
            (Ok(Progress::Unfinished), _) | (_, Ok(Progress::Unfinished)) => Next::Again,
            (Ok(Progress::Idle), Ok(Progress::Idle)) => check_client(&self.client),
        }
    }

    /// Ends an exchange: the client may send its next request, or has got its last response. While the worker drains, only
    /// a request that has come already is another one.
    fn end_exchange(&mut self, is_draining: bool, now: Instant) -> Next {
        let Phase::Forward(exchange) = &mut self.phase else {
            return Next::Wait;
        };
        let up = &self.up.half;
        let is_open = up.state() == HalfState::Open;
        let has_left = exchange.upload.is_over() && !up.has_pending();
        let surplus = exchange.upload.take_surplus();
        let goes_on = !is_draining || !surplus.is_empty();
        let is_kept = is_open && has_left && exchange.keeps_client() && goes_on;
        let keeps_target = is_kept && exchange.response.keeps_target();
        if !keeps_target && let Some(upstream) = self.upstream.take() {
            self.facts.tried(upstream.peer_addr());
            if is_open && !has_left {
                // A FIN would make an end of the request that it is not.
                upstream.reset_on_close();
            }
        }
        match &mut self.handshake {
            Some(handshake) if is_kept => {
                handshake.begin_again();
                self.up.half.keep(&surplus);
                self.on_its_way = 0;
                self.enter(Phase::Handshake, now);
                Next::Answered
            }
            Some(_) | None => {
                // The client may have sent more, and a reset would overtake the response.
                self.down.half.end_of_input();
                self.enter(Phase::Lingering, now);
                Next::Again
            }
        }
    }
}

/// Ends a session in which no byte has moved for its time limit: a client that waits for the response is told so.
///
/// It is not told if it is the one that is silent, because the rest of its request is missing, or if a part of the response
/// has gone to it: then only a reset says that the end is none.
pub(crate) fn after_silence(session: &Session, timeout: Timeout) -> Next {
    let waits = match &session.phase {
        Phase::Forward(exchange) => {
            let is_asked = exchange.upload.is_over() || session.up.half.has_pending();
            is_asked && !exchange.response.has_begun()
        }
        Phase::Handshake
        | Phase::Delayed(_)
        | Phase::Resolving(_)
        | Phase::Connecting(_)
        | Phase::Chaining(_)
        | Phase::Relay
        | Phase::Associated
        | Phase::Lingering
        | Phase::Aborting(_) => false,
    };
    let reason = Reason::TimedOut(timeout);
    if waits {
        Next::Refuse(reason)
    } else {
        Next::Close(reason)
    }
}

/// Returns what becomes of a client because of bytes that are no message, or are missing: it is told so, unless a part
/// of the response has gone to it already.
fn objection(
    up: &Result<Progress, MessageFault>,
    down: &Result<Progress, MessageFault>,
    has_begun: bool,
) -> Option<Next> {
    match (up, down) {
        (Err(MessageFault::Invalid(why)), _) if has_begun => {
            Some(Next::Close(Reason::BadRequest(*why)))
        }
        (Err(MessageFault::Invalid(why)), _) => Some(Next::Refuse(Reason::BadRequest(*why))),
        (_, Err(fault)) if !has_begun && !fault.is_of_sink() => {
            Some(Next::Refuse(Reason::BadResponse(fault.as_invalid())))
        }
        (Ok(_) | Err(MessageFault::Socket(_)), Ok(_) | Err(_)) => None,
    }
}

/// Returns whether the response has gone to the client, up to its end.
fn is_answered(phase: &Phase, down: &Half) -> bool {
    let Phase::Forward(exchange) = phase else {
        return false;
    };
    // The half is closed also when the client takes no more.
    down.state() == HalfState::Closed || exchange.response.is_over() && !down.has_pending()
}

impl Phase {
    /// Returns what the client gets of the target's first bytes, which have come behind a chain's responses.
    ///
    /// # Errors
    ///
    /// Fails if they should be a response and are none.
    pub(super) fn early_bytes<'a>(&mut self, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, Invalid> {
        let Self::Forward(exchange) = self else {
            return Ok(Cow::Borrowed(bytes));
        };
        let sight = exchange.response.look(bytes)?;
        Ok(Cow::Owned([&sight.before, &bytes[sight.verbatim]].concat()))
    }
}
