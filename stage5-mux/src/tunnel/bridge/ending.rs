//! How local sides end: with their stream, without it, or after it.

use std::time::Instant;

use stage4_proxy::http::Invalid;

use crate::tunnel::bridge::Bridge;
use crate::tunnel::key::StreamKey;
use crate::tunnel::local::{Delivery, Fault, Local, Next, Phase};
use crate::tunnel::session::Session;
use crate::tunnel::stream::Fate;
use crate::tunnel::wire::Wire;

/// Bytes of one read of unwanted input.
const UNWANTED: usize = 16 * 1024;

impl Bridge {
    /// The peer has sent everything on a stream.
    pub(super) fn end_of_stream<W: Wire>(
        &mut self,
        key: StreamKey,
        session: &mut Session<W>,
        now: Instant,
    ) {
        let Some(row) = self.locals.row_of(key) else {
            return;
        };
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        if local.is_awaiting() {
            let why = "the other end of the tunnel has closed the stream without a response";
            return self.fail(row, &Fault::silent(why), Some(session), now);
        }
        if let Some(invalid) = local.cut_response("the connection was closed before its end") {
            return self.fail(row, &Fault::BadResponse(invalid), Some(session), now);
        }
        if matches!(local.phase, Phase::Request) {
            return self.incomplete_request(row, session, now);
        }
        self.owe(row, Delivery::FinOwed);
        self.drive(row, Some(session), now);
    }

    /// The peer has given a stream up.
    pub(super) fn reset_of_stream(&mut self, key: StreamKey, now: Instant) {
        let Some(row) = self.locals.row_of(key) else {
            return;
        };
        self.locals.detach(row);
        self.lose_stream(row, "the other end of the tunnel has reset the stream", now);
    }

    /// The stream is gone without an end: a client that can still be told why is told, and any other side is reset.
    fn lose_stream(&mut self, row: u32, why: &'static str, now: Instant) {
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        let fault = match (local.is_awaiting(), &local.phase) {
            (true, _) => Fault::silent(why),
            (false, Phase::Forward(_)) if local.can_be_told() => {
                Fault::BadResponse(Invalid("the connection was reset"))
            }
            (false, _) => Fault::Socket,
        };
        self.refuse_or_abort(row, &fault, now);
    }

    /// Gives a stream up because its local side is broken, or was never there.
    pub(super) fn give_up<W: Wire>(&mut self, row: u32, session: Option<&mut Session<W>>) {
        let key = self.locals.detach(row);
        if let (Some(session), Some(key)) = (session, key) {
            session.reset(key);
        }
        self.abort(row);
    }

    /// Resets a local side, so that its program does not take the end for a regular one.
    pub(super) fn abort(&mut self, row: u32) {
        let local = self.locals.get_mut(row);
        if let Some(endpoint) = local.and_then(|local| local.socket.as_ref()) {
            endpoint.reset_on_close();
        }
        self.remove(row);
    }

    /// Lets the stream of a request end behind it, on its own row, while the client may go on with the next one. A
    /// request that was not sent completely must not look as if it were: then the stream is reset.
    pub(super) fn part<W: Wire>(
        &mut self,
        row: u32,
        is_complete: bool,
        session: &mut Session<W>,
        now: Instant,
    ) {
        let Some(key) = self.locals.detach(row) else {
            return;
        };
        let ended = self.locals.get_mut(row).map(|local| local.delivery);
        let own = match is_complete {
            true => self.locals.insert(Local::new(Phase::Parting, None)),
            false => None,
        };
        let Some(own) = own else {
            return session.reset(key);
        };
        self.locals.attach(own, key);
        if ended.is_some_and(|delivery| delivery != Delivery::Flowing) {
            self.owe(own, Delivery::FinOwed);
        }
        let until = now + self.limits.linger_timeout;
        self.locals.timers.set(own, Some(until));
        session.readable(key);
    }

    /// Begins to deliver the last bytes of a client.
    pub(super) fn begin_lingering(&mut self, row: u32, now: Instant) {
        let until = now + self.limits.linger_timeout;
        if let Some(local) = self.locals.get_mut(row) {
            local.phase = Phase::Lingering { until };
            local.lead.clear();
            local.stop_awaiting();
            if local.delivery != Delivery::FinSent {
                local.delivery = Delivery::FinOwed;
            }
        }
        self.locals.timers.set(row, Some(until));
    }

    /// Delivers the last bytes and a FIN, then reads on until the client closes.
    pub(super) fn linger(&mut self, row: u32, now: Instant) {
        let Some(local) = self.locals.get_mut(row) else {
            return;
        };
        let mut unwanted = [0; UNWANTED];
        match local.flush().and_then(|_| local.drop_input(&mut unwanted)) {
            Ok(false) if local.next() == Next::Close => self.remove(row),
            Ok(false) => {}
            // No event will announce the rest.
            Ok(true) => self.locals.timers.set(row, Some(now)),
            Err(_) => self.remove(row),
        }
    }

    /// Tells every local side what the loss of the link means for it.
    pub(in crate::tunnel) fn end_streams(&mut self, fates: &[(StreamKey, Fate)], now: Instant) {
        let row_of = |&(key, fate): &(StreamKey, Fate)| Some((self.locals.row_of(key)?, fate));
        let fates: Vec<_> = fates.iter().filter_map(row_of).collect();
        self.locals.detach_all();
        for (row, fate) in fates {
            match fate {
                Fate::Complete => {}
                Fate::Truncated => self.lose_stream(row, "the link of the tunnel is lost", now),
                Fate::Unsent => self.abort_behind_held(row, now),
            }
        }
    }

    fn abort_behind_held(&mut self, row: u32, now: Instant) {
        self.owe(row, Delivery::AbortOwed);
        let next = self.locals.get_mut(row).map(|local| local.next());
        if next == Some(Next::Abort) {
            return self.abort(row);
        }
        // A reader that takes nothing brings no event either.
        self.watch_silence(row, now);
    }

    /// Resets all local sides, because the worker ends.
    pub(in crate::tunnel) fn abort_all(&mut self) {
        for row in self.locals.detach_all() {
            self.abort(row);
        }
    }
}
