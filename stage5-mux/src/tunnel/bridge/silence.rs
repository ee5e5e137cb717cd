//! Local sides that are quiet for too long, and those that hold up all others.

use std::time::Instant;

use crate::tunnel::bridge::Bridge;
use crate::tunnel::key::StreamKey;
use crate::tunnel::local::Delivery;
use crate::tunnel::session::Session;
use crate::tunnel::tally::Tally;
use crate::tunnel::wire::Wire;

impl Bridge {
    /// Begins to look whether a local side is quiet for too long, if it has a limit, or a shorter one than before.
    pub(super) fn watch_silence(&mut self, row: u32, now: Instant) {
        let timer = self.locals.timers.get(row);
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        let Some(limit) = local.quiet_limit(&self.limits) else {
            return;
        };
        let next = Tally::next_look(limit, now);
        if timer.is_none_or(|timer| next < timer) {
            local.tally.begin_looks();
            self.locals.timers.set(row, Some(next));
        }
    }

    /// Looks whether a local side was quiet for too long, and resets it then.
    pub(super) fn look_for_silence<W: Wire>(
        &mut self,
        row: u32,
        session: Option<&mut Session<W>>,
        now: Instant,
    ) {
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        let Some(limit) = local.quiet_limit(&self.limits) else {
            return;
        };
        if !local.tally.look() {
            let next = Tally::next_look(limit, now);
            return self.locals.timers.set(row, Some(next));
        }
        let is_half_closed = local.has_ended || local.delivery != Delivery::Flowing;
        let timeouts = &mut self.report.totals.timeouts;
        let (counter, kind) = match is_half_closed {
            true => (&mut timeouts.half_close, "half-close"),
            false => (&mut timeouts.idle, "idle"),
        };
        *counter += 1;
        let port = self.locals.port(row);
        tracing::info!(
            port,
            "timed out ({kind}): no byte for {limit:?}, and the connection is reset"
        );
        self.give_up(row, session);
    }

    /// Resets a stream whose local side takes nothing while all others wait for it.
    pub(in crate::tunnel) fn end_stalled<W: Wire>(
        &mut self,
        key: StreamKey,
        session: &mut Session<W>,
    ) {
        let Some(row) = self.locals.row_of(key) else {
            return session.reset(key);
        };
        let port = self.locals.port(row);
        tracing::warn!(
            port,
            "timed out: a connection that takes nothing has held up all others, and is reset"
        );
        self.give_up(row, Some(session));
    }
}
