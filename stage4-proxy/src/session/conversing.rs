//! Talks with the client itself: its handshake before the connect, its refusal afterwards.

use std::time::Instant;

use crate::endpoint::Endpoint;
use crate::half::HalfState;
use crate::ingress::Verdict;
use crate::limits::Limits;
use crate::scratch::Scratch;
use crate::session::{Next, Phase, Reason, Session};
use crate::token::Side;

impl Phase {
    /// Returns the reason for which a client's refusal is held back.
    pub(crate) fn unauthorized(&self) -> Reason {
        match self {
            Self::Delayed(wrong) => Reason::Unauthorized(wrong.clone()),
            Self::Handshake
            | Self::Resolving(_)
            | Self::Connecting(_)
            | Self::Chaining(_)
            | Self::Relay
            | Self::Associated
            | Self::Forward(_)
            | Self::Lingering
            | Self::Aborting(_) => Reason::Gone,
        }
    }

    /// Changes the end of a client that has left: its guess counts, also if it does not wait for the answer.
    pub(super) fn with_guess(&self, next: Next) -> Next {
        match next {
            Next::Close(_) => Next::Close(self.unauthorized()),
            Next::Wait
            | Next::Again
            | Next::Answered
            | Next::Identify(_)
            | Next::Connect(_)
            | Next::ConnectUnix(_)
            | Next::Associate(_)
            | Next::Refuse(_) => next,
        }
    }
}

impl Session {
    /// Reads the client's handshake and sends its replies, until there is a verdict.
    ///
    /// The bytes are kept in the half that goes up, so that bytes behind the handshake are already
    /// where the upstream's bytes belong.
    pub(super) fn converse(&mut self, scratch: &mut Scratch, now: Instant) -> Next {
        loop {
            let Some(handshake) = &mut self.handshake else {
                return Next::Wait;
            };
            // Before the first read, too, because in some protocols the server speaks first.
            let step = handshake.advance(self.up.half.pending());
            self.up.half.consume(step.consumed);
            self.up.half.put_before(&step.forward);
            self.down.half.keep(&step.reply);
            match step.verdict {
                Verdict::Connect(target) => {
                    if let Some(user) = handshake.user() {
                        self.granted.get_or_insert_default().user = Some(user);
                    }
                    // Now, because the connect may take long and the client waits for the reply.
                    return match self.down.flush(&mut self.client) {
                        Ok(()) => Next::Connect(target),
                        Err(error) => Next::Close(Reason::Reset(Side::Client, error)),
                    };
                }
                Verdict::Associate(hint) => return Next::Associate(hint),
                Verdict::Identified(origin) => return Next::Identify(origin),
                Verdict::Unauthorized(wrong) => {
                    // The reply stays where it is, and no byte of the client is read meanwhile.
                    self.enter(Phase::Delayed(wrong), now);
                    return Next::Wait;
                }
                Verdict::Refuse(why) => return Next::Refuse(Reason::Refused(why)),
                Verdict::TooLong => return Next::Refuse(Reason::TooLong),
                Verdict::More => {}
            }
            if let Err(error) = self.down.flush(&mut self.client) {
                return Next::Close(Reason::Reset(Side::Client, error));
            }
            if let Some(next) = self.read_handshake(scratch, now) {
                return next;
            }
        }
    }

    /// Reads more of the handshake, or returns what comes next if there is nothing to read.
    fn read_handshake(&mut self, scratch: &mut Scratch, now: Instant) -> Option<Next> {
        match self.client.read_some(&mut scratch.bytes) {
            Ok(Some(0)) if self.waits_for_next() => Some(Next::Close(Reason::Finished)),
            Ok(Some(0)) => Some(Next::Close(Reason::Gone)),
            Ok(Some(count)) => {
                if self.waits_for_next() {
                    self.active = now;
                }
                self.up.half.keep(&scratch.bytes[..count]);
                None
            }
            Ok(None) => Some(Next::Wait),
            Err(error) => Some(Next::Close(Reason::Reset(Side::Client, error))),
        }
    }

    /// Lingering close: delivers the last bytes and a FIN, then reads on until the client closes.
    ///
    /// A close(2) with unread bytes would send a reset, and the reset would overtake the refusal
    /// (`RFC 1122 4.2.2.13`).
    pub(super) fn linger(&mut self, scratch: &mut Scratch, limits: &Limits, now: Instant) -> Next {
        let before = self.down.half.progress();
        if self.down.flush(&mut self.client).is_err() {
            return Next::Close(Reason::Gone);
        }
        if self.down.half.progress() != before {
            self.active = now;
        }
        // Bounded, because a client that sends without end must not keep the others waiting.
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

/// Checks whether the client's connection still works while none of its bytes are read.
///
/// A client that has only sent its FIN counts as present: it may be waiting for the answer.
pub(super) fn check_client(client: &Endpoint) -> Next {
    if !client.is_ending() {
        return Next::Wait;
    }
    // SO_ERROR instead of a read, because the client's bytes belong to the upstream: they stay
    // in the kernel until there is one.
    match client.socket().take_error() {
        Ok(None) => Next::Wait,
        Ok(Some(_)) | Err(_) => Next::Close(Reason::Gone),
    }
}
