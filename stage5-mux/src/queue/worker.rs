//! The event loop: one thread, one listener, many clients, one upstream.
//!
//! A turn of the loop:
//!
//! 1. wait for events, no longer than to the next deadline;
//! 2. give each socket its event, and the mailbox its turn;
//! 3. act on what has waited too long;
//! 4. give those that have more to do another turn, and the next request its own;
//! 5. accept last, so that a row that was freed in this turn meets no event of this turn.
//!
//! No function here calls itself by a detour: whoever has more to do says so (`again`,
//! `unfinished`) and gets another turn. That bounds the stack, and the time of one event.
//!
//! | file | what it does |
//! |---|---|
//! | `worker.rs` | the loop, deadlines, the mailbox |
//! | `worker/clients.rs` | accepts, reads requests, delivers, says farewell |
//! | `worker/exchange.rs` | gives the next request its turn, and ends turns that fail |
//! | `worker/send.rs` | the request on its way out |
//! | `worker/receive.rs` | the response on its way back |
//! | `worker/connect.rs` | opens the upstream connection |

mod clients;
mod connect;
mod exchange;
mod receive;
mod send;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll};
use stage2_client::Target;
use stage4_proxy::control::Command;
use stage4_proxy::inspect::{QueueView, Snapshot, Totals};
use stage4_proxy::resolve::Lookup;
use stage4_proxy::route_table::RouteTable;
use stage4_proxy::timers::Timers;
use stage4_proxy::token::{Kind, Side, Token};

use crate::listener::Listener;
use crate::mailbox::{Inbox, Mailbox, mailbox};
use crate::queue::client::Client;
use crate::queue::flight::Flight;
use crate::queue::framing::Framing;
use crate::queue::limits::Limits;
use crate::queue::link::Link;
use crate::queue::message::Message;
use crate::queue::report;
use crate::queue::request_queue::RequestQueue;
use crate::queue::upstream::{Patience, Upstream};
use crate::tokens;

/// One event loop with everything it owns.
#[derive(Debug)]
pub(super) struct Worker<F: Framing> {
    framing: F,
    limits: Limits,
    poll: Poll,
    /// Gone once the worker drains.
    listener: Option<Listener>,
    clients: Clients<F>,
    queue: RequestQueue,
    upstream: Shared<F>,
    bench: Bench,
    inbox: Inbox<Message>,
    totals: Totals,
    /// What was counted of the turns; who waits now is filled in when somebody looks.
    turns: QueueView,
    /// When the worker ends at the latest, once it drains.
    ends_at: Option<Instant>,
}

/// The clients, and what is to be done for them without an event.
#[derive(Debug)]
struct Clients<F: Framing> {
    table: RouteTable<Client<F>>,
    timers: Timers,
    /// Clients that have more to do.
    unfinished: VecDeque<Token>,
}

/// The upstream that all clients share.
#[derive(Debug)]
struct Shared<F: Framing> {
    machine: Upstream,
    link: Link,
    flight: Option<Flight<F>>,
    /// There is more to do, and no event will say so.
    unfinished: bool,
}

/// Memory for one read, used by everybody in turn.
#[derive(Debug, Default)]
struct Bench {
    /// What was just read.
    scratch: Vec<u8>,
    /// The rewritten head of a response.
    head: Vec<u8>,
}

impl<F: Framing> Worker<F> {
    /// Makes a worker that serves `listener`.
    ///
    /// # Errors
    ///
    /// When the kernel has no descriptor or no memory left.
    pub(super) fn new(
        framing: F,
        listener: socket2::Socket,
        limits: Limits,
        upstream: (Arc<Target>, Lookup),
    ) -> io::Result<(Self, Mailbox<Message>)> {
        let poll = Poll::new()?;
        let (mailbox, inbox) = mailbox(&poll)?;
        let now = Instant::now();
        let (target, lookup) = upstream;
        let patience = Patience {
            connect: limits.connect_timeout,
            response: limits.upstream_timeout,
        };
        let worker = Self {
            framing,
            listener: Some(Listener::new(listener, poll.registry())?),
            poll,
            clients: Clients {
                table: RouteTable::new(limits.max_connections),
                timers: Timers::new(),
                unfinished: VecDeque::new(),
            },
            queue: RequestQueue::new(limits.max_queue),
            upstream: Shared {
                machine: Upstream::new(patience, now),
                link: Link::new(target, lookup, mailbox.clone(), now),
                flight: None,
                unfinished: false,
            },
            bench: Bench {
                scratch: vec![0; limits.chunk],
                head: Vec::new(),
            },
            inbox,
            totals: Totals::default(),
            turns: QueueView::default(),
            ends_at: None,
            limits,
        };
        Ok((worker, mailbox))
    }

    /// Serves until it is told to end.
    ///
    /// # Errors
    ///
    /// Only when the poller itself is broken.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(self.limits.events_per_turn);
        while !self.has_ended() {
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let now = Instant::now();
            for event in &events {
                self.dispatch(event, now);
            }
            self.expire(now);
            self.finish_work(now);
            self.accept(now);
        }
        self.close_all();
        Ok(())
    }

    fn has_ended(&self) -> bool {
        self.ends_at
            .is_some_and(|end| self.clients.table.is_empty() || end <= Instant::now())
    }

    /// Returns how long the poller may wait: not at all while work is left, for ever when
    /// nothing has a deadline.
    fn patience(&self) -> Option<Duration> {
        let accepts = self.listener.as_ref().is_some_and(Listener::is_ready);
        if self.upstream.unfinished || !self.clients.unfinished.is_empty() || accepts {
            return Some(Duration::ZERO);
        }
        let listener = self.listener.as_ref().and_then(Listener::deadline);
        let upstream = self.upstream_deadline();
        let next = [self.clients.timers.next(), listener, upstream, self.ends_at];
        let next = next.into_iter().flatten().min()?;
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
                self.drive_upstream(now);
            }
            Some((Kind::Link, token)) => {
                if !self.upstream.link.owns(token) {
                    self.totals.stale_events += 1;
                    return;
                }
                if let Some(endpoint) = self.upstream.link.endpoint_mut() {
                    endpoint.note(event);
                }
                self.drive_upstream(now);
            }
            Some((Kind::Listener, _)) => {
                if let Some(listener) = &mut self.listener {
                    listener.note();
                }
            }
            Some((Kind::Waker, _)) => self.read_mail(now),
            Some((Kind::Session(Side::Upstream), _)) | None => self.totals.stale_events += 1,
        }
    }

    /// Gives those that have more to do one more turn, and the next request its own.
    fn finish_work(&mut self, now: Instant) {
        for _ in 0..self.clients.unfinished.len() {
            let Some(token) = self.clients.unfinished.pop_front() else {
                break;
            };
            if let Some(client) = self.clients.table.get_mut(token) {
                client.again = false;
                self.drive_client(token.row(), now);
            }
        }
        self.drive_upstream(now);
    }
}

/// Time.
impl<F: Framing> Worker<F> {
    /// Makes sure that the timers know a moment not after the client's deadline.
    ///
    /// A deadline that moves on is not told to the timers: when the old one is due, the client is
    /// asked again. So a busy client costs them nothing.
    fn set_timer(&mut self, row: u32) {
        let Some(client) = self.clients.table.row_mut(row) else {
            return;
        };
        let Some(deadline) = client.deadline(&self.limits) else {
            return;
        };
        if client.timer.is_none_or(|known| deadline < known) {
            client.timer = Some(deadline);
            self.clients.timers.set(row, Some(deadline));
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some(row) = self.clients.timers.expire(now) {
            let Some(client) = self.clients.table.row_mut(row) else {
                continue;
            };
            client.timer = None;
            if client.deadline(&self.limits).is_some_and(|due| due <= now) {
                self.on_timeout(row, now);
            }
            self.set_timer(row);
        }
        if self.upstream_deadline().is_some_and(|due| due <= now) {
            self.expire_upstream(now);
        }
    }
}

/// The mailbox: what other threads ask of the worker.
impl<F: Framing> Worker<F> {
    fn read_mail(&mut self, now: Instant) {
        while let Some(message) = self.inbox.take() {
            match message {
                Message::Resolved(addresses) => self.on_resolved(addresses, now),
                // The inspector may have stopped waiting; then nobody misses the answer.
                Message::Command(Command::Inspect(reply)) => drop(reply.send(self.snapshot(now))),
                Message::Command(Command::Drain) => self.drain(now),
                Message::Command(Command::Stop) => self.ends_at = Some(now),
            }
        }
    }

    fn snapshot(&self, now: Instant) -> Snapshot {
        let shared = report::SharedView {
            target: self.upstream.link.target(),
            endpoint: self
                .upstream
                .link
                .endpoint()
                .map(crate::endpoint::Endpoint::view),
            queue: &self.queue,
            turns: &self.turns,
            flight: self.upstream.flight.as_ref(),
        };
        report::snapshot(&self.clients.table, &shared, &self.totals, now)
    }

    /// Serves the requests that have begun to arrive, and nobody who comes later.
    fn drain(&mut self, now: Instant) {
        self.accept_backlog(now);
        self.listener = None;
        self.ends_at.get_or_insert(now + self.limits.drain_timeout);
        tracing::info!(clients = self.clients.table.len(), "draining");
        let rows: Vec<u32> = self.clients.table.iter().map(|(row, _)| row).collect();
        for row in rows {
            if let Some(client) = self.clients.table.row_mut(row) {
                // The event for a request that has just arrived may not have been read yet.
                client.endpoint.assume_readable();
            }
            self.drive_client(row, now);
        }
    }

    fn close_all(&mut self) {
        let rows: Vec<u32> = self.clients.table.iter().map(|(row, _)| row).collect();
        for row in rows {
            self.reset(row, "the queue stops");
        }
    }
}
