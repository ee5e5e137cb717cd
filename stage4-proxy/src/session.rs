//! A session: a client, its upstream, and the phases between accept(2) and close(2).
//!
//! ```text
//!                                                           a side broke
//!   Handshake ────▶ Resolving ────▶ Connecting ────▶ Relay ─────────────▶ Aborting
//!       │               │               │              │                     │
//!       └───────────────┴───────────────┤              │ both halves closed  │ the last byte
//!                                       │              ▼                     ▼ was sent
//!                                       └▶ Lingering ▶ closed              reset
//!                               refused, and the
//!                               handshake says why
//! ```
//!
//! A client that has given a wrong password is `Delayed` between `Handshake` and `Lingering`.
//! An HTTP request in absolute form is a `Forward` instead of a `Relay`, and leads back to `Handshake` for the
//! client's next request, or to `Lingering`.
//! Through a chain, `Chaining` lies between `Connecting` and `Relay`, and can end in a refusal like them.
//! One more way leads from `Relay` to `Lingering`: the upstream had ended its output in order, and
//! broke only because the client was still sending.
//!
//! A session never touches the route table, the poller or the timers: it says what it needs as a
//! [`Next`], and the worker does it. After every event of a socket the worker calls
//! [`Session::advance`]; [`Session::connected`] and [`Session::refused`] tell the session how the way
//! to the upstream has ended. When the worker leaves a session alone, it asks [`Session::take_rearm`]
//! and [`Session::deadline`], so that the next event and the next time limit reach it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use stage2_client::Target;

use crate::access::{Place, User, Wrong};
use crate::chain::Passage;
use crate::egress::attempts::Attempts;
use crate::endpoint::Endpoint;
use crate::half::HalfState;
use crate::http::exchange::Exchange;
use crate::ingress::conversation::Conversation;
use crate::limits::Limits;
use crate::pipe::PipePool;
use crate::proxy_protocol::Origin;
use crate::relay::Flow;
use crate::resolve::Ticket;
use crate::scratch::Scratch;
use crate::session::associating::attend;
use crate::session::conversing::check_client;
use crate::session::facts::Facts;
use crate::session::keeping::drop_ended_upstream;
use crate::token::Side;

pub(crate) mod associating;
mod chaining;
mod connecting;
mod conversing;
mod deadline;
mod delivery;
pub(crate) mod facts;
pub(crate) mod forwarding;
pub(crate) mod gathering;
pub(crate) mod keeping;
mod reason;
mod relaying;
pub(crate) mod vanishing;

pub(crate) use reason::Reason;

/// How far a session has come.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The client's first bytes say where it wants to go.
    Handshake,
    /// The client has given a wrong password: its refusal waits, so that it cannot guess fast.
    Delayed(Wrong),
    /// A resolver thread looks the target's name up; the ticket is the session's place among those
    /// that wait for the answer. Boxed like that of `Chaining`.
    Resolving(
        #[expect(dead_code, reason = "kept only to be dropped with the phase")] Option<Box<Ticket>>,
    ),
    /// One non-blocking connect(2) is in progress, or several in a race.
    Connecting(Attempts),
    /// The hops of a chain are told where to connect, and their responses awaited. Boxed, because
    /// every row of the table has room for a phase, and few sessions are in this one.
    Chaining(Box<Passage>),
    /// Bytes go both ways.
    Relay,
    /// Datagrams go both ways beside the connection, which carries nothing and says how long.
    Associated,
    /// One request goes up, and its response comes down. Boxed like that of `Chaining`.
    Forward(Box<Exchange>),
    /// Lingering close: the client gets its last bytes and a FIN, and its own bytes are read and
    /// dropped until it closes (RFC 9112 section 9.6).
    Lingering,
    /// The other side is broken: this one gets the bytes that were sent before, and then a reset.
    Aborting(Side),
}

/// What a session needs from its worker.
#[derive(Debug)]
pub(crate) enum Next {
    /// Nothing before the next event.
    Wait,
    /// Another turn: its work is not finished.
    Again,
    /// Another turn for a client whose request was answered, and that may send the next one.
    Answered,
    /// The beginning of the client's own handshake: a peer has said whose connection it relays.
    Identify(Box<Origin>),
    /// A connection to this target.
    Connect(Arc<Target>),
    /// A connection to the Unix socket with this path.
    ConnectUnix(Arc<Path>),
    /// A socket for datagrams, for a client that may say where it sends from.
    Associate(Option<SocketAddr>),
    /// A refusal for the client, if its handshake has words for one, and then the end.
    Refuse(Reason),
    /// The end.
    Close(Reason),
}

/// What access rules have granted to a client.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    /// The user that it has proved to be.
    pub(crate) user: Option<Arc<User>>,
    /// Its place among the sessions of its address.
    #[expect(dead_code, reason = "kept only to be dropped with the session")]
    pub(crate) place: Option<Place>,
}

/// A client and its upstream.
#[derive(Debug)]
pub(crate) struct Session {
    /// The socket that was accepted.
    pub(crate) client: Endpoint,
    /// The connected socket, or the only one whose connect(2) is in progress; in `Handshake`, one that was kept for
    /// the next request.
    pub(crate) upstream: Option<Endpoint>,
    /// From the client to the upstream.
    pub(crate) up: Flow,
    /// From the upstream to the client.
    pub(crate) down: Flow,
    /// How far the session has come.
    pub(crate) phase: Phase,
    /// The handshake that encodes our reply; `None` for an ingress without one, and after the reply, unless
    /// further requests may follow.
    /// Boxed, because most of a session's life is spent without it, and every row has room for it.
    handshake: Option<Box<Conversation>>,
    /// Where the client wants to go, once known.
    pub(crate) target: Option<Arc<Target>>,
    /// What access rules have granted to the client, for as long as the session lives. Boxed, because most proxies
    /// have no such rules, and every row has room for it.
    pub(crate) granted: Option<Box<Granted>>,
    /// When the client was accepted.
    pub(crate) opened: Instant,
    /// When the phase began, or a byte last moved or was last seen to have left.
    active: Instant,
    /// The memory of the send queues at the last look (see `session/delivery.rs`).
    on_its_way: u32,
    /// Set while the session waits for another turn.
    pub(crate) queued: bool,
    /// The side that broke while the other direction still has bytes to deliver.
    /// Boxed, because few sessions break, and every row has room for it.
    broken: Option<Box<(Side, io::Error)>>,
    /// What only the report needs.
    pub(crate) facts: Facts,
}

impl Session {
    /// Creates the session of a client that has just been accepted: it begins with its handshake,
    /// or, without one, with the way to a target that is known already.
    pub(crate) fn new(client: Endpoint, handshake: Option<Conversation>, now: Instant) -> Self {
        let mut session = Self {
            client,
            upstream: None,
            up: Flow::default(),
            down: Flow::default(),
            phase: Phase::Resolving(None),
            handshake: None,
            target: None,
            granted: None,
            opened: now,
            active: now,
            on_its_way: 0,
            queued: false,
            broken: None,
            facts: Facts::default(),
        };
        session.begin(handshake);
        session
    }

    /// Begins with a handshake, or, without one, with the way to a target that is known already. The time limit of a
    /// handshake goes on: it is counted from accept(2).
    pub(crate) fn begin(&mut self, handshake: Option<Conversation>) {
        self.phase = match handshake {
            Some(_) => Phase::Handshake,
            None => Phase::Resolving(None),
        };
        self.handshake = handshake.map(Box::new);
    }

    /// Returns the endpoint of one side.
    pub(crate) fn endpoint_mut(&mut self, side: Side) -> Option<&mut Endpoint> {
        match side {
            Side::Client => Some(&mut self.client),
            Side::Upstream => self.upstream.as_mut(),
        }
    }

    /// Returns a side that the worker must register again, and clears its mark.
    pub(crate) fn take_rearm(&mut self) -> Option<Side> {
        if self.client.take_rearm() {
            return Some(Side::Client);
        }
        let upstream = self.upstream.as_mut().is_some_and(Endpoint::take_rearm);
        upstream.then_some(Side::Upstream)
    }

    /// Enters a phase.
    pub(crate) fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.active = now;
    }

    /// Returns whether the client was served, and has not begun its next request.
    pub(crate) fn waits_for_next(&self) -> bool {
        let handshake = self.handshake.as_ref();
        let is_idle = handshake.is_some_and(|handshake| handshake.waits_for_next());
        is_idle && self.up.half.pending().is_empty()
    }

    /// Does what its sockets allow now.
    pub(crate) fn advance(&mut self, scratch: &mut Scratch, limits: &Limits, now: Instant) -> Next {
        match self.phase {
            Phase::Handshake => {
                drop_ended_upstream(self);
                self.converse(scratch, now)
            }
            Phase::Delayed(_) => self.phase.with_guess(check_client(&self.client)),
            Phase::Resolving(_) | Phase::Connecting(_) => check_client(&self.client),
            Phase::Chaining(_) => self.chain(scratch, now),
            Phase::Relay => self.relay(scratch, now),
            Phase::Forward(_) => self.forward(scratch, now),
            Phase::Lingering => self.linger(scratch, limits, now),
            Phase::Aborting(survivor) => self.await_delivery(survivor),
            Phase::Associated => attend(self, scratch, limits),
        }
    }

    /// Begins to relay: the upstream is connected.
    pub(crate) fn connected(&mut self, now: Instant) {
        self.enter(Phase::Relay, now);
        self.facts.connected(now - self.opened);
        if let Some(mut handshake) = self.handshake.take() {
            self.up.half.put_before(handshake.preface());
            let upstream = self.upstream.as_ref();
            let upstream = upstream.filter(|_| handshake.tells_local_addr());
            let local = upstream.and_then(Endpoint::local_addr);
            self.down.half.keep(&handshake.connected(local));
            if let Some(exchange) = handshake.take_exchange() {
                self.phase = Phase::Forward(exchange);
                // It may have to refuse this request yet, and reads the next one.
                self.handshake = Some(handshake);
            }
        }
    }

    /// Begins the lingering close of a client that gets no upstream, and returns whether there is
    /// anything to tell it; if not, the connection can only be reset.
    pub(crate) fn refused(&mut self, reason: &Reason, now: Instant) -> bool {
        if let Some(mut handshake) = self.handshake.take()
            && let Some(failure) = reason.failure()
        {
            self.down.half.keep(&handshake.failed(&failure));
        }
        if !self.down.half.has_pending() {
            return false;
        }
        self.down.half.end_of_input();
        // A chain that has failed halfway is still connected to its first hop. A FIN would look as if
        // the client were still there, and the hops would go on.
        if let Some(upstream) = self.upstream.take() {
            upstream.reset_on_close();
            self.facts.tried(upstream.peer_addr());
        }
        self.enter(Phase::Lingering, now);
        true
    }

    /// Closes both sockets and gives back what the session has borrowed.
    ///
    /// If the session has not `finished`, a side that may expect more bytes is reset, so that it
    /// does not take the end for an orderly one. A side that has got its FIN is only closed: it may
    /// still be reading, and a reset would take away what the kernel has not delivered yet.
    pub(crate) fn close(mut self, finished: bool, pipes: &mut PipePool) {
        let has_fin = |flow: &Flow| flow.half.state() == HalfState::Closed;
        if !finished && !has_fin(&self.down) {
            self.client.reset_on_close();
        }
        if !finished
            && !has_fin(&self.up)
            && let Some(upstream) = &self.upstream
        {
            upstream.reset_on_close();
        }
        self.up.abandon(pipes);
        self.down.abandon(pipes);
    }
}

#[cfg(test)]
mod tests;
