//! The event loop: one thread, one listener, one route table.
//!
//! A turn of the loop:
//!
//! 1. wait for events, no longer than to the next deadline;
//! 2. give each session its events, and the mailbox its turn;
//! 3. give those that had more to do another turn;
//! 4. close what has waited too long;
//! 5. accept last, so that a row that was freed in this turn meets no event of this turn.
//!
//! Sessions say what they need as a [`Next`]; everything that touches the table, the poller and
//! the timers happens here.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;
use stage2_client::{Host, Target, finish_connect, start_connect};
use stage3_epoll::{Event, Events, Interest, Poll};

use crate::accept::{Accepted, Listener};
use crate::connect::ConnectError;
use crate::endpoint::Endpoint;
use crate::ingress::{Ingress, Opening};
use crate::inspect::{Snapshot, Totals};
use crate::limits::Limits;
use crate::mailbox::{Inbox, Mailbox, Message, mailbox};
use crate::relay::Workbench;
use crate::report;
use crate::resolve::Resolver;
use crate::route_table::RouteTable;
use crate::session::{Attempt, Next, Phase, Reason, Session, Timeout};
use crate::timers::Timers;
use crate::token::{Kind, Side, Token};

/// One event loop with everything it owns.
#[derive(Debug)]
pub(crate) struct Worker {
    ingress: Arc<dyn Ingress>,
    limits: Limits,
    poll: Poll,
    /// Gone once the worker drains.
    listener: Option<Listener>,
    table: RouteTable<Session>,
    timers: Timers,
    /// Sessions whose turn was over before their work was.
    unfinished: VecDeque<Token>,
    bench: Workbench,
    inbox: Inbox,
    resolver: (Resolver, Mailbox),
    totals: Totals,
    /// When the worker ends at the latest, once it drains.
    ends_at: Option<Instant>,
}

impl Worker {
    /// Makes a worker that serves `listener`, with room for `limits.max_connections` sessions.
    ///
    /// # Errors
    ///
    /// When the kernel has no descriptor or no memory left.
    pub(crate) fn new(
        listener: Socket,
        ingress: Arc<dyn Ingress>,
        limits: Limits,
        resolver: Resolver,
    ) -> io::Result<(Self, Mailbox)> {
        let poll = Poll::new()?;
        let (mailbox, inbox) = mailbox(&poll)?;
        let worker = Self {
            ingress,
            listener: Some(Listener::new(listener, &poll)?),
            poll,
            table: RouteTable::new(limits.max_connections),
            timers: Timers::new(),
            unfinished: VecDeque::new(),
            bench: Workbench::new(&limits),
            inbox,
            resolver: (resolver, mailbox.clone()),
            totals: Totals::default(),
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
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(self.limits.events_per_turn);
        while !self.has_ended() {
            self.poll.poll(&mut events, self.patience())?;
            let now = Instant::now();
            for event in events.iter() {
                self.dispatch(event, now);
            }
            self.finish_work(now);
            self.expire(now);
            self.accept(now);
        }
        self.close_all();
        Ok(())
    }

    fn has_ended(&self) -> bool {
        self.ends_at
            .is_some_and(|end| self.table.is_empty() || end <= Instant::now())
    }

    /// Returns how long the poller may wait: not at all while work is left, for ever when
    /// nothing has a deadline.
    fn patience(&self) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        let listener = self.listener.as_ref().and_then(Listener::deadline);
        let next = [self.timers.next(), listener, self.ends_at];
        let next = next.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn dispatch(&mut self, event: Event, now: Instant) {
        match Token::unpack(event.token().0).map(|token| (token.kind(), token)) {
            Some((Kind::Session(side), token)) => self.on_session_event(token, side, event, now),
            Some((Kind::Listener, _)) => {
                if let Some(listener) = &mut self.listener {
                    listener.note();
                }
            }
            Some((Kind::Waker, _)) => self.read_mail(now),
            None => self.totals.stale_events += 1,
        }
    }

    fn on_session_event(&mut self, token: Token, side: Side, event: Event, now: Instant) {
        let Some(session) = self.table.get_mut(token) else {
            self.totals.stale_events += 1;
            return;
        };
        if let Some(endpoint) = session.endpoint_mut(side) {
            endpoint.note(event);
        }
        match (&session.phase, side) {
            (Phase::Connecting(..), Side::Upstream) => self.conclude_connect(token.row(), now),
            _ => self.drive(token.row(), now),
        }
    }

    /// Gives a session its turn and does what it then needs.
    fn drive(&mut self, row: u32, now: Instant) {
        if let Some(session) = self.table.row_mut(row) {
            let next = session.advance(&mut self.bench, &self.limits, now);
            self.apply(row, next, now);
        }
    }

    fn apply(&mut self, row: u32, next: Next, now: Instant) {
        match next {
            Next::Wait => self.set_timer(row),
            Next::Again => self.queue(row),
            Next::Connect(target) => self.connect(row, &target, now),
            Next::Refuse(reason) => self.refuse(row, &reason, now),
            Next::Close(reason) => self.close(row, &reason),
        }
    }

    fn set_timer(&mut self, row: u32) {
        if let Some(session) = self.table.row_mut(row) {
            let deadline = session.deadline(&self.limits).map(|(deadline, _)| deadline);
            self.timers.set(row, deadline);
        }
    }

    fn queue(&mut self, row: u32) {
        let token = self.table.token(row, Side::Client);
        if let (Some(session), Some(token)) = (self.table.row_mut(row), token)
            && !session.queued
        {
            session.queued = true;
            self.unfinished.push_back(token);
        }
        self.set_timer(row);
    }

    fn finish_work(&mut self, now: Instant) {
        for _ in 0..self.unfinished.len() {
            let Some(token) = self.unfinished.pop_front() else {
                return;
            };
            if let Some(session) = self.table.get_mut(token) {
                session.queued = false;
                self.drive(token.row(), now);
            }
        }
    }
}

/// Connecting: from a target to a socket that is ready to be relayed.
impl Worker {
    /// Reaches for a target: looks its name up first, where it has one.
    fn connect(&mut self, row: u32, target: &Arc<Target>, now: Instant) {
        let token = self.table.token(row, Side::Client);
        let (Some(session), Some(token)) = (self.table.row_mut(row), token) else {
            return;
        };
        let answer = session.take_answer();
        session.target = Some(Arc::clone(target));
        match target.host {
            Host::Address(address) => {
                let rest = vec![(address, target.port).into()].into_iter();
                session.enter(Phase::Connecting(answer, Attempt { rest, since: now }), now);
                self.try_next_address(row, None, now);
            }
            Host::Name(_) => {
                session.enter(Phase::Resolving(answer), now);
                let (resolver, reply_to) = &self.resolver;
                match resolver.ask(target, token, reply_to) {
                    Ok(()) => self.set_timer(row),
                    Err(error) => self.refuse(row, &error.into(), now),
                }
            }
        }
    }

    fn on_resolved(
        &mut self,
        token: Token,
        addresses: Result<Vec<std::net::SocketAddr>, ConnectError>,
        now: Instant,
    ) {
        let Some(session) = self.table.get_mut(token) else {
            self.totals.stale_events += 1;
            return;
        };
        match addresses {
            Ok(addresses) => {
                let answer = session.take_answer();
                let rest = addresses.into_iter();
                session.enter(Phase::Connecting(answer, Attempt { rest, since: now }), now);
                self.try_next_address(token.row(), None, now);
            }
            Err(error) => self.refuse(token.row(), &error.into(), now),
        }
    }

    /// Begins to connect to the next address, or gives up with the last address's `error`.
    fn try_next_address(&mut self, row: u32, mut error: Option<ConnectError>, now: Instant) {
        self.table.vacate(row, Side::Upstream);
        while let Some(session) = self.table.row_mut(row) {
            session.upstream = None;
            let Phase::Connecting(_, attempt) = &mut session.phase else {
                return;
            };
            attempt.since = now;
            let Some(address) = attempt.rest.next() else {
                let error = error.unwrap_or_else(|| {
                    ConnectError::Resolve(io::Error::other("the name has no address"))
                });
                return self.refuse(row, &error.into(), now);
            };
            match start_connect(address) {
                Ok(socket) => {
                    session.upstream = Some(Endpoint::new(socket, address));
                    return self.watch(row, Side::Upstream);
                }
                Err(failure) => error = Some(failure.into()),
            }
        }
    }

    /// Registers a socket that was put into a cell of the table.
    fn watch(&mut self, row: u32, side: Side) {
        let token = stage3_epoll::Token(self.table.mint(row, side).pack());
        let Some(endpoint) = self
            .table
            .row_mut(row)
            .and_then(|session| session.endpoint_mut(side))
        else {
            return;
        };
        match self.poll.register(&*endpoint, token, Interest::BOTH.edge()) {
            Ok(()) => self.set_timer(row),
            Err(error) => self.close(row, &Reason::Reset(side, error)),
        }
    }

    /// Asks the kernel how a connect(2) has ended, now that an event hints that it has.
    fn conclude_connect(&mut self, row: u32, now: Instant) {
        let Some(session) = self.table.row_mut(row) else {
            return;
        };
        let (Phase::Connecting(_, attempt), Some(upstream)) = (&session.phase, &session.upstream)
        else {
            return;
        };
        if !upstream.writable {
            return;
        }
        match finish_connect(upstream.socket()) {
            Ok(()) => {
                self.totals.connect_latency.record(now - attempt.since);
                session.connected(now);
                self.drive(row, now);
            }
            Err(error) => self.try_next_address(row, Some(error.into()), now),
        }
    }
}

/// Coming and going: accepting, time limits, refusing, closing.
impl Worker {
    fn accept(&mut self, now: Instant) {
        let Some(mut listener) = self.listener.take() else {
            return;
        };
        listener.tick(now, &self.poll);
        for _ in 0..self.limits.accepts_per_turn {
            if !listener.is_ready() {
                break;
            }
            if self.table.is_full() {
                self.totals.accept_pauses += 1;
                listener.pause_full(&self.poll);
                break;
            }
            match listener.accept() {
                Accepted::Client(socket, peer) => self.admit(Endpoint::new(socket, peer), now),
                Accepted::Gone | Accepted::Nobody => {}
                Accepted::Starved(error) => {
                    tracing::warn!(%error, "cannot accept, clients wait in the backlog");
                    self.totals.accept_pauses += 1;
                    listener.pause_starved(now, &self.poll);
                }
            }
        }
        self.listener = Some(listener);
    }

    /// Gives a new client its row and begins its session.
    fn admit(&mut self, client: Endpoint, now: Instant) {
        let (phase, target) = match self.ingress.open() {
            Opening::Target(target) => (Phase::Resolving(None), Some(target)),
            Opening::Handshake(handshake) => (Phase::Handshake(handshake), None),
        };
        let Ok(row) = self.table.insert(Session::new(client, phase, now)) else {
            return;
        };
        self.totals.sessions_total += 1;
        self.watch(row, Side::Client);
        if let Some(target) = target {
            self.connect(row, &target, now);
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some(row) = self.timers.expire(now) {
            let Some(session) = self.table.row_mut(row) else {
                continue;
            };
            match session.deadline(&self.limits) {
                // Bytes have moved since the timer was set.
                Some((deadline, _)) if deadline > now => self.timers.set(row, Some(deadline)),
                Some((_, timeout)) => self.on_timeout(row, timeout, now),
                None => {}
            }
        }
    }

    fn on_timeout(&mut self, row: u32, timeout: Timeout, now: Instant) {
        match timeout {
            Timeout::Connect => match self.table.row_mut(row).map(|session| &session.phase) {
                Some(Phase::Resolving(_)) => {
                    let error = io::Error::from(io::ErrorKind::TimedOut);
                    self.refuse(row, &ConnectError::Resolve(error).into(), now);
                }
                _ => self.try_next_address(row, Some(ConnectError::TimedOut), now),
            },
            Timeout::Handshake | Timeout::Idle | Timeout::HalfClose => {
                self.close(row, &Reason::TimedOut(timeout));
            }
        }
    }

    /// Ends a session that gets no upstream, and tells the client why, where it can be told.
    fn refuse(&mut self, row: u32, reason: &Reason, now: Instant) {
        let Some(session) = self.table.row_mut(row) else {
            return;
        };
        report::count(&mut self.totals, reason);
        report::log(self.ingress.name(), session, reason);
        if session.refused(reason, now) {
            self.table.vacate(row, Side::Upstream);
            self.drive(row, now);
        } else {
            self.remove(row, false);
        }
    }

    fn close(&mut self, row: u32, reason: &Reason) {
        if let Some(session) = self.table.row_mut(row) {
            report::count(&mut self.totals, reason);
            report::log(self.ingress.name(), session, reason);
            self.remove(row, matches!(reason, Reason::Finished));
        }
    }

    /// Frees the row; both sockets are closed with the session.
    fn remove(&mut self, row: u32, finished: bool) {
        self.timers.set(row, None);
        if let Some(session) = self.table.remove(row) {
            self.totals.bytes_up += session.up.half.moved();
            self.totals.bytes_down += session.down.half.moved();
            session.close(finished, &mut self.bench.pipes);
        }
        if let Some(listener) = &mut self.listener {
            listener.resume(&self.poll);
        }
    }
}

/// The mailbox: what other threads ask of the worker.
impl Worker {
    fn read_mail(&mut self, now: Instant) {
        self.inbox.reset();
        while let Some(message) = self.inbox.take() {
            match message {
                Message::Resolved(token, addresses) => self.on_resolved(token, addresses, now),
                // The inspector may have stopped waiting; then nobody misses the answer.
                Message::Inspect(reply) => drop(reply.send(self.snapshot(now))),
                Message::Drain => self.drain(now),
                Message::Stop => self.ends_at = Some(now),
            }
        }
    }

    fn snapshot(&self, now: Instant) -> Snapshot {
        report::snapshot(self.ingress.name(), &self.table, &self.totals, now)
    }

    /// Serves who is connected or waits in the backlog already, and nobody who comes later.
    fn drain(&mut self, now: Instant) {
        self.accept(now);
        self.listener = None;
        self.ends_at.get_or_insert(now + self.limits.drain_timeout);
        tracing::info!(sessions = self.table.len(), "draining");
    }

    fn close_all(&mut self) {
        let rows: Vec<u32> = self.table.iter().map(|(row, _)| row).collect();
        for row in rows {
            self.close(row, &Reason::Stopped);
        }
    }
}
