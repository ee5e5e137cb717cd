//! The event loop of the tunnel: one thread, one link, and the local sides of all its streams.
//!
//! A turn of the loop:
//!
//! 1. wait for events, at most until the next deadline;
//! 2. note each event: flags of endpoints are set, and local sides take what they have room for;
//! 3. take the input of the link, before any deadline is judged: it is the sign of life;
//! 4. act on the deadlines that have passed;
//! 5. fill the link, once for all events, so that the scheduler can choose among all streams;
//! 6. accept;
//! 7. copy some rows for the inspector, if it has asked.
//!
//! | file | border |
//! |---|---|
//! | `bridge.rs` | TCP to stream: accepts, dials, delivers, closes |
//! | `session.rs` | the mux layer, which knows no socket |
//! | `linker.rs` | link to transport: connects or accepts, proves the secret |
//! | `worker/linking.rs` | link to transport: reads, writes, loses the link |

mod linking;

use std::io;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll};
use stage1_server::cli::cannot;
use stage4_proxy::access::Clients;
use stage4_proxy::control::Command;
use stage4_proxy::token::Kind;

use crate::mailbox::{Inbox, Mailbox, mailbox};
use crate::tokens::{self, LINK_LISTENER};
use crate::tunnel::bridge::{Bridge, Front};
use crate::tunnel::limits::TunnelLimits;
use crate::tunnel::linker::{Lifetime, Linker, Via};
use crate::tunnel::message::Message;
use crate::tunnel::proving::Prover;
use crate::tunnel::wire::Wire;

/// Bytes of one read from the link: many frames at once.
const SCRATCH: usize = 256 * 1024;

/// One event loop with everything it owns.
#[derive(Debug)]
pub(super) struct Worker<W: Wire> {
    limits: TunnelLimits,
    poll: Poll,
    linker: Linker<W>,
    bridge: Bridge,
    scratch: Vec<u8>,
    inbox: Inbox<Message>,
    /// When the worker ends at the latest, once it drains.
    ends_at: Option<Instant>,
}

impl<W: Wire + Copy> Worker<W> {
    /// Creates a worker; `ends` makes its two borders once there is a poller.
    ///
    /// # Errors
    ///
    /// Fails if the kernel has no descriptor or no memory left.
    pub(super) fn new(
        wire: W,
        limits: TunnelLimits,
        prover: Option<Prover>,
        ends: impl FnOnce(&Poll) -> io::Result<(Via, Front)>,
    ) -> io::Result<(Self, Mailbox<Message>)> {
        let poll = Poll::new().map_err(cannot("create the poller"))?;
        let mailbox = mailbox(&poll).map_err(cannot("create the waker of the worker"));
        let (mailbox, inbox) = mailbox?;
        let (via, front) = ends(&poll)?;
        let registry = || {
            let registry = poll.registry().try_clone();
            registry.map_err(cannot("share the poller"))
        };
        let for_linker = (registry()?, mailbox.clone());
        let worker = Self {
            linker: Linker::new((wire, via), prover, limits.clone(), for_linker),
            bridge: Bridge::new(front, limits.clone(), registry()?, mailbox.clone()),
            scratch: vec![0; SCRATCH],
            inbox,
            ends_at: None,
            limits,
            poll,
        };
        Ok((worker, mailbox))
    }

    /// Sets the peers that may bring the link; others are reset.
    pub(super) fn with_link_peers(mut self, link_peers: Clients) -> Self {
        self.linker.peers = link_peers;
        self
    }

    /// Lets the tunnel end with its first link; a thread that waits is told when that is up.
    pub(super) fn with_one_link(mut self, waiting: Option<Sender<()>>) -> Self {
        self.linker.lifetime = Lifetime::OneLink {
            fault: None,
            waiting,
        };
        self
    }

    /// Serves until a message asks it to end.
    ///
    /// # Errors
    ///
    /// Fails if the poller itself is broken, or if the only link was lost.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(self.limits.events_per_turn);
        while !self.has_ended() {
            let timeout = self.poll_timeout();
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let now = Instant::now();
            for event in &events {
                self.dispatch(event, now);
            }
            self.receive(now);
            self.expire(now);
            self.transmit(now);
            self.accept(now);
            let bridge = &mut self.bridge;
            bridge
                .report
                .advance(&bridge.locals, &self.linker.link, now);
        }
        self.bridge.abort_all();
        match self.linker.lifetime {
            Lifetime::OneLink {
                fault: Some(fault), ..
            } => Err(io::Error::other(fault)),
            Lifetime::OneLink { fault: None, .. } | Lifetime::ManyLinks => Ok(()),
        }
    }

    fn has_ended(&mut self) -> bool {
        let Some(end) = self.ends_at else {
            return false;
        };
        let session = self.linker.session();
        let has_nothing = session.is_none_or(|session| session.is_over());
        end <= Instant::now() || has_nothing && self.bridge.locals.is_empty()
    }

    /// Returns how long the poller may wait: not at all if work is left, forever if there is no deadline.
    fn poll_timeout(&mut self) -> Option<Duration> {
        // Edge-triggered: no event will announce again what was left undone.
        let is_asked = self.bridge.report.collector.has_work();
        let has_link_work = self.linker.link.has_work() || self.linker.has_waiting_link();
        if is_asked || has_link_work || self.has_waiting_client() {
            return Some(Duration::ZERO);
        }
        let for_link = self.linker.listener_mut();
        let for_link = for_link.and_then(|listener| listener.deadline());
        let for_clients = self.bridge.front.reception_mut();
        let deadlines = [
            for_link,
            for_clients.and_then(|reception| reception.deadline()),
            self.linker.link.deadline(),
            self.bridge.locals.timers.next(),
            self.ends_at,
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn dispatch(&mut self, event: &Event, now: Instant) {
        let Some(token) = tokens::unpack(event.token()) else {
            return;
        };
        match token.kind() {
            Kind::Session(_) => {
                if let Some(row) = self.bridge.locals.note(token, event) {
                    let session = self.linker.session();
                    self.bridge.drive(row, session, now);
                }
            }
            Kind::Link => {
                if token == self.linker.link.token {
                    self.linker.link.note(event);
                    let step = self.linker.conclude(now);
                    self.follow(step, now);
                }
            }
            Kind::Listener if token == LINK_LISTENER => {
                if let Some(listener) = self.linker.listener_mut() {
                    listener.note();
                }
            }
            Kind::Listener => {
                if let Some(reception) = self.bridge.front.reception_mut() {
                    reception.note(token);
                }
            }
            Kind::Waker => self.read_mail(now),
            Kind::Datagram(_) | Kind::Gathering => {}
        }
    }

    fn read_mail(&mut self, now: Instant) {
        while let Some(message) = self.inbox.take() {
            match message {
                Message::Resolved(token, answer) if token.kind() == Kind::Link => {
                    if token == self.linker.link.token {
                        let step = self.linker.dial(answer, now);
                        self.follow(step, now);
                    }
                }
                Message::Resolved(token, answer) => {
                    if let Some(row) = self.bridge.locals.row_named(token) {
                        let session = self.linker.session();
                        self.bridge.dial(row, answer, session, now);
                    }
                }
                Message::Open(application) => {
                    let session = self.linker.session();
                    self.bridge.take_application(application, session, now);
                }
                Message::Command(Command::Drain) => self.drain(now),
                Message::Command(Command::Stop) => {
                    self.ends_at = Some(now);
                    self.linker.leave();
                }
                Message::Command(Command::Inspect(question)) => {
                    self.bridge.report.collector.ask(question);
                    if let Some(session) = self.linker.session() {
                        session.ask_round_trip(now);
                    }
                }
            }
        }
    }

    /// Starts a graceful shutdown: no new clients, links or streams; those that are open go on for a while.
    pub(super) fn drain(&mut self, now: Instant) {
        self.ends_at.get_or_insert(now + self.limits.drain_timeout);
        if let Some(reception) = self.bridge.front.reception_mut() {
            reception.close();
        }
        self.bridge.dismiss_idle();
        self.linker.leave();
        if let Some(session) = self.linker.session() {
            session.go_away();
        }
        tracing::info!("draining");
    }

    /// Returns whether clients may be accepted now. They wait while the link is being made.
    fn has_waiting_client(&mut self) -> bool {
        let reception = self.bridge.front.reception_mut();
        reception.is_some_and(|reception| reception.is_ready())
            && !self.linker.link.is_in_the_making()
    }

    /// Accepts the link, then clients, up to `accepts_per_turn`.
    fn accept(&mut self, now: Instant) {
        if let Some(listener) = self.linker.listener_mut() {
            listener.tick(now);
        }
        if let Some(reception) = self.bridge.front.reception_mut() {
            reception.tick(now);
        }
        for _ in 0..self.limits.accepts_per_turn {
            if self.linker.has_waiting_link() {
                self.linker.accept(now);
            } else if self.has_waiting_client() {
                let session = self.linker.session();
                self.bridge.accept_client(session, now);
            } else {
                return;
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some(row) = self.bridge.locals.timers.expire(now) {
            let session = self.linker.session();
            self.bridge.expire(row, session, now);
        }
        self.expire_link(now);
    }
}
