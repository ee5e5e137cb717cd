//! Forwards one request, and relays its response: the phase of an HTTP request in absolute form.
//!
//! Only the bytes of this one request may reach the target. A client that takes the response for
//! complete sends its next request on the same connection, perhaps to another host and with that one's
//! cookies. So behind the last byte of the body nothing is read for the target any more; a further
//! request ends the session, and its client repeats it over a new connection.

use std::time::Instant;

use crate::half::HalfState;
use crate::relay::Progress;
use crate::scratch::Scratch;
use crate::session::{Next, Phase, Reason, Session};
use crate::token::Side;

impl Session {
    /// Moves the request up, of which `rest` bytes have not come yet, and the response down.
    pub(super) fn forward(&mut self, mut rest: u64, scratch: &mut Scratch, now: Instant) -> Next {
        let Some(upstream) = &mut self.upstream else {
            return Next::Wait;
        };
        let before = (self.up.half.progress(), self.down.half.progress());
        let client = &mut self.client;
        let up = self.up.pump_at_most(&mut rest, client, upstream, scratch);
        // As if the client had not ended, because its FIN may have been left unread: so ours is sent.
        let down = self.down.pump(upstream, client, HalfState::Open, scratch);
        if (self.up.half.progress(), self.down.half.progress()) != before {
            self.active = now;
        }
        if self.up.half.state() == HalfState::Closed {
            // The client has ended in the middle, or the target reads no more and may have answered.
            rest = 0;
        }
        self.phase = Phase::Forward(rest);
        let up = self.outcome_of(up, Side::Client, Side::Upstream);
        let down = self.outcome_of(down, Side::Upstream, Side::Client);
        match (up, down) {
            (Err((side, error)), _) | (_, Err((side, error))) => self.abort(side, error, now),
            (Ok(_), Ok(_)) if self.down.half.state() == HalfState::Closed => {
                // Lingering, because the client may have sent more, and a reset would overtake the response.
                self.upstream = None;
                self.enter(Phase::Lingering, now);
                Next::Again
            }
            (Ok(Progress::Unfinished), _) | (_, Ok(Progress::Unfinished)) => Next::Again,
            (Ok(Progress::Idle), Ok(Progress::Idle)) if rest == 0 => self.watch_client(scratch),
            (Ok(Progress::Idle), Ok(Progress::Idle)) => Next::Wait,
        }
    }

    /// Looks whether the client is still there, and whether it has begun another request.
    fn watch_client(&mut self, scratch: &mut Scratch) -> Next {
        let has_answer = self.down.half.moved() > 0 && !self.down.half.has_pending();
        if !has_answer {
            return self.check_client();
        }
        match self.client.read_some(&mut scratch.bytes) {
            // A client that has ended its output may still wait for the rest of the response.
            Ok(None | Some(0)) => Next::Wait,
            Ok(Some(_)) => {
                self.down.half.end_of_input();
                Next::Again
            }
            Err(error) => Next::Close(Reason::Reset(Side::Client, error)),
        }
    }
}
