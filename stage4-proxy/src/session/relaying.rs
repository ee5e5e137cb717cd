//! Moving bytes both ways, to the end in order or to the break.

use std::time::Instant;
use std::{io, mem};

use crate::endpoint::Endpoint;
use crate::half::HalfState;
use crate::relay::{Fault, Progress};
use crate::scratch::Scratch;
use crate::session::{Next, Phase, Reason, Session};
use crate::token::Side;

impl Session {
    /// Moves bytes both ways.
    ///
    /// A side that cannot be written is broken, but what it has sent before may still be read:
    /// the other direction goes on until its end, and only then is the far side reset.
    pub(super) fn relay(&mut self, scratch: &mut Scratch, now: Instant) -> Next {
        let Some(upstream) = &mut self.upstream else {
            return Next::Wait;
        };
        let before = (self.up.half.progress(), self.down.half.progress());
        let client = &mut self.client;
        let opposite = self.down.half.state();
        let up = self.up.pump(client, upstream, opposite, scratch);
        let opposite = self.up.half.state();
        let down = self.down.pump(upstream, client, opposite, scratch);
        if (self.up.half.progress(), self.down.half.progress()) != before {
            self.active = now;
        }
        let up = self.judge(up, Side::Client, Side::Upstream);
        let down = self.judge(down, Side::Upstream, Side::Client);
        match (up, down) {
            (Err((side, error)), _) | (_, Err((side, error))) => self.part(side, error, now),
            (Ok(_), Ok(_)) if self.is_finished() => self.finish(now),
            (Ok(up), Ok(down)) if up || down => Next::Again,
            (Ok(_), Ok(_)) => Next::Wait,
        }
    }

    /// Ends a session whose directions are both closed.
    ///
    /// `EPIPE` of a first write says that the upstream had ended its output in order before it
    /// broke, so the client has a complete answer that a reset must not overtake: it is seen off.
    fn finish(&mut self, now: Instant) -> Next {
        match self.broken.take() {
            None => Next::Close(Reason::Finished),
            Some((Side::Upstream, error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                // The FIN was left to close(2), which comes later now: the farewell sends it.
                self.enter(Phase::Farewell, now);
                Next::Again
            }
            Some((side, error)) => self.part(side, error, now),
        }
    }

    /// Ends a session of which one side has broken: with a reset for the other, so that it does
    /// not take the end for a good one, but not before it has got what was said until then. A
    /// reset drops whatever the kernel has not sent yet.
    fn part(&mut self, broken: Side, error: io::Error, now: Instant) -> Next {
        let reason = Reason::Reset(broken, error);
        let survivor = broken.other();
        match self.endpoint_mut(survivor).map(Endpoint::await_delivery) {
            Some(Ok(())) => {
                self.enter(Phase::Parting(survivor, reason), now);
                Next::Wait
            }
            Some(Err(_)) | None => Next::Close(reason),
        }
    }

    /// Looks whether the survivor has been sent everything.
    pub(super) fn await_delivery(&mut self) -> Next {
        let Phase::Parting(side, _) = self.phase else {
            return Next::Wait;
        };
        let survivor = self.endpoint_mut(side);
        if survivor.is_some_and(|survivor| !survivor.writable) {
            return Next::Wait;
        }
        match mem::replace(&mut self.phase, Phase::Relay) {
            Phase::Parting(_, reason) => Next::Close(reason),
            Phase::Handshake(..)
            | Phase::Resolving(_)
            | Phase::Connecting(..)
            | Phase::Relay
            | Phase::Farewell => Next::Wait,
        }
    }

    /// Says whether a direction has more to do, or which side has broken for good.
    fn judge(
        &mut self,
        progress: Result<Progress, Fault>,
        source: Side,
        sink: Side,
    ) -> Result<bool, (Side, io::Error)> {
        match progress {
            Ok(progress) => Ok(progress == Progress::Unfinished),
            Err(Fault::Source(error)) => Err((source, error)),
            Err(Fault::Sink(error)) => {
                self.broken.get_or_insert((sink, error));
                Ok(false)
            }
        }
    }

    fn is_finished(&self) -> bool {
        [&self.up, &self.down]
            .iter()
            .all(|flow| flow.half.state() == HalfState::Closed || flow.half.owes_fin())
    }
}
