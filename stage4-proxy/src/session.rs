//! A session: a client, its upstream, and the way from the first to the second.
//!
//! ```text
//!                                                          a side broke
//!   Handshake ----> Resolving ----> Connecting ----> Relay ------------> Parting
//!       |               |               |              |                    |
//!       +---------------+---------------+              | both have ended    | the last byte
//!                       | refused, unreachable         v                    v has been sent
//!                       +------> Farewell ---------> closed              reset
//!                                the client is told why
//! ```
//!
//! A session never touches the route table, the poller or the timers: it says what it needs as a
//! [`Next`], and the worker does it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use std::{io, mem, vec};

use stage2_client::Target;

use crate::connect_error::ConnectError;
use crate::endpoint::Endpoint;
use crate::half::HalfState;
use crate::ingress::Handshake;
use crate::limits::Limits;
use crate::pipe::PipePool;
use crate::relay::Flow;
use crate::scratch::Scratch;
use crate::token::Side;

mod conversing;
mod relaying;

/// How far a session has come.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The client is saying what it wants, and has used up so many bytes for it.
    Handshake(Box<dyn Handshake>, usize),
    /// A thread looks the target's name up.
    Resolving(Answer),
    /// A non-blocking connect(2) is under way.
    Connecting(Answer, Attempt),
    /// Bytes go both ways.
    Relay,
    /// The client gets its last bytes, and time to read them.
    Farewell,
    /// The other side has broken: this one gets what was said before, and then a reset.
    Parting(Side, Reason),
}

/// Who phrases the answer to the client; nobody, where the client has asked nothing.
pub(crate) type Answer = Option<Box<dyn Handshake>>;

/// The addresses of a target that were not tried yet.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// The next addresses, in the order of preference.
    pub(crate) rest: vec::IntoIter<SocketAddr>,
    /// When the present one was begun.
    pub(crate) since: Instant,
}

/// What a session needs from its worker.
#[derive(Debug)]
pub(crate) enum Next {
    /// Nothing before the next event.
    Wait,
    /// Another turn: its work is not finished.
    Again,
    /// A connection to this target.
    Connect(Arc<Target>),
    /// To be told to the client, and then closed.
    Refuse(Reason),
    /// To be closed.
    Close(Reason),
}

/// Why a session has ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    /// Both sides have ended and every byte has arrived.
    #[error("finished")]
    Finished,
    /// A socket broke, and so the other side is reset as well.
    #[error("{0:?} side reset")]
    Reset(Side, #[source] io::Error),
    /// The client went away before it was connected.
    #[error("the client left before it was connected")]
    Gone,
    /// The target could not be reached.
    #[error("cannot connect")]
    Unreached(#[from] ConnectError),
    /// The client asked for what it does not get.
    #[error("refused: {0}")]
    Refused(String),
    /// A time limit has passed.
    #[error("{0:?} time limit reached")]
    TimedOut(Timeout),
    /// The proxy stops.
    #[error("the proxy stops")]
    Stopped,
}

/// The time limits of a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Timeout {
    /// For saying what the client wants, and for reading a refusal.
    Handshake,
    /// For resolving a name, and for each address.
    Connect,
    /// For a session without a byte.
    Idle,
    /// For a half-closed session without a byte.
    HalfClose,
}

/// A client and its upstream.
#[derive(Debug)]
pub(crate) struct Session {
    /// The socket that was accepted.
    pub(crate) client: Endpoint,
    /// The socket that was, or is being, connected.
    pub(crate) upstream: Option<Endpoint>,
    /// From the client to the upstream.
    pub(crate) up: Flow,
    /// From the upstream to the client.
    pub(crate) down: Flow,
    /// How far the session has come.
    pub(crate) phase: Phase,
    /// Where the client wants to go, once known.
    pub(crate) target: Option<Arc<Target>>,
    /// When the client was accepted.
    pub(crate) opened: Instant,
    /// When the phase began or a byte last moved.
    active: Instant,
    /// Set while the session waits for another turn.
    pub(crate) queued: bool,
    /// The side that broke while the other direction still has bytes to deliver.
    broken: Option<(Side, io::Error)>,
}

impl Session {
    /// Begins a session in the phase that its ingress has chosen.
    pub(crate) fn new(client: Endpoint, phase: Phase, now: Instant) -> Self {
        Self {
            client,
            upstream: None,
            up: Flow::default(),
            down: Flow::default(),
            phase,
            target: None,
            opened: now,
            active: now,
            queued: false,
            broken: None,
        }
    }

    /// Returns the endpoint of one side.
    pub(crate) fn endpoint_mut(&mut self, side: Side) -> Option<&mut Endpoint> {
        match side {
            Side::Client => Some(&mut self.client),
            Side::Upstream => self.upstream.as_mut(),
        }
    }

    /// Enters a phase.
    pub(crate) fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.active = now;
    }

    /// Does what its sockets allow now.
    pub(crate) fn advance(&mut self, scratch: &mut Scratch, limits: &Limits, now: Instant) -> Next {
        match self.phase {
            Phase::Handshake(..) => self.converse(scratch, limits),
            Phase::Resolving(_) | Phase::Connecting(..) => self.check_client(),
            Phase::Relay => self.relay(scratch, now),
            Phase::Farewell => self.see_off(scratch, limits),
            Phase::Parting(..) => self.await_delivery(),
        }
    }

    /// Returns when the session has waited too long, and for what.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<(Instant, Timeout)> {
        match &self.phase {
            // Counted from the beginning: a byte now and then buys no time.
            Phase::Handshake(..) => {
                Some((self.opened + limits.handshake_timeout, Timeout::Handshake))
            }
            Phase::Farewell => Some((self.active + limits.handshake_timeout, Timeout::Handshake)),
            Phase::Parting(..) => {
                Some((self.active + limits.handshake_timeout, Timeout::HalfClose))
            }
            Phase::Resolving(_) => Some((self.active + limits.connect_timeout, Timeout::Connect)),
            Phase::Connecting(_, attempt) => {
                Some((attempt.since + limits.connect_timeout, Timeout::Connect))
            }
            Phase::Relay => self.relay_deadline(limits),
        }
    }

    fn relay_deadline(&self, limits: &Limits) -> Option<(Instant, Timeout)> {
        let half_closed = [&self.up, &self.down]
            .iter()
            .any(|flow| flow.half.state() != HalfState::Open);
        let half_close = half_closed.then_some((limits.half_close_timeout, Timeout::HalfClose));
        let idle = limits.idle_timeout.map(|limit| (limit, Timeout::Idle));
        [half_close, idle]
            .into_iter()
            .flatten()
            .min_by_key(|&(limit, _)| limit)
            .map(|(limit, timeout)| (self.active + limit, timeout))
    }

    /// Begins to relay: the upstream is connected.
    pub(crate) fn connected(&mut self, now: Instant) {
        let answer = self.take_answer();
        self.enter(Phase::Relay, now);
        if let Some(mut handshake) = answer {
            let local = self.upstream.as_ref().and_then(Endpoint::local_addr);
            self.down.half.keep(&handshake.connected(local));
        }
    }

    /// Begins to tell the client why it gets no upstream, or returns `false` when there are no
    /// words for it and the connection can only be reset.
    pub(crate) fn refused(&mut self, reason: &Reason, now: Instant) -> bool {
        let Some(mut handshake) = self.take_answer() else {
            return false;
        };
        if let Reason::Unreached(error) = reason {
            self.down.half.keep(&handshake.failed(error));
        }
        self.down.half.end_of_input();
        self.enter(Phase::Farewell, now);
        true
    }

    /// Takes the handshake out of the phase that holds it.
    pub(crate) fn take_answer(&mut self) -> Answer {
        match mem::replace(&mut self.phase, Phase::Farewell) {
            Phase::Handshake(handshake, _) => Some(handshake),
            Phase::Resolving(answer) | Phase::Connecting(answer, _) => answer,
            Phase::Relay | Phase::Farewell | Phase::Parting(..) => None,
        }
    }

    /// Gives back what the session has borrowed, and lets go of both sockets.
    ///
    /// When the session has not `finished`, a side that was promised more is reset, so that it
    /// does not take the end for a good one. A side that has had its FIN is only closed: it may
    /// still be reading, and a reset would take away what the kernel has not delivered yet.
    pub(crate) fn close(mut self, finished: bool, pipes: &mut PipePool) {
        let told = |flow: &Flow| flow.half.state() == HalfState::Closed;
        if !finished && !told(&self.down) {
            self.client.reset_on_close();
        }
        if !finished
            && !told(&self.up)
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
