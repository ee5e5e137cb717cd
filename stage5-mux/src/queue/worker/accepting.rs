//! Accepting clients.

use std::time::Instant;

use stage4_proxy::token::Side;

use crate::endpoint::Endpoint;
use crate::listener::{Accepted, Listener};
use crate::queue::client::Client;
use crate::queue::framing::Framing;
use crate::queue::worker::Worker;
use crate::tokens;

impl<F: Framing> Worker<F> {
    /// Accepts pending clients, up to the free rows and `accepts_per_turn`.
    pub(super) fn accept(&mut self, now: Instant) {
        // Taken out for the loop, because `admit` needs the rest of the worker.
        let Some(mut listener) = self.clients.listener.take() else {
            return;
        };
        listener.tick(now);
        for _ in 0..self.limits.accepts_per_turn {
            if !listener.is_ready() {
                break;
            }
            if self.clients.table.is_full() {
                self.totals.accept_pauses += 1;
                listener.pause_full();
                break;
            }
            match listener.accept() {
                Accepted::Client(socket, peer) => self.admit(Endpoint::accepted(socket, peer), now),
                Accepted::Gone | Accepted::Empty => {}
                Accepted::Starved(error) => {
                    self.log.starved(&error, now);
                    self.totals.accept_pauses += 1;
                    listener.pause_starved(now);
                }
            }
        }
        self.clients.listener = Some(listener);
    }

    /// Accepts the clients that are in the accept queue now, as far as there is room.
    ///
    /// Closing a listener resets the clients that are still in its accept queue, so a drain accepts
    /// them first.
    pub(super) fn accept_waiting(&mut self, now: Instant) {
        if let Some(listener) = &mut self.clients.listener {
            // The event for these clients may not have been read yet.
            listener.note();
        }
        while self
            .clients
            .listener
            .as_ref()
            .is_some_and(Listener::is_ready)
        {
            self.accept(now);
        }
    }

    /// Gives a new client its row.
    fn admit(&mut self, endpoint: Endpoint, now: Instant) {
        let client = Client::new(endpoint, self.framing.requests(), now);
        // The table has room: the caller has checked.
        let Ok(row) = self.clients.table.insert(client) else {
            return;
        };
        self.totals.sessions_total += 1;
        let token = tokens::pack(self.clients.table.mint(row, Side::Client));
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        match client.endpoint.register(self.poll.registry(), token) {
            Ok(()) => self.clients.set_timer(row, &self.limits),
            Err(error) => {
                self.log.unregistered(&error, now);
                self.clients.remove(row);
            }
        }
    }
}
