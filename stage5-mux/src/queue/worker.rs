//! The event loop: one thread, one listener, many clients, one upstream.
//!
//! A turn of the loop:
//!
//! 1. wait for events, at most until the next deadline;
//! 2. handle each event: a client's, the upstream's, the listener's, the mailbox's;
//! 3. act on the deadlines that have passed;
//! 4. drive the clients that have more to do, and the exchange;
//! 5. accept last, because a row that was freed in this turn must not meet an old event of it;
//! 6. copy some rows out, if the inspector has asked for them.
//!
//! No function here reaches itself through another. A client with more to do is queued for step 4,
//! and the exchange returns a [`Step`](crate::queue::exchange::Step) instead of calling the
//! worker back. That bounds the stack, and the time for one event.
//!
//! ```text
//!   run ──▶ dispatch, expire, drive_queued, accept
//!                │
//!                ├──▶ drive_client ──▶ collect ──▶ refuse, linger, forget
//!                └──▶ drive_exchange ──▶ Exchange::advance
//!                          └──▶ apply(step) ──▶ begin_next, finish, deliver, refuse, forget
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | `worker.rs` | the loop, deadlines, the mailbox |
//! | `worker/accepting.rs` | accepts clients |
//! | `worker/serving.rs` | reads requests, delivers responses, closes clients |
//! | `worker/exchanging.rs` | drives the exchange and applies its steps |

mod accepting;
mod exchanging;
mod serving;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll};
use stage1_server::cli::cannot;
use stage2_client::Target;
use stage4_proxy::control::Command;
use stage4_proxy::inspect::Totals;
use stage4_proxy::resolve::Resolver;
use stage4_proxy::token::{Kind, Side, Token};

use crate::listener::Listener;
use crate::mailbox::{Inbox, Mailbox, mailbox};
use crate::queue::clients::Clients;
use crate::queue::exchange::Exchange;
use crate::queue::framing::Framing;
use crate::queue::limits::Limits;
use crate::queue::link::Link;
use crate::queue::log::Log;
use crate::queue::message::Message;
use crate::queue::report;
use crate::queue::scratch::Scratch;
use crate::queue::section::QueueView;
use crate::queue::upstream::Timeouts;
use crate::tokens;

/// One event loop with everything it owns.
#[derive(Debug)]
pub(super) struct Worker<F: Framing> {
    framing: F,
    limits: Limits,
    poll: Poll,
    clients: Clients<F>,
    exchange: Exchange<F>,
    /// The exchange has more to do, and no event will announce it.
    exchange_queued: bool,
    scratch: Scratch,
    inbox: Inbox<Message>,
    log: Log,
    totals: Totals,
    /// The counters of the queue; its length is filled in when a snapshot is taken.
    counters: QueueView,
    /// When the worker ends at the latest, once it drains.
    ends_at: Option<Instant>,
}

/// The upstream, and the threads that resolve its name.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) target: Arc<Target>,
    pub(super) resolver: Resolver,
}

impl<F: Framing> Worker<F> {
    /// Creates a worker that serves `listener`.
    ///
    /// # Errors
    ///
    /// Fails if the kernel has no descriptor or no memory left.
    pub(super) fn new(
        framing: F,
        listener: socket2::Socket,
        limits: Limits,
        route: Route,
    ) -> io::Result<(Self, Mailbox<Message>)> {
        let poll = Poll::new().map_err(cannot("create the poller"))?;
        let mailbox = mailbox(&poll).map_err(cannot("create the waker of the worker"));
        let (mailbox, inbox) = mailbox?;
        let now = Instant::now();
        let timeouts = Timeouts {
            connect: limits.connect_timeout,
            response: limits.upstream_timeout,
            kept: limits.keep_idle,
        };
        let listener = Listener::new(listener, Token::LISTENER, poll.registry());
        let listener = listener.map_err(cannot("watch the listening socket"))?;
        let link = Link::new(route.target, route.resolver, mailbox.clone());
        let link = link.with_keepalive(limits.keepalive);
        let worker = Self {
            framing,
            poll,
            clients: Clients::new(listener, &limits),
            exchange: Exchange::new(timeouts, link, now),
            exchange_queued: false,
            scratch: Scratch::new(limits.chunk),
            inbox,
            log: Log::new(),
            totals: Totals::default(),
            counters: QueueView::default(),
            ends_at: None,
            limits,
        };
        Ok((worker, mailbox))
    }

    /// Serves until a message asks it to end.
    ///
    /// # Errors
    ///
    /// Fails only if the poller itself is broken.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(self.limits.events_per_turn);
        while !self.has_ended() {
            match self.poll.poll(&mut events, self.poll_timeout()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Ok(()) | Err(_) => {}
            }
            // One look at the clock for each turn, so that all its decisions agree on the time.
            let now = Instant::now();
            for event in &events {
                self.dispatch(event, now);
            }
            self.expire(now);
            self.drive_queued(now);
            self.accept(now);
            self.copy_out(now);
        }
        for row in self.clients.rows() {
            self.reset(row, "the queue stops", Instant::now());
        }
        self.log.end();
        Ok(())
    }

    fn has_ended(&self) -> bool {
        self.ends_at
            .is_some_and(|end| self.clients.table.is_empty() || end <= Instant::now())
    }

    /// Returns how long the poller may wait: not at all if work is left, forever if there is no
    /// deadline.
    fn poll_timeout(&self) -> Option<Duration> {
        // Edge-triggered: no event will announce again what was left undone.
        if self.exchange_queued || self.clients.has_work() {
            return Some(Duration::ZERO);
        }
        let deadlines = [
            self.clients.deadline(),
            self.exchange.deadline(),
            self.ends_at,
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn dispatch(&mut self, event: &Event, now: Instant) {
        match tokens::unpack(event.token()).map(|token| (token.kind(), token)) {
            Some((Kind::Session(Side::Client), token)) => {
                let Some(client) = self.clients.table.get_mut(token) else {
                    self.totals.stale_events += 1;
                    return;
                };
                client.endpoint.note(event);
                self.drive_client(token.row(), now);
                // A client may have brought a request, or made room for the response in flight.
                self.drive_exchange(now);
            }
            Some((Kind::Link, token)) if self.exchange.note(token, event) => {
                self.drive_exchange(now);
            }
            Some((Kind::Listener, _)) => {
                if let Some(listener) = &mut self.clients.listener {
                    listener.note();
                }
            }
            Some((Kind::Waker, _)) => self.read_mail(now),
            Some((
                Kind::Session(Side::Upstream) | Kind::Link | Kind::Datagram(_) | Kind::Gathering,
                _,
            ))
            | None => {
                self.totals.stale_events += 1;
            }
        }
    }

    /// Drives the clients that have more to do, and the exchange.
    fn drive_queued(&mut self, now: Instant) {
        // Counted before, because a client that is driven may be queued for the next turn.
        for _ in 0..self.clients.queued() {
            if let Some(row) = self.clients.next_queued() {
                self.drive_client(row, now);
            }
        }
        self.drive_exchange(now);
    }

    fn expire(&mut self, now: Instant) {
        while let Some(row) = self.clients.timers.expire(now) {
            let Some(client) = self.clients.table.row_mut(row) else {
                continue;
            };
            client.timer = None;
            client.note_departures(now);
            // The timers know an early deadline, see `Clients::set_timer`: ask for the real one.
            if client.deadline(&self.limits).is_some_and(|due| due <= now) {
                self.on_timeout(row, now);
            }
            self.clients.set_timer(row, &self.limits);
        }
        if self.exchange.deadline().is_some_and(|due| due <= now) {
            let (exchange, lent) = self.lend(now);
            let step = exchange.expire(lent.reader, now);
            self.apply(step, now);
        }
    }
}

/// The mailbox: what other threads ask of the worker.
impl<F: Framing> Worker<F> {
    fn read_mail(&mut self, now: Instant) {
        while let Some(message) = self.inbox.take() {
            match message {
                Message::Resolved(addresses) => {
                    let (exchange, mut lent) = self.lend(now);
                    let step = exchange.resolved(addresses, &mut lent);
                    self.apply(step, now);
                    self.drive_exchange(now);
                }
                Message::Command(Command::Inspect(question)) => {
                    self.clients.collector.ask(question);
                }
                Message::Command(Command::Drain) => self.drain(now),
                Message::Command(Command::Stop) => self.ends_at = Some(now),
            }
        }
    }

    /// Copies some clients out, if the inspector has asked for them.
    fn copy_out(&mut self, now: Instant) {
        if !self.clients.collector.has_work() {
            return;
        }
        let shared = report::SharedView {
            target: self.exchange.link().target(),
            resolver: self.exchange.link().resolver(),
            endpoint: self.exchange.view(),
            queue: &self.clients.queue,
            counters: &self.counters,
            flight: self.exchange.flight(),
        };
        let totals = Totals {
            bytes_up: self.clients.moved.up,
            bytes_down: self.clients.moved.down,
            ..self.totals.clone()
        };
        let collector = &mut self.clients.collector;
        report::copy_out(collector, &self.clients.table, &shared, &totals, now);
    }

    /// Starts a graceful shutdown: accepts the clients in the accept queue, closes the listener, and serves
    /// the requests that have begun to arrive.
    fn drain(&mut self, now: Instant) {
        self.accept_waiting(now);
        self.clients.listener = None;
        self.ends_at.get_or_insert(now + self.limits.drain_timeout);
        tracing::info!(clients = self.clients.table.len(), "draining");
        for row in self.clients.rows() {
            if let Some(client) = self.clients.table.row_mut(row) {
                // The event for a request that has just arrived may not have been read yet.
                client.endpoint.assume_readable();
            }
            self.drive_client(row, now);
        }
    }
}
