//! The upstream connection as a state machine: one request at a time, and what every event means.
//!
//! ```text
//!                         repeated once: lost, or silent over a kept connection
//!                        ┌────────────────────┬─────────────────┐
//!            begin       ▼      connected     │     sent        │        head
//!   Dead ──────────▶ Connecting ─────────▶ Sending ──────▶ AwaitingHead ──────▶ Relaying
//!    ▲                   │                   ▲  │                                  │
//!    │                   │ (client closed)   │  │ head (before all was sent)       │
//!    │                   ▼             begin │  └─────────────────────────────────▶│
//!    │                  Idle ────────────────┘                                     │
//!    │                   ▲                                        end, kept        │
//!    │                   └─────────────────────────────────────────────────────────┘
//!    ├── from every state but Connecting: lost, invalid, expired; end, not kept
//!    └── from Connecting: no address left, or no time; when an attempt expires, the next address is tried
//! ```
//!
//! Free of I/O and of clocks: [`Upstream::on`] takes what happened and when, and returns what has
//! to be done. It is the one place that keeps two requests from being in flight.

mod trust;

use std::time::{Duration, Instant};

use crate::queue::framing::Refusal;
pub(super) use crate::queue::upstream::trust::DOUBT_AFTER;
use crate::queue::upstream::trust::Trust;

/// The refusal for a request that was lost with the connection.
const CLOSED: Refusal = Refusal::BadGateway("the upstream closed the connection");

/// The state of the upstream connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No connection; the next request opens one.
    Dead,
    /// The name is being resolved, or connect(2) is in progress.
    Connecting,
    /// Open, no request in flight.
    Idle,
    /// The request is being sent.
    Sending,
    /// The request was sent, and the head of the response is not complete.
    AwaitingHead,
    /// The response is passed on.
    Relaying,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The next request was taken from the queue.
    Begin {
        /// Whether it may be sent a second time.
        repeatable: bool,
    },
    /// A connect to the next address has begun.
    Attempt,
    /// The connection is open.
    Connected,
    /// Every address has failed.
    Unreached(Refusal),
    /// A part of the request was sent, or a part of the response was passed on.
    Progress,
    /// The whole request was sent.
    Sent,
    /// Bytes have arrived from the upstream. They are no progress: the client may get none of them.
    Bytes,
    /// The final head of the response is complete.
    Head,
    /// The response is complete.
    End {
        /// Whether the upstream takes another request on this connection.
        keep: bool,
    },
    /// The upstream has closed the connection, or it broke.
    Lost,
    /// The bytes that have arrived are no response.
    Invalid(Refusal),
    /// The deadline has passed.
    Expired,
    /// The client of the request in flight has closed.
    Abandoned {
        /// Whether the rest of the request can still be sent.
        whole: bool,
    },
    /// The response for a client that has closed is too long to be read to its end.
    Flooded,
}

/// What has to be done.
///
/// To send or to read is no action: the exchange sees from the state which of the two is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing more than the state says.
    Nothing,
    /// Close the connection, if there is one, open a new one, and send the request from its
    /// beginning.
    Connect,
    /// Connect to the next address.
    NextAddress,
    /// Close the connection; no client has to be told.
    Close,
    /// Close the connection and tell the client why it gets no response.
    Refuse(Refusal),
    /// Close the connection; the client has a part of the response and gets no more.
    Abort,
    /// Let the kernel end the connection unless the request is acknowledged, if a live upstream must have
    /// acknowledged it by now.
    Doubt,
}

/// The time limits of the upstream.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For resolving its name, and for each address.
    pub connect: Duration,
    /// Without a byte to the upstream, or from it to the client, while a request is in flight.
    pub response: Duration,
    /// For a connection that is kept, until the next request begins.
    pub kept: Duration,
}

/// The upstream connection.
#[derive(Debug)]
pub struct Upstream {
    state: State,
    timeouts: Timeouts,
    request: Option<Request>,
    /// When the exchange last came further.
    active: Instant,
}

/// The request in flight.
#[derive(Clone, Copy, Debug)]
struct Request {
    /// It may be sent again if no byte of a response arrives.
    repeatable: bool,
    /// All of it was sent.
    sent: bool,
    /// Its client has closed; the response is read and dropped.
    abandoned: bool,
    /// How long its connection may be silent.
    trust: Trust,
}

impl Request {
    /// Describes a request of which nothing was sent.
    fn new(repeatable: bool) -> Self {
        Self {
            repeatable,
            sent: false,
            abandoned: false,
            trust: Trust::Full,
        }
    }

    /// Returns how far its connection is trusted: only a request that can be sent again is on trial.
    fn trust(self) -> Trust {
        match self.trust {
            Trust::Kept | Trust::Doubted if !self.repeatable || self.abandoned => Trust::Full,
            Trust::Full | Trust::Kept | Trust::Doubted | Trust::Second { .. } => self.trust,
        }
    }
}

impl Upstream {
    /// Describes an upstream without a connection.
    #[must_use]
    pub fn new(timeouts: Timeouts, now: Instant) -> Self {
        Self {
            state: State::Dead,
            timeouts,
            request: None,
            active: now,
        }
    }

    /// Returns the state of the connection.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Returns whether the next request may begin.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.request.is_none()
    }

    /// Returns whether the request in flight was sent completely.
    #[must_use]
    pub fn has_sent(&self) -> bool {
        self.request.is_some_and(|request| request.sent)
    }

    /// Returns when [`Event::Expired`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let (active, timeouts) = (self.active, &self.timeouts);
        let trust = self.trust();
        match self.state {
            State::Dead => None,
            State::Idle => Some(active + timeouts.kept),
            State::Connecting => Some(trust.bound(active + timeouts.connect)),
            State::Sending | State::AwaitingHead => Some(trust.deadline(active, timeouts)),
            State::Relaying => Some(active + timeouts.response),
        }
    }

    /// Returns when the request in flight has no time left even for further addresses; `None` if each
    /// address has its own time.
    #[must_use]
    pub fn last_moment(&self) -> Option<Instant> {
        self.trust().until()
    }

    /// Takes what has happened and returns what has to be done.
    ///
    /// # Panics
    ///
    /// Panics if a request begins while another one is in flight: that is the promise of the queue.
    pub fn on(&mut self, event: Event, now: Instant) -> Action {
        if matches!(event, Event::Expired) && self.trust() == Trust::Kept {
            // The time goes on, because nothing has arrived.
            self.set_trust(Trust::Doubted);
            return Action::Doubt;
        }
        if self.is_sign_of_life(event) {
            self.set_trust(Trust::Full);
        }
        let (before, active) = (self.state, self.active);
        let (state, action) = match event {
            Event::Begin { repeatable } => self.on_begin(repeatable),
            Event::Attempt | Event::Progress => (self.state, Action::Nothing),
            Event::Connected => self.on_connected(),
            Event::Unreached(refusal) => self.on_unreached(refusal),
            Event::Sent => self.on_sent(),
            Event::Bytes => self.on_bytes(),
            Event::Head => self.on_head(),
            Event::End { keep } => self.on_end(keep),
            Event::Lost => self.on_lost(),
            Event::Invalid(refusal) => self.on_invalid(refusal),
            Event::Expired if self.trust() == Trust::Doubted => self.repeat(),
            Event::Expired if self.is_too_late_to_connect(now) => self.give_up(),
            Event::Expired => self.on_expired(),
            Event::Abandoned { whole } => self.on_abandoned(whole),
            Event::Flooded => self.on_flooded(),
        };
        self.state = state;
        // Interim responses that no client gets, or the answer for a client that has closed, could
        // otherwise hold the queue forever, one byte in each time limit.
        if !matches!(event, Event::Bytes) {
            self.active = now;
        }
        match state {
            State::Dead | State::Idle => self.request = None,
            State::Connecting | State::Sending | State::AwaitingHead | State::Relaying => {}
        }
        if before == State::Idle {
            self.set_trust(Trust::in_kept(&self.timeouts));
        } else if action == Action::Connect && before != State::Dead {
            let until = active + self.timeouts.response;
            self.set_trust(Trust::Second { until });
        }
        action
    }

    /// Returns how far the connection is trusted with the request in flight.
    fn trust(&self) -> Trust {
        self.request.map_or(Trust::Full, Request::trust)
    }

    /// Returns whether the upstream is there: bytes have arrived, or the exchange has come further although
    /// all of the request was sent.
    fn is_sign_of_life(&self, event: Event) -> bool {
        matches!(
            (event, self.state),
            (Event::Bytes, State::Sending) | (Event::Bytes | Event::Progress, State::AwaitingHead)
        )
    }

    /// Returns whether no address can be tried any more, because the time of both attempts is over.
    fn is_too_late_to_connect(&self, now: Instant) -> bool {
        self.state == State::Connecting && self.last_moment().is_some_and(|until| until <= now)
    }

    /// Ends the attempts to connect.
    fn give_up(&self) -> (State, Action) {
        (
            State::Dead,
            self.answer(Action::Refuse(Refusal::UpstreamTimeout)),
        )
    }

    fn set_trust(&mut self, trust: Trust) {
        if let Some(request) = &mut self.request {
            request.trust = trust;
        }
    }

    /// The next request begins: it is the one in flight from now on.
    ///
    /// An idle connection takes it at once; without a connection, one is opened first. A connect may
    /// be in progress already, for a client that has closed meanwhile.
    fn on_begin(&mut self, repeatable: bool) -> (State, Action) {
        assert!(self.request.is_none(), "two requests in flight");
        self.request = Some(Request::new(repeatable));
        match self.state {
            State::Dead => (State::Connecting, Action::Connect),
            // This connect was for a client that has closed.
            State::Connecting => (State::Connecting, Action::Nothing),
            State::Idle => (State::Sending, Action::Nothing),
            State::Sending | State::AwaitingHead | State::Relaying => {
                unreachable!("in these states a request is in flight")
            }
        }
    }

    /// The connection is open: the request in flight is sent. If its client has closed meanwhile, the
    /// connection is idle.
    fn on_connected(&self) -> (State, Action) {
        match (self.state, self.request) {
            (State::Connecting, Some(_)) => (State::Sending, Action::Nothing),
            (State::Connecting, None) => (State::Idle, Action::Nothing),
            (state, _) => (state, Action::Nothing),
        }
    }

    fn on_unreached(&self, refusal: Refusal) -> (State, Action) {
        match self.state {
            State::Connecting => (State::Dead, self.answer(Action::Refuse(refusal))),
            State::Dead | State::Idle | State::Sending | State::AwaitingHead | State::Relaying => {
                (self.state, Action::Nothing)
            }
        }
    }

    /// The whole request was sent, perhaps after the response has begun.
    fn on_sent(&mut self) -> (State, Action) {
        if let Some(request) = &mut self.request {
            request.sent = matches!(self.state, State::Sending | State::Relaying) || request.sent;
        }
        match self.state {
            State::Sending => (State::AwaitingHead, Action::Nothing),
            State::Dead
            | State::Connecting
            | State::Idle
            | State::AwaitingHead
            | State::Relaying => (self.state, Action::Nothing),
        }
    }

    /// Bytes have arrived. After the first byte of a response its request is never sent again, and
    /// bytes that answer no request make the connection useless.
    fn on_bytes(&mut self) -> (State, Action) {
        match self.state {
            State::Idle => (State::Dead, Action::Close),
            State::Sending | State::AwaitingHead => {
                if let Some(request) = &mut self.request {
                    request.repeatable = false;
                }
                (self.state, Action::Nothing)
            }
            State::Dead | State::Connecting | State::Relaying => (self.state, Action::Nothing),
        }
    }

    fn on_head(&self) -> (State, Action) {
        match self.state {
            State::Sending | State::AwaitingHead => (State::Relaying, Action::Nothing),
            State::Dead | State::Connecting | State::Idle | State::Relaying => {
                (self.state, Action::Nothing)
            }
        }
    }

    /// The response is complete. The connection is kept only if the upstream keeps it, and if all of
    /// the request was sent: the upstream would take the next request for the missing rest.
    fn on_end(&self, keep: bool) -> (State, Action) {
        match self.state {
            State::Relaying if keep && self.has_sent() => (State::Idle, Action::Nothing),
            State::Relaying => (State::Dead, Action::Close),
            State::Dead
            | State::Connecting
            | State::Idle
            | State::Sending
            | State::AwaitingHead => (self.state, Action::Nothing),
        }
    }

    /// The connection has ended: while it was idle, while a request was being sent or waited for its
    /// response, or in the middle of the response.
    fn on_lost(&mut self) -> (State, Action) {
        match self.state {
            State::Dead | State::Connecting => (self.state, Action::Nothing),
            State::Idle => (State::Dead, Action::Close),
            State::Sending | State::AwaitingHead if self.may_repeat() => self.repeat(),
            State::Sending | State::AwaitingHead => {
                (State::Dead, self.answer(Action::Refuse(CLOSED)))
            }
            State::Relaying => (State::Dead, self.answer(Action::Abort)),
        }
    }

    /// Returns whether the request in flight may be sent again: no byte has come back, doing it twice
    /// does no harm, and its client still waits for the response.
    fn may_repeat(&self) -> bool {
        self.request
            .is_some_and(|request| request.repeatable && !request.abandoned)
    }

    /// Sends the request in flight again, over a new connection, and never a third time.
    fn repeat(&mut self) -> (State, Action) {
        self.request = Some(Request::new(false));
        (State::Connecting, Action::Connect)
    }

    fn on_invalid(&self, refusal: Refusal) -> (State, Action) {
        match self.state {
            State::Dead | State::Connecting => (self.state, Action::Nothing),
            State::Idle => (State::Dead, Action::Close),
            State::Sending | State::AwaitingHead => {
                (State::Dead, self.answer(Action::Refuse(refusal)))
            }
            State::Relaying => (State::Dead, self.answer(Action::Abort)),
        }
    }

    /// Nothing has happened for too long. Another address may still answer; an idle connection is
    /// kept no longer; a request that was sent gets no second chance, and a client that has a part
    /// of its response gets no more.
    fn on_expired(&self) -> (State, Action) {
        let refuse = self.answer(Action::Refuse(Refusal::UpstreamTimeout));
        match self.state {
            State::Dead => (State::Dead, Action::Nothing),
            State::Connecting => (State::Connecting, Action::NextAddress),
            State::Idle => (State::Dead, Action::Close),
            State::Sending | State::AwaitingHead => (State::Dead, refuse),
            State::Relaying => (State::Dead, self.answer(Action::Abort)),
        }
    }

    /// The client has closed, and `whole` tells whether its request has arrived completely.
    ///
    /// While the connection is being made, nothing was sent yet: the request is forgotten, and the connect goes on for
    /// the next client. Later the response is read to its end and dropped, so that the next client cannot get it; but a
    /// request whose rest will never come makes the connection useless.
    fn on_abandoned(&mut self, whole: bool) -> (State, Action) {
        match self.state {
            State::Dead | State::Idle => (self.state, Action::Nothing),
            State::Connecting => {
                self.request = None;
                (State::Connecting, Action::Nothing)
            }
            State::Sending | State::AwaitingHead | State::Relaying if whole => {
                if let Some(request) = &mut self.request {
                    request.abandoned = true;
                }
                (self.state, Action::Nothing)
            }
            State::Sending | State::AwaitingHead | State::Relaying => (State::Dead, Action::Close),
        }
    }

    fn on_flooded(&self) -> (State, Action) {
        match self.state {
            State::Dead | State::Connecting | State::Idle => (self.state, Action::Nothing),
            State::Sending | State::AwaitingHead | State::Relaying => (State::Dead, Action::Close),
        }
    }

    /// Returns the action for the client, or what remains of it if the client has closed.
    fn answer(&self, action: Action) -> Action {
        match self.request {
            Some(request) if !request.abandoned => action,
            Some(_) | None => Action::Close,
        }
    }
}

#[cfg(test)]
mod tests;
