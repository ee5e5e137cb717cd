//! From accept(2) to close(2): new clients, time limits, refusals, the end of a session and of all together.

use std::time::Instant;

use stage3_epoll::Poll;

use crate::deadline::{Alarm, Timeout};
use crate::endpoint::Endpoint;
use crate::listener::{Accepted, Listener};
use crate::session::forwarding::after_silence;
use crate::session::{Next, Phase, Reason, Session};
use crate::token::Side;
use crate::worker::Worker;

impl Worker {
    /// Accepts pending clients, up to the free slots and `accepts_per_turn`.
    pub(super) fn accept(&mut self, now: Instant) {
        if let Some(listener) = &mut self.listener {
            listener.tick(now, &self.poll);
        }
        for _ in 0..self.limits.accepts_per_turn {
            // Borrowed anew each time, because a session that ends at once resumes the listener.
            let Some(listener) = self.listener.as_mut().filter(|it| it.is_ready()) else {
                return;
            };
            match listener.accept() {
                Accepted::Client(socket, peer_addr) => {
                    self.admit(Endpoint::accepted(socket, peer_addr), now);
                }
                Accepted::Denied(peer_addr) => self.reporter.client_denied(peer_addr, now),
                Accepted::Gone | Accepted::Empty => {}
                Accepted::Full => {
                    self.reporter.accept_pause();
                    listener.pause_full(&self.poll);
                }
                Accepted::Starved(error) => {
                    self.reporter.accept_starved(&error, now);
                    listener.pause_starved(now, &self.poll);
                }
            }
        }
    }

    /// Accepts every client that is in the accept queue now, up to the free slots.
    pub(super) fn accept_waiting(&mut self, now: Instant) {
        if let Some(listener) = &mut self.listener {
            // Without an event, too: a client may have come after the last poll.
            listener.note();
        }
        while self.listener.as_ref().is_some_and(|it| it.is_ready()) {
            self.accept(now);
        }
    }

    /// Opens the session of a new client: reception, row, registration, first step.
    fn admit(&mut self, client: Endpoint, now: Instant) {
        let (session, next) = match self.reception.receive(client, now) {
            Ok(received) => received,
            Err(client) => {
                self.reporter.client_over_limit(client.peer_addr(), now);
                turn_away(
                    client,
                    &self.reception.over_limit(),
                    &mut self.scratch.bytes,
                );
                return give_slot_back(&mut self.listener, false, now, &self.poll);
            }
        };
        // The table has room, because it has a row for each slot.
        let Ok(row) = self.table.insert(session) else {
            return;
        };
        self.reporter.session_begins();
        self.vanished_peers.session_begins(now);
        let next = match (self.watch(row, Side::Client), next) {
            (Err(reason), _) => Next::Close(reason),
            (Ok(()), Some(next)) => next,
            (Ok(()), None) => self.advance(row, now),
        };
        self.follow(row, next, now);
    }

    /// Ends or moves on the sessions whose deadline has passed, or of which a peer has vanished.
    pub(super) fn expire(&mut self, now: Instant) {
        for (row, next) in self.vanished_peers.look(&mut self.table, now) {
            self.follow(row, next, now);
        }
        while let Some(row) = self.timers.expire(now) {
            let Some(session) = self.table.row_mut(row) else {
                continue;
            };
            session.note_departures(now);
            match Alarm::of(session.deadline(&self.limits), now) {
                Alarm::Over(timeout) => {
                    let next = self.time_is_over(row, timeout, now);
                    self.follow(row, next, now);
                }
                Alarm::Early => {
                    let next = session.next_look(&self.limits, Some(now));
                    self.timers.set(row, next);
                }
                Alarm::Unlimited => {}
            }
        }
    }

    /// Returns what a session needs whose time is over.
    ///
    /// A client between two requests was served, so its end is an orderly one. A client that waits for a reply
    /// is refused, in the words of its protocol. An attempt to connect gives way to the next one. Any other session is
    /// closed for its reason, and so reset: the other side must not take the end for an orderly one.
    fn time_is_over(&mut self, row: u32, timeout: Timeout, now: Instant) -> Next {
        let Some(session) = self.table.row_mut(row) else {
            return Next::Wait;
        };
        match timeout {
            // It opens another connection for a further request.
            Timeout::NextRequest => Next::Close(Reason::Finished),
            Timeout::WrongPassword => Next::Refuse(session.phase.unauthorized()),
            Timeout::Connect => self.give_up_waiting(row, now),
            Timeout::Handshake => Next::Refuse(Reason::TimedOut(timeout)),
            Timeout::Idle | Timeout::HalfClose => after_silence(session, timeout),
            Timeout::Linger => Next::Close(Reason::TimedOut(timeout)),
        }
    }

    /// Begins the end of a session that gets no upstream: a lingering close for a client that can
    /// be told why, a reset for any other.
    pub(super) fn refuse(&mut self, row: u32, reason: Reason, now: Instant) -> Next {
        let reason = reason.map_unreached(|error| self.egress.explain(error));
        let Some(session) = self.table.row_mut(row) else {
            return Next::Wait;
        };
        if let (Reason::Unreached(error), Some(target)) = (&reason, &session.target)
            && error.is_of_the_dialled()
        {
            self.egress.distrust(target, now);
        }
        if !session.refused(&reason, now) {
            return Next::Close(reason);
        }
        // Reported now, because the close that comes later is only the end of the lingering.
        self.reporter.session_ends(session, &reason, now);
        session.facts.refused(reason);
        session.advance(&mut self.scratch, &self.limits, now)
    }

    /// Ends a session and frees its row; both sockets are closed with it.
    pub(super) fn close(&mut self, row: u32, reason: &Reason, now: Instant) {
        self.timers.set(row, None);
        let mut fruitless = false;
        if let Some(session) = self.table.remove(row) {
            fruitless = was_fruitless(&session, reason);
            self.reporter.session_ends(&session, reason, now);
            self.reporter.session_gone(row, &session);
            if matches!(session.phase, Phase::Associated) {
                self.udp.end_association(row);
            }
            let finished = matches!(reason, Reason::Finished);
            session.close(finished, &mut self.scratch.pipes);
        }
        give_slot_back(&mut self.listener, fruitless, now, &self.poll);
    }

    /// Begins a graceful shutdown: accepts the clients in the accept queue, then closes the listener.
    pub(super) fn drain(&mut self, now: Instant) {
        // Clients in the accept queue count as connected on their side, and closing the listener would
        // reset them.
        self.accept_waiting(now);
        self.listener = None;
        self.udp.drain(now);
        self.scratch.is_draining = true;
        // A client between two requests has all of its responses, and may stay so for long.
        let idle = self
            .table
            .iter()
            .filter(|(_, session)| session.waits_for_next());
        let idle: Vec<u32> = idle.map(|(row, _)| row).collect();
        for row in idle {
            self.close(row, &Reason::Finished, now);
        }
        self.ends_at.get_or_insert(now + self.limits.drain_timeout);
        let (sessions, flows) = (self.table.len(), self.udp.flow_count());
        tracing::info!(sessions, flows, "draining");
    }

    pub(super) fn close_all(&mut self, now: Instant) {
        let rows: Vec<u32> = self.table.iter().map(|(row, _)| row).collect();
        for row in rows {
            self.close(row, &Reason::Stopped, now);
        }
    }
}

/// Gives the slot of a session back, or of a client that gets none, unless the worker accepts no more clients anyway.
fn give_slot_back(listener: &mut Option<Listener>, fruitless: bool, now: Instant, poll: &Poll) {
    if let Some(listener) = listener {
        listener.session_ended(fruitless, now, poll);
    }
}

/// Closes a client at once that has sent nothing yet, or not been read, with a last word if its protocol has one.
fn turn_away(mut client: Endpoint, words: &[u8], room: &mut [u8]) {
    if words.is_empty() {
        return client.reset_on_close();
    }
    // A close(2) with unread bytes sends a reset, which may overtake the words. The client learns of either
    // at its next read, so that no error of ours matters.
    let _ = client.read_some(room);
    let _ = client.write_some(words);
}

/// Returns whether the client of a session left without having got a byte.
fn was_fruitless(session: &Session, reason: &Reason) -> bool {
    match reason {
        Reason::Reset(Side::Client, _) | Reason::Gone | Reason::Unauthorized(_) => {
            session.down.half.moved() == 0
        }
        Reason::Reset(Side::Upstream, _)
        | Reason::Finished
        | Reason::Unreached(_)
        | Reason::Refused(_)
        | Reason::OverLimit
        | Reason::NotAdmitted
        | Reason::TooLong
        | Reason::BadRequest(_)
        | Reason::BadResponse(_)
        | Reason::TimedOut(_)
        | Reason::Stopped => false,
    }
}
