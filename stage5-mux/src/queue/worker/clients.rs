//! The clients' side: accepting, reading requests, delivering, ending.

use std::time::Instant;

use mio::Interest;
use mio::net::TcpStream;
use stage4_proxy::token::Side;

use crate::endpoint::Endpoint;
use crate::listener::{Accepted, Listener};
use crate::queue::client::{Client, Collected, Phase};
use crate::queue::framing::{Framing, Refusal, Summary};
use crate::queue::worker::Worker;
use crate::tokens;

impl<F: Framing> Worker<F> {
    pub(super) fn accept(&mut self, now: Instant) {
        let Some(mut listener) = self.listener.take() else {
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
                Accepted::Client(socket, peer) => self.admit(Endpoint::new(socket, peer), now),
                Accepted::Gone | Accepted::Nobody => {}
                Accepted::Starved(error) => {
                    tracing::warn!(%error, "cannot accept, clients wait in the backlog");
                    self.totals.accept_pauses += 1;
                    listener.pause_starved(now);
                }
            }
        }
        self.listener = Some(listener);
    }

    /// Accepts the clients that are in the backlog now, as far as there is room.
    ///
    /// Closing a listener resets the clients that are still in its backlog, so a drain accepts
    /// them first.
    pub(super) fn accept_backlog(&mut self, now: Instant) {
        if let Some(listener) = &mut self.listener {
            // The event for these clients may not have been read yet.
            listener.note();
        }
        while self.listener.as_ref().is_some_and(Listener::is_ready) {
            self.accept(now);
        }
    }

    /// Gives a new client its row.
    fn admit(&mut self, endpoint: Endpoint, now: Instant) {
        let client = Client::new(endpoint, self.framing.requests(), now);
        let Ok(row) = self.clients.table.insert(client) else {
            return;
        };
        self.totals.sessions_total += 1;
        let token = tokens::pack(self.clients.table.mint(row, Side::Client));
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        let socket: &mut TcpStream = client.endpoint.socket_mut();
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self.poll.registry().register(socket, token, interest) {
            Ok(()) => self.set_timer(row),
            Err(error) => {
                tracing::warn!(%error, "cannot watch a client");
                self.remove(row);
            }
        }
    }

    /// Does what a client's socket allows now.
    pub(super) fn drive_client(&mut self, row: u32, now: Instant) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        let farewell = matches!(client.phase, Phase::Farewell { .. });
        if (client.endpoint.is_gone() && !farewell) || client.flush(now).is_err() {
            return self.forget(row, now);
        }
        match client.phase {
            Phase::Reading if client.buffered() == 0 => self.collect(row, now),
            Phase::Reading | Phase::Waiting(_) | Phase::InFlight => {}
            Phase::Farewell { .. } => self.see_off(row, now),
        }
        self.set_timer(row);
    }

    /// Reads up to the next request.
    fn collect(&mut self, row: u32, now: Instant) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        match client.collect(&mut self.bench.scratch, now) {
            Ok(Collected::Nothing) if self.ends_at.is_some() && client.is_idle() => {
                self.say_farewell(row, now);
            }
            Ok(Collected::Nothing) => {}
            Ok(Collected::Request(exchange)) => self.enqueue(row, exchange, now),
            Ok(Collected::Ended) => self.say_farewell(row, now),
            Ok(Collected::Refused(refusal)) => self.refuse(row, None, refusal, now),
            Err(_) => self.forget(row, now),
        }
    }

    fn enqueue(&mut self, row: u32, exchange: Summary<F::Details>, now: Instant) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        client.wait(exchange);
        if self.queue.join(row, now).is_err() {
            self.refuse(row, Some(exchange), Refusal::QueueFull, now);
        }
    }

    /// Tells a client why it gets no response; the connection goes on when the request is
    /// complete and was understood.
    pub(super) fn refuse(
        &mut self,
        row: u32,
        exchange: Option<Summary<F::Details>>,
        refusal: Refusal,
        now: Instant,
    ) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        tracing::info!(client = %client.endpoint.peer(), "{refusal}");
        self.totals.refusals += 1;
        let goes_on = exchange.is_some_and(|exchange| exchange.persistent)
            && !client.is_inside_request()
            && self.ends_at.is_none();
        let mut reply = Vec::new();
        F::refuse(refusal, exchange, !goes_on, &mut reply);
        if reply.is_empty() {
            return self.reset(row, "no reply is possible");
        }
        client.discard_request();
        if client.write(&reply, &[]).is_err() {
            return self.forget(row, now);
        }
        self.end_client_turn(row, goes_on, now);
    }

    /// Delivers a part of a response; `false` when the client has gone.
    pub(super) fn deliver(&mut self, row: u32, head: &[u8], body: &[u8], now: Instant) -> bool {
        let Some(client) = self.clients.table.row_mut(row) else {
            return false;
        };
        if client.write(head, body).is_err() {
            return false;
        }
        let full = client.buffered() >= self.limits.max_buffered;
        client.hold(full, now);
        if full {
            self.set_timer(row);
        }
        true
    }

    /// Delivers the end of a response. The client's turn is over before the bytes are written:
    /// the flight of this moment is somebody else's.
    pub(super) fn finish_delivery(
        &mut self,
        row: u32,
        (head, body): (&[u8], &[u8]),
        persistent: bool,
        now: Instant,
    ) {
        self.end_client_turn(row, persistent, now);
        if !self.deliver(row, head, body, now) {
            self.forget(row, now);
        }
    }

    /// Lets a client go on after its response.
    pub(super) fn end_client_turn(&mut self, row: u32, persistent: bool, now: Instant) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        client.end_turn(persistent, now);
        if !persistent || client.has_more() || self.ends_at.is_some() {
            self.again(row);
        }
        self.set_timer(row);
    }

    fn again(&mut self, row: u32) {
        let token = self.clients.table.token(row, Side::Client);
        if let (Some(client), Some(token)) = (self.clients.table.row_mut(row), token)
            && !client.again
        {
            client.again = true;
            self.clients.unfinished.push_back(token);
        }
    }

    fn say_farewell(&mut self, row: u32, now: Instant) {
        if let Some(client) = self.clients.table.row_mut(row) {
            client.say_farewell(now);
            self.see_off(row, now);
        }
    }

    fn see_off(&mut self, row: u32, now: Instant) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        match client.see_off(&mut self.bench.scratch, self.limits.steps_per_turn) {
            Ok(Some(true)) => self.remove(row),
            Ok(Some(false)) => self.set_timer(row),
            Ok(None) => self.again(row),
            Err(_) => self.forget(row, now),
        }
    }

    pub(super) fn on_timeout(&mut self, row: u32, now: Instant) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        match client.phase {
            Phase::Reading if client.buffered() > 0 => {
                if !client.has_kept_pace(&self.limits, now) {
                    self.totals.timeouts.idle += 1;
                    self.reset(row, "it reads too slowly");
                }
            }
            Phase::Reading if client.is_idle() => {
                self.totals.timeouts.idle += 1;
                self.say_farewell(row, now);
            }
            Phase::Reading => {
                self.totals.timeouts.handshake += 1;
                self.refuse(row, None, Refusal::TooSlow, now);
            }
            Phase::InFlight => self.on_slow_client(row, now),
            Phase::Waiting(_) => {}
            Phase::Farewell { .. } => self.remove(row),
        }
    }

    /// Removes a client that has gone, wherever its request is.
    pub(super) fn forget(&mut self, row: u32, now: Instant) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        tracing::debug!(client = %client.endpoint.peer(), "the client has gone");
        if client.phase == Phase::InFlight {
            self.abandon_flight(now);
        }
        self.remove(row);
    }

    /// Ends a client's connection in a way that it cannot take for a good end.
    pub(super) fn reset(&mut self, row: u32, reason: &str) {
        if let Some(client) = self.clients.table.row_mut(row) {
            tracing::info!(client = %client.endpoint.peer(), "reset: {reason}");
            client.endpoint.reset_on_close();
            self.remove(row);
        }
    }

    /// Frees the row; the socket is closed with the client.
    fn remove(&mut self, row: u32) {
        self.queue.leave(row);
        self.clients.timers.set(row, None);
        if let Some(client) = self.clients.table.remove(row) {
            self.totals.bytes_up += client.traffic.up;
            self.totals.bytes_down += client.traffic.down;
        }
        if let Some(listener) = &mut self.listener {
            listener.resume();
        }
    }
}
