//! Talking with the client itself: before it is connected, and when it gets its refusal.

use crate::half::HalfState;
use crate::ingress::Verdict;
use crate::limits::Limits;
use crate::scratch::Scratch;
use crate::session::{Next, Phase, Reason, Session};
use crate::token::Side;

impl Session {
    /// Reads what the client wants; the bytes are kept where the upstream's will be kept later,
    /// so that what follows the handshake is already under way.
    pub(super) fn converse(&mut self, scratch: &mut Scratch, limits: &Limits) -> Next {
        loop {
            let Phase::Handshake(handshake, used) = &mut self.phase else {
                return Next::Wait;
            };
            let step = handshake.advance(self.up.half.pending());
            *used += step.consumed;
            let too_long = *used + self.up.half.pending().len() - step.consumed;
            let too_long = too_long >= limits.max_handshake;
            self.up.half.consume(step.consumed);
            self.down.half.keep(&step.reply);
            match step.verdict {
                Verdict::Connect(target) => return Next::Connect(target),
                Verdict::Refuse(why) => return Next::Refuse(Reason::Refused(why)),
                Verdict::More if too_long => {
                    let why = "the handshake is too long".to_owned();
                    return Next::Close(Reason::Refused(why));
                }
                Verdict::More => {}
            }
            if let Err(error) = self.down.flush(&mut self.client) {
                return Next::Close(Reason::Reset(Side::Client, error));
            }
            let shows_more = step.consumed > 0 && !self.up.half.pending().is_empty();
            if !shows_more && let Some(next) = self.hear(scratch) {
                return next;
            }
        }
    }

    /// Reads more of the handshake, or says why there is none.
    fn hear(&mut self, scratch: &mut Scratch) -> Option<Next> {
        match self.client.read_some(&mut scratch.bytes) {
            Ok(Some(0)) => Some(Next::Close(Reason::Gone)),
            Ok(Some(count)) => {
                self.up.half.keep(&scratch.bytes[..count]);
                None
            }
            Ok(None) => Some(Next::Wait),
            Err(error) => Some(Next::Close(Reason::Reset(Side::Client, error))),
        }
    }

    /// Looks whether the client is still there while its upstream is not yet.
    ///
    /// A client that has only ended its input is: it may be waiting for the answer.
    pub(super) fn check_client(&self) -> Next {
        if !self.client.is_ending() {
            return Next::Wait;
        }
        match self.client.socket().take_error() {
            Ok(None) => Next::Wait,
            Ok(Some(_)) | Err(_) => Next::Close(Reason::Gone),
        }
    }

    /// Delivers the refusal, then reads on to the client's end: a close(2) with unread bytes
    /// would send a reset, and the reset would overtake the refusal (`RFC 1122 4.2.2.13`).
    pub(super) fn see_off(&mut self, scratch: &mut Scratch, limits: &Limits) -> Next {
        if self.down.flush(&mut self.client).is_err() {
            return Next::Close(Reason::Gone);
        }
        for _ in 0..(limits.bytes_per_turn / limits.chunk).max(1) {
            match self.client.read_some(&mut scratch.bytes) {
                Ok(Some(0)) if self.down.half.state() == HalfState::Closed => {
                    return Next::Close(Reason::Finished);
                }
                Ok(Some(0) | None) => return Next::Wait,
                Ok(Some(_)) => {}
                Err(_) => return Next::Close(Reason::Gone),
            }
        }
        Next::Again
    }
}
