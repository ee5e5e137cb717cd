//! The event loop: one thread, one listener, one route table.
//!
//! One turn of the loop:
//!
//! 1. wait for events, at most until the next deadline;
//! 2. advance each session that has an event, and read the mailbox;
//! 3. advance the sessions that had more work than their last turn allowed;
//! 4. end the sessions whose deadline has passed;
//! 5. accept last, so that a row that was freed in this turn meets no event of this turn (a drain
//!    accepts in step 2: there the generations have to tell);
//! 6. copy some rows out, if the inspector has asked for them.
//!
//! A session says what it needs as a [`Next`], and [`Worker::follow`] is the one place that does it.
//! Calls go down from there, values come up: the steps that `follow` calls return the next `Next`
//! instead of calling it, so no method reaches itself.
//!
//! ```text
//!   event, answer, deadline, new client
//!             │
//!             ▼            Wait    ▶ register again, set the timer      done
//!   advance,           ──▶ Again   ▶ queue for another turn             done
//!   conclude_connect:      Identify ▶ begin as another client ▶ Next ─┐
//!   Next                   Connect ▶ connect                  ▶ Next ─┤
//!                          Refuse  ▶ refuse                   ▶ Next ─┤
//!             ▲            Close   ▶ close, free the row              │ done
//!             └───────────────────────────────────────────────────────┘
//! ```

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use stage1_server::Keepalive;
use stage1_server::cli::cannot;
use stage3_epoll::{Event, Events, Poll};

use crate::control::Command;
use crate::deadline::may_stay;
use crate::egress::Egress;
use crate::limits::Limits;
use crate::listener::{Listener, Parts};
use crate::mailbox::{Inbox, Mailbox, Message};
use crate::report::{self, Reporter};
use crate::route_table::RouteTable;
use crate::scratch::Scratch;
use crate::session::{Next, Phase, Reason, Session};
use crate::timers::Timers;
use crate::token::{Kind, Side, Token};
use crate::udp::{Batches, Udp};
use crate::worker::datagrams::{associate, lend, receive};
use crate::worker::dialler::Dialler;
use crate::worker::gathering::Gathering;
use crate::worker::prober::Prober;
use crate::worker::vanished::VanishedPeers;

pub(crate) use reception::Reception;

mod connecting;
mod datagrams;
mod dialler;
mod gathering;
mod lifecycle;
mod prober;
mod reception;
mod vanished;

/// One event loop with everything that it owns.
#[derive(Debug)]
pub(crate) struct Worker {
    reception: Reception,
    limits: Limits,
    poll: Poll,
    /// `None` once the worker drains.
    listener: Option<Listener>,
    table: RouteTable<Session>,
    timers: Timers,
    prober: Prober,
    vanished_peers: VanishedPeers,
    /// Sessions whose turn was over before their work was.
    unfinished: VecDeque<Token>,
    /// Whether a direction of a session gathers.
    gathering: Gathering,
    scratch: Scratch,
    inbox: Inbox,
    egress: Egress,
    udp: Udp,
    reporter: Reporter,
    /// When the worker ends at the latest, once it drains or stops.
    ends_at: Option<Instant>,
}

impl Worker {
    /// Creates a worker that serves `listener`, with a row for each of its slots.
    ///
    /// # Errors
    ///
    /// Fails if the kernel has no descriptor or no memory left.
    pub(crate) fn new(
        mut listener: Parts,
        reception: Reception,
        limits: Limits,
        egress: Egress,
    ) -> io::Result<(Self, Mailbox)> {
        let poll = Poll::new().map_err(cannot("create the poller"))?;
        let inbox = Inbox::new(&poll).map_err(cannot("create the waker of a worker"))?;
        let mailbox = inbox.mailbox().clone();
        listener.slots.wake_with(&mailbox);
        let udp = receive(&mut listener, &limits, &reception, &poll)?;
        let listener = Listener::new(listener, &poll);
        let listener = listener.map_err(cannot("watch the listening socket"))?;
        let worker = Self {
            listener: Some(listener),
            poll,
            table: RouteTable::new(limits.max_connections),
            timers: Timers::new(),
            prober: Prober::new(limits.keepalive.map(Keepalive::sparing_pauses)),
            vanished_peers: VanishedPeers::new(limits.keepalive, Instant::now()),
            unfinished: VecDeque::new(),
            gathering: Gathering::default(),
            scratch: Scratch::new(&limits),
            inbox,
            reporter: Reporter::new(reception.ingress_name(), egress.hops()),
            egress,
            udp,
            ends_at: None,
            reception,
            limits,
        };
        Ok((worker, mailbox))
    }

    /// Serves until another thread tells it to end.
    ///
    /// # Errors
    ///
    /// Fails if the poller itself is broken.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(self.limits.events_per_turn);
        let mut batches = Batches::default();
        let mut now = Instant::now();
        while !self.has_ended(now) {
            self.poll.poll(&mut events, self.poll_timeout(now))?;
            // Read once for the whole turn, because every event of it is equally old.
            now = Instant::now();
            for event in events.iter() {
                self.dispatch(event, &mut batches, now);
            }
            self.finish_work(now);
            self.expire(now);
            self.udp.expire(now);
            self.prober.look(&mut self.table, now);
            self.accept(now);
            let parts = || parts(&self.egress, &self.udp, now);
            self.reporter.copy_out(&self.table, parts, now);
        }
        self.close_all(now);
        self.reporter.worker_ends();
        Ok(())
    }

    fn has_ended(&self, now: Instant) -> bool {
        let is_idle = self.table.is_empty() && self.udp.flow_count() == 0;
        self.ends_at.is_some_and(|end| is_idle || end <= now)
    }

    /// Returns how long the poller may wait: not at all while there is unfinished work, forever if
    /// nothing has a deadline.
    fn poll_timeout(&self, now: Instant) -> Option<Duration> {
        if !self.unfinished.is_empty() || self.reporter.is_asked() {
            return Some(Duration::ZERO);
        }
        let listener = self.listener.as_ref().and_then(Listener::deadline);
        let next = [
            self.timers.next(),
            self.udp.deadline(),
            listener,
            self.prober.due(),
            self.vanished_peers.due(),
            self.ends_at,
        ];
        let next = next.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(now))
    }

    fn dispatch(&mut self, event: Event, batches: &mut Batches, now: Instant) {
        match Token::unpack(event.token().0).map(|token| (token.kind(), token)) {
            Some((Kind::Session(side), token)) => self.on_session_event(token, side, event, now),
            Some((Kind::Listener, _)) => {
                if let Some(listener) = &mut self.listener {
                    listener.note();
                }
            }
            Some((Kind::Waker, _)) => self.read_mail(batches, now),
            Some((Kind::Gathering, _)) => {
                if let Some(row) = self.gathering.look(&mut self.table) {
                    let next = self.advance(row, now);
                    self.follow(row, next, now);
                }
            }
            Some((Kind::Datagram(socket), token)) => {
                let lent = lend(&self.egress, &self.poll, &self.inbox, &self.limits, now);
                if !self.udp.on_event((token, socket), event, batches, lent) {
                    self.reporter.stale_event();
                }
            }
            // Only stage 5 has links; an event for one is stale here.
            Some((Kind::Link, _)) | None => self.reporter.stale_event(),
        }
    }

    fn on_session_event(&mut self, token: Token, side: Side, event: Event, now: Instant) {
        let next = if let Some(session) = self.table.get_mut(token) {
            if let Some(endpoint) = session.endpoint_mut(side) {
                endpoint.note(event);
            }
            match (&session.phase, side) {
                (Phase::Connecting(_), Side::Upstream) => self.conclude_connect(token.row(), now),
                _ => session.advance(&mut self.scratch, &self.limits, now),
            }
        } else if note_racer(&mut self.table, token, event) {
            self.conclude_connect(token.row(), now)
        } else {
            // An earlier event of this batch may have closed the session, and its row may be in use
            // again: only the generation in the token tells.
            return self.reporter.stale_event();
        };
        self.follow(token.row(), next, now);
    }

    /// Lets a session do what its sockets allow now.
    fn advance(&mut self, row: u32, now: Instant) -> Next {
        match self.table.row_mut(row) {
            Some(session) => session.advance(&mut self.scratch, &self.limits, now),
            None => Next::Wait,
        }
    }

    /// Does what a session needs, and what follows from that, until it waits, is queued or ends.
    fn follow(&mut self, row: u32, mut next: Next, now: Instant) {
        loop {
            next = match next {
                Next::Wait => match self.wait_for_events(row) {
                    Ok(()) => return,
                    Err(reason) => Next::Close(reason),
                },
                Next::Again => return self.queue(row),
                Next::Answered => {
                    if let Some(session) = self.table.row_mut(row) {
                        self.reporter.request_answered(session, now);
                    }
                    Next::Again
                }
                Next::Identify(origin) => match self.table.row_mut(row) {
                    Some(session) => self.reception.identify(session, &origin),
                    None => Next::Wait,
                },
                Next::Connect(target) => self.connect(row, &target, now),
                Next::ConnectUnix(path) => {
                    Dialler::new(&mut self.egress, &self.poll, &mut self.table, row)
                        .connect_unix(&path, now)
                }
                Next::Associate(hint) => match self.table.row_mut(row) {
                    Some(session) => {
                        let lent = lend(&self.egress, &self.poll, &self.inbox, &self.limits, now);
                        associate(session, row, hint, (&mut self.udp, lent))
                    }
                    None => Next::Wait,
                },
                Next::Refuse(reason) => self.refuse(row, reason, now),
                Next::Close(reason) => return self.close(row, &reason, now),
            }
        }
    }

    /// Leaves a session until its next event or its deadline, and makes sure that both reach it.
    fn wait_for_events(&mut self, row: u32) -> Result<(), Reason> {
        // Rare, because an endpoint asks for it after its first short write, and never again.
        while let Some(side) = self.table.row_mut(row).and_then(Session::take_rearm) {
            self.register_again(row, side)?;
        }
        self.set_timer(row);
        self.gathering
            .session_waits(&mut self.table, row, &self.poll);
        Ok(())
    }

    /// Mints the token of a socket that was put into a cell of the table, and registers it.
    fn watch(&mut self, row: u32, side: Side) -> Result<(), Reason> {
        let token = stage3_epoll::Token(self.table.mint(row, side).pack());
        let session = self.table.row_mut(row);
        if let Some(endpoint) = session.and_then(|session| session.endpoint_mut(side)) {
            let registered = self.poll.register(&*endpoint, token, endpoint.interest());
            registered.map_err(|error| Reason::Reset(side, error))?;
        }
        Ok(())
    }

    /// Tells the poller the interest of a registered socket again.
    fn register_again(&mut self, row: u32, side: Side) -> Result<(), Reason> {
        let token = self.table.token(row, side);
        let session = self.table.row_mut(row);
        let endpoint = session.and_then(|session| session.endpoint_mut(side));
        if let (Some(endpoint), Some(token)) = (endpoint, token) {
            let token = stage3_epoll::Token(token.pack());
            let registered = self.poll.reregister(&*endpoint, token, endpoint.interest());
            registered.map_err(|error| Reason::Reset(side, error))?;
        }
        Ok(())
    }

    /// Makes sure that the session is looked at no later than at its deadline.
    fn set_timer(&mut self, row: u32) {
        let Some(session) = self.table.row_mut(row) else {
            return;
        };
        let deadline = session.deadline(&self.limits).map(|(deadline, _)| deadline);
        // An early timer stays, because every byte puts the deadline off: `expire` asks the session again.
        if !may_stay(self.timers.get(row), deadline) {
            let next = session.next_look(&self.limits, None);
            self.timers.set(row, next);
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
        // Counted before, because a session that is still not finished is queued again: its next
        // turn comes after the next poll, so that it cannot keep the others from their events.
        for _ in 0..self.unfinished.len() {
            let Some(token) = self.unfinished.pop_front() else {
                return;
            };
            if let Some(session) = self.table.get_mut(token) {
                session.queued = false;
                let next = session.advance(&mut self.scratch, &self.limits, now);
                self.follow(token.row(), next, now);
            }
        }
    }

    fn read_mail(&mut self, batches: &mut Batches, now: Instant) {
        // Reset before the queue is emptied: a message that comes in between wakes the poll again,
        // while the other order could leave it unread.
        self.inbox.reset();
        while let Some(message) = self.inbox.take() {
            match message {
                Message::Resolved(token, addresses) => {
                    if let Some(next) = self.on_resolved(token, addresses, now) {
                        self.follow(token.row(), next, now);
                    }
                }
                Message::FlowResolved(key, answer) => {
                    let lent = lend(&self.egress, &self.poll, &self.inbox, &self.limits, now);
                    if !self.udp.on_resolved(&key, answer, batches, lent) {
                        self.reporter.stale_event();
                    }
                }
                Message::NameResolved(key, answer) => {
                    let lent = lend(&self.egress, &self.poll, &self.inbox, &self.limits, now);
                    if !self.udp.on_name_resolved(&key, answer, batches, lent) {
                        self.reporter.stale_event();
                    }
                }
                Message::SlotFree => {
                    if let Some(listener) = &mut self.listener {
                        listener.resume(&self.poll);
                    }
                }
                Message::Command(Command::Inspect(question)) => self.reporter.ask(question),
                Message::Command(Command::Drain) => self.drain(now),
                Message::Command(Command::Stop) => self.ends_at = Some(now),
            }
        }
    }
}

/// Returns what a snapshot has beside sessions and totals.
fn parts(egress: &Egress, udp: &Udp, now: Instant) -> report::Parts {
    report::Parts {
        flows: udp.views(now),
        sections: std::iter::once(egress.section())
            .chain(udp.section())
            .collect(),
    }
}

/// Gives an event to the socket of a race that its token names; returns whether there is one.
fn note_racer(table: &mut RouteTable<Session>, token: Token, event: Event) -> bool {
    let session = table.row_mut(token.row());
    session.is_some_and(|session| session.note_racer(token, event))
}
