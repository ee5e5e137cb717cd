//! Forwards one request, and relays its response: the phase of an HTTP request in absolute form.
//!
//! Only the bytes of this one request may reach the target. A client that takes the response for
//! complete sends its next request on the same connection, perhaps to another host and with that one's
//! cookies. So behind the last byte of the body nothing is read for the target any more; a further
//! request ends the session, and its client repeats it over a new connection.

use std::time::Instant;

use crate::half::HalfState;
use crate::relay::{Fault, Progress};
use crate::scratch::Scratch;
use crate::session::{Next, Phase, Reason, Session};
use crate::token::Side;

impl Session {
    /// Moves the request up, of which `rest` bytes have not come yet, and the response down.
    pub(super) fn forward(&mut self, rest: u64, scratch: &mut Scratch, now: Instant) -> Next {
        let Some(upstream) = &mut self.upstream else {
            return Next::Wait;
        };
        let before = (self.up.half.progress(), self.down.half.progress());
        let up = self
            .up
            .pump_at_most(rest, &mut self.client, upstream, scratch);
        // As if the client had not ended, because its FIN may have been left unread: so ours is sent.
        let down = (self.down).pump(upstream, &mut self.client, HalfState::Open, scratch);
        if (self.up.half.progress(), self.down.half.progress()) != before {
            self.active = now;
        }
        let rest = match up {
            Ok(rest) => rest,
            Err(Fault::Source(error)) => return self.abort(Side::Client, error, now),
            // The target reads no more of the request, and may have answered all the same.
            Err(Fault::Sink(_)) => 0,
        };
        self.phase = Phase::Forward(rest);
        match down {
            Err(Fault::Source(error)) => self.abort(Side::Upstream, error, now),
            Err(Fault::Sink(error)) => Next::Close(Reason::Reset(Side::Client, error)),
            Ok(_) if self.down.half.state() == HalfState::Closed => {
                // Lingering, because the client may have sent more, and a reset would overtake the response.
                self.upstream = None;
                self.enter(Phase::Lingering, now);
                Next::Again
            }
            Ok(Progress::Unfinished) => Next::Again,
            Ok(Progress::Idle) if rest == 0 => self.watch_client(scratch),
            Ok(Progress::Idle) => Next::Wait,
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
