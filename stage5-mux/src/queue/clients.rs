//! The table of clients, with everything that has a place for each of them.
//!
//! A client that is removed leaves all of these places at once: its row, its timer, the queue.
//! The events of its socket may come later; its token names no row then.

use std::collections::VecDeque;
use std::time::Instant;

use stage4_proxy::address::PeerAddr;
use stage4_proxy::inspect::Collector;
use stage4_proxy::route_table::RouteTable;
use stage4_proxy::timers::Timers;
use stage4_proxy::token::{Side, Token};

use crate::listener::Listener;
use crate::queue::client::{Client, Traffic};
use crate::queue::exchange::Reader;
use crate::queue::framing::{Framing, Summary};
use crate::queue::limits::Limits;
use crate::queue::request_queue::{QueueFull, RequestQueue};

/// The clients, and the listener that they come from.
#[derive(Debug)]
pub(super) struct Clients<F: Framing> {
    /// `None` once the worker drains.
    pub(super) listener: Option<Listener>,
    /// One row for each client.
    pub(super) table: RouteTable<Client<F>>,
    /// The deadlines of the rows.
    pub(super) timers: Timers,
    /// The rows whose requests wait.
    pub(super) queue: RequestQueue,
    /// The clients that are driven again without an event.
    queued: VecDeque<Token>,
    /// The bytes that the removed clients have moved.
    pub(super) moved: Traffic,
    /// The rows that the inspector has asked for.
    pub(super) collector: Collector,
}

impl<F: Framing> Clients<F> {
    /// Creates an empty table.
    pub(super) fn new(listener: Listener, limits: &Limits) -> Self {
        Self {
            listener: Some(listener),
            table: RouteTable::new(limits.max_connections),
            timers: Timers::new(),
            queue: RequestQueue::new(limits.max_queue),
            queued: VecDeque::new(),
            moved: Traffic::default(),
            collector: Collector::default(),
        }
    }

    /// Returns whether there is work that no event will announce.
    pub(super) fn has_work(&self) -> bool {
        !self.queued.is_empty()
            || self.collector.has_work()
            || self.listener.as_ref().is_some_and(Listener::is_ready)
    }

    /// Returns the first deadline of the timers and the listener.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let listener = self.listener.as_ref().and_then(Listener::deadline);
        [self.timers.next(), listener].into_iter().flatten().min()
    }

    /// Returns the rows in use.
    pub(super) fn rows(&self) -> Vec<u32> {
        self.table.iter().map(|(row, _)| row).collect()
    }

    /// Makes sure that the timers know a moment not after the client's deadline.
    pub(super) fn set_timer(&mut self, row: u32, limits: &Limits) {
        let Some(client) = self.table.row_mut(row) else {
            return;
        };
        let (Some(deadline), Some(look)) = (client.deadline(limits), client.next_look(limits))
        else {
            return;
        };
        // A deadline that moves later is not told to the timers, because every byte moves it: when
        // the old one is due, the client is asked again. So a busy client costs them nothing.
        if client.timer.is_none_or(|known| deadline < known) {
            client.timer = Some(look);
            self.timers.set(row, Some(look));
        }
    }

    /// Lets a client be driven again in the next turn of the loop.
    pub(super) fn drive_again(&mut self, row: u32) {
        let token = self.table.token(row, Side::Client);
        if let (Some(client), Some(token)) = (self.table.row_mut(row), token)
            && !client.queued
        {
            client.queued = true;
            self.queued.push_back(token);
        }
    }

    /// Returns how many clients are to be driven again.
    pub(super) fn queued(&self) -> usize {
        self.queued.len()
    }

    /// Takes out the next client that is to be driven again, unless it was removed meanwhile.
    pub(super) fn next_queued(&mut self) -> Option<u32> {
        let token = self.queued.pop_front()?;
        self.table.get_mut(token)?.queued = false;
        Some(token.row())
    }

    /// Lets a client with its request wait, behind all that wait already.
    ///
    /// # Errors
    ///
    /// Fails if the queue is full.
    pub(super) fn wait(
        &mut self,
        row: u32,
        summary: Summary<F::Details>,
        now: Instant,
    ) -> Result<(), QueueFull> {
        if let Some(client) = self.table.row_mut(row) {
            client.wait(summary);
        }
        self.queue.join(row, now)
    }

    /// Takes the client whose turn it is out of the queue: the one that has waited longest. Returns since when, too.
    pub(super) fn take_turn(&mut self) -> Option<(Token, Instant)> {
        let (row, since) = self.queue.take_first()?;
        let token = self.table.token(row, Side::Client)?;
        Some((token, since))
    }

    /// Lets a client continue after its exchange, or closes its connection.
    pub(super) fn end_exchange(
        &mut self,
        row: u32,
        persistent: bool,
        limits: &Limits,
        now: Instant,
    ) {
        let Some(client) = self.table.row_mut(row) else {
            return;
        };
        client.end_exchange(persistent, now);
        let draining = self.listener.is_none();
        // Not driven at once, because this may be the middle of a step of the exchange.
        if !persistent || client.has_more() || draining {
            self.drive_again(row);
        }
        self.set_timer(row, limits);
    }

    /// Returns whether a client can take more of its response.
    pub(super) fn reader(&mut self, client: Option<Token>, limits: &Limits) -> Reader {
        match client.and_then(|token| self.table.get_mut(token)) {
            Some(client) if client.buffered() >= limits.max_buffered => Reader::Full,
            Some(_) | None => Reader::HasRoom,
        }
    }

    /// Frees the row and resets the connection; returns the client's address.
    pub(super) fn reset(&mut self, row: u32) -> Option<PeerAddr> {
        let endpoint = &self.table.row_mut(row)?.endpoint;
        endpoint.reset_on_close();
        let client = endpoint.peer_addr();
        self.remove(row);
        Some(client)
    }

    /// Frees the row, and every other place that the client has: its turn in the queue, its timer, its socket, which is
    /// closed with it. The listener may accept another one.
    ///
    /// The totals keep the bytes that it has moved.
    pub(super) fn remove(&mut self, row: u32) {
        self.queue.leave(row);
        self.timers.set(row, None);
        if let Some(client) = self.table.remove(row) {
            self.moved.up += client.traffic.up;
            self.moved.down += client.traffic.down;
            self.collector.session_ended(row, client.traffic.carried());
        }
        if let Some(listener) = &mut self.listener {
            listener.resume();
        }
    }
}
