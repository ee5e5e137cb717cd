//! Bytes between the sockets and the streams, both ways, and the end of a side that is complete.

use std::time::Instant;

use crate::tunnel::bridge::Bridge;
use crate::tunnel::event::Pulled;
use crate::tunnel::hops::Device;
use crate::tunnel::key::StreamKey;
use crate::tunnel::local::{Next, Phase};
use crate::tunnel::session::Session;
use crate::tunnel::wire::Wire;

impl Bridge {
    /// Moves bytes between a local side and its stream.
    pub(super) fn relay<W: Wire>(
        &mut self,
        row: u32,
        mut session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        let Some(endpoint) = local.socket.as_ref().filter(|_| local.is_relaying()) else {
            return;
        };
        let is_readable = endpoint.is_readable() || !local.lead.is_empty();
        // A read would find that, too, but none is made while the window is empty, or without a stream.
        let is_broken = endpoint.is_broken() || local.key.is_none() && endpoint.ending();
        let (key, flushed) = (local.key, local.flush());
        let credit = flushed.as_ref().map_or(0, |&taken| local.credit(taken));
        let taken = flushed.as_ref().map_or(0, |&taken| taken);
        let has_failed = flushed.is_err();
        self.note_taken(row, taken);
        if let (Some(session), Some(key)) = (session.as_deref_mut(), key) {
            give_credit(session, key, credit, now);
            if is_readable {
                session.readable(key);
            }
        }
        if is_broken || has_failed {
            self.give_up(row, session);
        }
    }

    /// Gives bytes of the link to a local side.
    pub(super) fn deliver<W: Wire>(
        &mut self,
        key: StreamKey,
        bytes: &[u8],
        session: &mut Session<W>,
        now: Instant,
    ) {
        let Some(row) = self.locals.row_of(key) else {
            return;
        };
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        let was_awaiting = local.is_awaiting();
        let delivered = local.deliver(bytes);
        let is_answered = was_awaiting && !local.is_awaiting();
        let is_request = matches!(local.phase, Phase::Request);
        if Device::is_logged() {
            let (device, port) = (self.locals.device(), self.locals.port(row));
            device.log_delivered(port, bytes.len());
        }
        match delivered {
            Ok(credit) => {
                self.note_taken(row, credit);
                give_credit(session, key, credit, now);
            }
            Err(fault) => return self.fail(row, &fault, Some(session), now),
        }
        if is_answered {
            self.locals.timers.set(row, None);
        }
        if is_request {
            self.read_request(row, session, now);
        }
        if self.settle(row, Some(session), now) {
            self.drive(row, Some(session), now);
        }
    }

    /// Counts bytes that a local side has taken, and logs their last step.
    fn note_taken(&mut self, row: u32, taken: usize) {
        if let Some(local) = self.locals.get_mut(row) {
            local.tally.note_to_local(taken);
        }
        if taken > 0 && Device::is_logged() {
            let port = self.locals.port(row);
            self.locals.device().log_taken(port, taken);
        }
    }

    /// Acts on local sides whose end, or error, was read while the link was filled.
    pub(in crate::tunnel) fn settle_changed<W: Wire>(
        &mut self,
        session: &mut Session<W>,
        now: Instant,
    ) {
        while let Some((row, pulled)) = self.locals.take_changed() {
            match pulled {
                // The session has reset the stream already.
                Pulled::Failed => self.local_failed(row, now),
                Pulled::End | Pulled::Bytes(_) | Pulled::Last(_) | Pulled::Blocked => {
                    if self.settle(row, Some(session), now) {
                        self.drive(row, Some(session), now);
                    }
                }
            }
        }
    }

    /// Closes a local side that is complete; returns whether it goes on with something else.
    pub(super) fn settle<W: Wire>(
        &mut self,
        row: u32,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) -> bool {
        match self.locals.get_mut(row).map(|local| local.next()) {
            Some(Next::Close) => self.remove(row),
            Some(Next::Abort) => self.abort(row),
            Some(Next::Answered) => {
                self.end_exchange(row, session, now);
                return true;
            }
            Some(Next::Wait) => self.watch_silence(row, now),
            None => {}
        }
        false
    }
}

/// Tells a session how many bytes of a stream were taken.
pub(super) fn give_credit<W: Wire>(
    session: &mut Session<W>,
    key: StreamKey,
    credit: usize,
    now: Instant,
) {
    if credit > 0 {
        session.consumed(key, u32::try_from(credit).unwrap_or(u32::MAX), now);
    }
}
