//! Relays both directions until an orderly close or an error.

use std::io;
use std::time::Instant;

use crate::endpoint::Endpoint;
use crate::half::HalfState;
use crate::relay::{Fault, Flow, Progress};
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
        // Asked again, because the first pump may have closed its half: then the second one leaves
        // its FIN to close(2).
        let opposite = self.up.half.state();
        let mut down = self.down.pump(upstream, client, opposite, scratch);
        // No read returns the error of a client that had ended its output, nor does a write while the upstream is silent.
        if opposite != HalfState::Open
            && self.down.half.state() != HalfState::Closed
            && let Some(error) = client.take_failure()
        {
            down = Err(self.down.sink_broken(error, scratch));
        }
        if (self.up.half.progress(), self.down.half.progress()) != before {
            self.active = now;
        }
        let up = self.outcome_of(up, Side::Client, Side::Upstream);
        let down = self.outcome_of(down, Side::Upstream, Side::Client);
        match (up, down) {
            (Err((side, error)), _) | (_, Err((side, error))) => self.abort(side, error, now),
            (Ok(_), Ok(_)) if are_over([&self.up, &self.down]) => self.finish(now),
            (Ok(Progress::Unfinished), Ok(_)) | (Ok(_), Ok(Progress::Unfinished)) => Next::Again,
            (Ok(Progress::Idle), Ok(Progress::Idle)) => Next::Wait,
        }
    }

    /// Ends a session whose directions are both closed.
    ///
    /// `EPIPE` of a first write says that the upstream had ended its output in order before it
    /// broke, so the client has a complete answer that a reset must not overtake: a lingering close.
    fn finish(&mut self, now: Instant) -> Next {
        match self.broken.take().map(|broken| *broken) {
            None => Next::Close(Reason::Finished),
            Some((Side::Upstream, error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                // The FIN was left to close(2), which comes later now: the lingering close sends it.
                self.enter(Phase::Lingering, now);
                Next::Again
            }
            Some((side, error)) => self.abort(side, error, now),
        }
    }

    /// Begins the end of a session of which one side is broken. The other side gets a reset, so
    /// that it does not take the end for an orderly one, but only after the bytes that were sent
    /// before: a reset drops whatever the kernel has not sent yet.
    pub(super) fn abort(&mut self, broken: Side, error: io::Error, now: Instant) -> Next {
        let survivor = broken.other();
        match self.endpoint_mut(survivor).map(Endpoint::await_delivery) {
            Some(Ok(())) => {
                self.broken = Some(Box::new((broken, error)));
                self.enter(Phase::Aborting(survivor), now);
                Next::Wait
            }
            Some(Err(_)) | None => Next::Close(Reason::Reset(broken, error)),
        }
    }

    /// Closes the session once the survivor has been sent everything.
    pub(super) fn await_delivery(&mut self, survivor: Side) -> Next {
        let survivor = self.endpoint_mut(survivor);
        if survivor.is_some_and(|survivor| !survivor.writable) {
            return Next::Wait;
        }
        match self.broken.take().map(|broken| *broken) {
            Some((side, error)) => Next::Close(Reason::Reset(side, error)),
            None => Next::Wait,
        }
    }

    /// Returns how far a direction has come, or which side has broken for good.
    ///
    /// A sink that breaks is only noted, because the other direction may still have bytes of it. But
    /// one that refuses bytes and goes on is reset: it would wait forever for those that are lost.
    pub(super) fn outcome_of(
        &mut self,
        pumped: Result<Progress, Fault>,
        source: Side,
        sink: Side,
    ) -> Result<Progress, (Side, io::Error)> {
        match pumped {
            Ok(progress) => Ok(progress),
            Err(Fault::Source(error)) => Err((source, error)),
            Err(Fault::Sink(error)) if !has_ended(&error) => {
                // Now, because its half is closed and `Session::close` would take that for a FIN.
                if let Some(endpoint) = self.endpoint_mut(sink) {
                    endpoint.reset_on_close();
                }
                Err((sink, error))
            }
            Err(Fault::Sink(error)) => {
                self.broken.get_or_insert(Box::new((sink, error)));
                Ok(Progress::Idle)
            }
        }
    }
}

/// Returns whether both directions have ended, but for FINs that close(2) sends as well: in one direction or in both.
fn are_over(flows: [&Flow; 2]) -> bool {
    flows
        .iter()
        .all(|flow| flow.half.state() == HalfState::Closed || flow.half.owes_fin())
}

/// Returns whether the error of a write says that the connection has ended.
///
/// Other errors, such as `ENOBUFS` and `ENOMEM`, leave the connection open (`send(2)`).
fn has_ended(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    [
        Kind::BrokenPipe,
        Kind::ConnectionAborted,
        Kind::ConnectionReset,
        Kind::HostUnreachable,
        Kind::NetworkUnreachable,
        Kind::NotConnected,
        Kind::TimedOut,
    ]
    .contains(&error.kind())
}

#[cfg(test)]
mod tests;
