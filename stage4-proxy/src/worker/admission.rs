//! Clients come and go: accepting, time limits, refusing, closing.

use std::time::Instant;

use crate::accept::Accepted;
use crate::endpoint::Endpoint;
use crate::ingress::Opening;
use crate::session::{Phase, Reason, Session, Timeout};
use crate::token::Side;
use crate::worker::Worker;

impl Worker {
    /// Accepts who waits, as far as there is room and the turn allows.
    pub(super) fn accept(&mut self, now: Instant) {
        let Some(mut listener) = self.listener.take() else {
            return;
        };
        listener.tick(now, &self.poll);
        for _ in 0..self.limits.accepts_per_turn {
            if !listener.is_ready() {
                break;
            }
            if self.table.is_full() {
                self.reporter.accept_pause();
                listener.pause_full(&self.poll);
                break;
            }
            match listener.accept() {
                Accepted::Client(socket, peer) => {
                    self.admit(Endpoint::accepted(socket, peer), now);
                }
                Accepted::Gone | Accepted::Nobody => {}
                Accepted::Starved(error) => {
                    tracing::warn!(%error, "cannot accept, clients wait in the backlog");
                    self.reporter.accept_pause();
                    listener.pause_starved(now, &self.poll);
                }
            }
        }
        self.listener = Some(listener);
    }

    /// Accepts everybody who waits in the backlog now, as far as there is room.
    pub(super) fn accept_backlog(&mut self, now: Instant) {
        if let Some(listener) = &mut self.listener {
            listener.note();
        }
        while self
            .listener
            .as_ref()
            .is_some_and(|listener| listener.is_ready())
        {
            self.accept(now);
        }
    }

    /// Gives a new client its row and begins its session.
    fn admit(&mut self, client: Endpoint, now: Instant) {
        let (phase, target) = match self.ingress.open() {
            Opening::Target(target) => (Phase::Resolving(None), Some(target)),
            Opening::Handshake(handshake) => (Phase::Handshake(handshake, 0), None),
        };
        // The table has room: the caller has looked.
        let Ok(row) = self.table.insert(Session::new(client, phase, now)) else {
            return;
        };
        self.reporter.session_begins();
        self.watch(row, Side::Client, now);
        match target {
            Some(target) => self.connect(row, &target, now),
            // Some protocols let the server speak first.
            None => self.drive(row, now),
        }
    }

    /// Deals with the sessions whose timers are due.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(row) = self.timers.expire(now) {
            let Some(session) = self.table.row_mut(row) else {
                continue;
            };
            match session.deadline(&self.limits) {
                // Bytes have moved since the timer was set.
                Some((deadline, _)) if deadline > now => self.timers.set(row, Some(deadline)),
                Some((_, Timeout::Connect)) => self.give_up_waiting(row, now),
                Some((_, timeout)) => self.close(row, &Reason::TimedOut(timeout), now),
                None => {}
            }
        }
    }

    /// Ends a session that gets no upstream, and tells the client why, where it can be told.
    pub(super) fn refuse(&mut self, row: u32, reason: &Reason, now: Instant) {
        let Some(session) = self.table.row_mut(row) else {
            return;
        };
        self.reporter.session_ends(session, reason, now);
        if session.refused(reason, now) {
            self.table.vacate(row, Side::Upstream);
            self.drive(row, now);
        } else {
            self.remove(row, false);
        }
    }

    /// Ends a session.
    pub(super) fn close(&mut self, row: u32, reason: &Reason, now: Instant) {
        if let Some(session) = self.table.row_mut(row) {
            self.reporter.session_ends(session, reason, now);
            self.remove(row, matches!(reason, Reason::Finished));
        }
    }

    /// Frees the row; both sockets are closed with the session.
    fn remove(&mut self, row: u32, finished: bool) {
        self.timers.set(row, None);
        if let Some(session) = self.table.remove(row) {
            self.reporter.session_gone(&session);
            session.close(finished, &mut self.scratch.pipes);
        }
        if let Some(listener) = &mut self.listener {
            listener.resume(&self.poll);
        }
    }
}
