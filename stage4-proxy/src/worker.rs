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
//! the timers happens here and in the two halves of the worker's work: `admission` (clients come
//! and go) and `connecting` (the way to the upstream).

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::Socket;
use stage3_epoll::{Event, Events, Poll};

use crate::accept::Listener;
use crate::ingress::Ingress;
use crate::limits::Limits;
use crate::mailbox::{Inbox, Mailbox, Message, mailbox};
use crate::report::Reporter;
use crate::resolve::Resolver;
use crate::route_table::RouteTable;
use crate::scratch::Scratch;
use crate::session::{Next, Phase, Reason, Session};
use crate::timers::Timers;
use crate::token::{Kind, Side, Token};

mod admission;
mod connecting;

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
    scratch: Scratch,
    inbox: Inbox,
    /// The threads that resolve names, and where their answers are to go.
    resolver: (Resolver, Mailbox),
    reporter: Reporter,
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
            listener: Some(Listener::new(listener, &poll)?),
            poll,
            table: RouteTable::new(limits.max_connections),
            timers: Timers::new(),
            unfinished: VecDeque::new(),
            scratch: Scratch::new(&limits),
            inbox,
            resolver: (resolver, mailbox.clone()),
            reporter: Reporter::new(ingress.name()),
            ends_at: None,
            ingress,
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
        let mut now = Instant::now();
        while !self.has_ended(now) {
            self.poll.poll(&mut events, self.patience(now))?;
            now = Instant::now();
            let tokens = events
                .iter()
                .filter_map(|event| Token::unpack(event.token().0));
            self.scratch.alone = concern_one_session(tokens.chain(self.unfinished.iter().copied()));
            for event in events.iter() {
                self.dispatch(event, now);
            }
            self.finish_work(now);
            self.expire(now);
            self.accept(now);
        }
        self.close_all(now);
        Ok(())
    }

    fn has_ended(&self, now: Instant) -> bool {
        self.ends_at
            .is_some_and(|end| self.table.is_empty() || end <= now)
    }

    /// Returns how long the poller may wait: not at all while work is left, for ever when
    /// nothing has a deadline.
    fn patience(&self, now: Instant) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        let listener = self.listener.as_ref().and_then(Listener::deadline);
        let next = [self.timers.next(), listener, self.ends_at];
        let next = next.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(now))
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
            // A link is stage 5's: no socket is registered under such a name here.
            Some((Kind::Link, _)) | None => self.reporter.stale_event(),
        }
    }

    fn on_session_event(&mut self, token: Token, side: Side, event: Event, now: Instant) {
        let Some(session) = self.table.get_mut(token) else {
            return self.reporter.stale_event();
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
            let next = session.advance(&mut self.scratch, &self.limits, now);
            self.apply(row, next, now);
        }
    }

    fn apply(&mut self, row: u32, next: Next, now: Instant) {
        match next {
            Next::Wait => self.wait_for_events(row, now),
            Next::Again => self.queue(row),
            Next::Connect(target) => self.connect(row, &target, now),
            Next::Refuse(reason) => self.refuse(row, &reason, now),
            Next::Close(reason) => self.close(row, &reason, now),
        }
    }

    /// Leaves a session until something happens to it, and makes sure that it is told.
    fn wait_for_events(&mut self, row: u32, now: Instant) {
        self.set_timer(row);
        for side in [Side::Client, Side::Upstream] {
            let token = self.table.token(row, side);
            let session = self.table.row_mut(row);
            let endpoint = session.and_then(|session| session.endpoint_mut(side));
            if let (Some(endpoint), Some(token)) = (endpoint, token)
                && endpoint.take_rearm()
            {
                let token = stage3_epoll::Token(token.pack());
                if let Err(error) = self.poll.reregister(&*endpoint, token, endpoint.interest()) {
                    return self.close(row, &Reason::Reset(side, error), now);
                }
            }
        }
    }

    /// Makes sure that the session is looked at no later than at its deadline.
    ///
    /// A timer that is due earlier stays as it is: [`Worker::expire`] asks the session again, so
    /// that a byte that puts a deadline off costs nothing here.
    fn set_timer(&mut self, row: u32) {
        let session = self.table.row_mut(row);
        let deadline = session.and_then(|session| session.deadline(&self.limits));
        match (self.timers.get(row), deadline) {
            (Some(set), Some((deadline, _))) if set <= deadline => {}
            (_, deadline) => self.timers.set(row, deadline.map(|(deadline, _)| deadline)),
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

    fn read_mail(&mut self, now: Instant) {
        self.inbox.reset();
        while let Some(message) = self.inbox.take() {
            match message {
                Message::Resolved(token, addresses) => self.on_resolved(token, addresses, now),
                // The inspector may have stopped waiting; then nobody misses the answer.
                Message::Inspect(reply) => {
                    drop(reply.send(self.reporter.snapshot(&self.table, now)));
                }
                Message::Drain => self.drain(now),
                Message::Stop => self.ends_at = Some(now),
            }
        }
    }

    /// Serves who is connected or waits in the backlog already, and nobody who comes later.
    fn drain(&mut self, now: Instant) {
        self.accept_backlog(now);
        self.listener = None;
        self.ends_at.get_or_insert(now + self.limits.drain_timeout);
        tracing::info!(sessions = self.table.len(), "draining");
    }

    fn close_all(&mut self, now: Instant) {
        let rows: Vec<u32> = self.table.iter().map(|(row, _)| row).collect();
        for row in rows {
            self.close(row, &Reason::Stopped, now);
        }
    }
}

/// Says whether no two of the tokens mean different sessions.
fn concern_one_session(tokens: impl Iterator<Item = Token>) -> bool {
    let mut rows = tokens
        .filter(|token| matches!(token.kind(), Kind::Session(_)))
        .map(Token::row);
    let first = rows.next();
    rows.all(|row| Some(row) == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_one_session_are_one_session() {
        let client = Token::new(3, Side::Client, 1);
        let upstream = Token::new(3, Side::Upstream, 2);
        let waker = Token::WAKER;
        assert!(concern_one_session([].into_iter()));
        assert!(concern_one_session([client, waker, upstream].into_iter()));
        let stranger = Token::new(4, Side::Client, 3);
        assert!(!concern_one_session([client, waker, stranger].into_iter()));
    }
}
