//! The upstream connection as a state machine: one request at a time, and what every event means.
//!
//! ```text
//!            turn               connected            sent             head
//!   Dead ----------> Connecting ---------> Sending ------> AwaitingHead ------> Relaying
//!    ^                   |                   ^  |                                  |
//!    |                   | (client gone)     |  | head (before all was sent)       |
//!    |                   v             turn  |  +--------------------------------->|
//!    |                  Idle ----------------+                                     |
//!    |                   ^                                        end, kept        |
//!    |                   +---------------------------------------------------------+
//!    +-- from everywhere: lost, invalid, expired; end, not kept
//! ```
//!
//! Free of I/O and of clocks: [`Upstream::on`] is told what happened and when, and says what has
//! to be done. It is the one place that knows that two requests are never in flight.

use std::time::{Duration, Instant};

use crate::queue::framing::Refusal;

/// What a client is told whose request was lost with the connection.
const CLOSED: Refusal = Refusal::BadGateway("the upstream closed the connection");

/// How far the upstream connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// There is none; the next request opens one.
    Dead,
    /// A name is looked up, or a connect(2) is under way.
    Connecting,
    /// It is open and nobody's.
    Idle,
    /// A request is leaving.
    Sending,
    /// The request has left, and the head of the response is not complete.
    AwaitingHead,
    /// The response is passed on.
    Relaying,
}

/// What has happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// The next request has been taken from the queue.
    Turn {
        /// It may be sent a second time.
        repeatable: bool,
    },
    /// The next address is tried.
    Attempt,
    /// The connection is open.
    Connected,
    /// No address is left that could be tried.
    Unreached(Refusal),
    /// A part of the request has left.
    Progress,
    /// The whole request has left.
    Sent,
    /// Bytes have come from the upstream.
    Bytes,
    /// The final head of the response is complete.
    Head,
    /// The response is complete; `keep` says whether the upstream takes another request.
    End {
        /// The connection may be used again.
        keep: bool,
    },
    /// The upstream has closed the connection, or it broke.
    Lost,
    /// What came is no response.
    Invalid(Refusal),
    /// The deadline has passed.
    Expired,
    /// The client whose turn it is has gone; `whole` says that its request is complete.
    Abandoned {
        /// The upstream can still get the rest of the request.
        whole: bool,
    },
    /// The response of a client that has gone is too long to be waited for.
    Flooded,
}

/// What has to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Open a connection, after closing what there is, and send the request from its beginning.
    Connect,
    /// Try the next address.
    NextAddress,
    /// Send the request.
    Send,
    /// Close the connection; nobody waits for anything.
    Close,
    /// Close the connection and tell the client why it gets no response.
    Refuse(Refusal),
    /// Close the connection; the client has a part of the response and gets no more.
    Abort,
}

/// The time limits of the upstream.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For looking its name up, and for each address.
    pub connect: Duration,
    /// Without a byte in either direction while a request is in flight.
    pub response: Duration,
}

/// The upstream connection.
#[derive(Debug)]
pub struct Upstream {
    state: State,
    patience: Patience,
    turn: Option<Turn>,
    /// When something last happened.
    active: Instant,
}

/// The request in flight.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// It may be sent again if nothing came back.
    repeatable: bool,
    /// All of it has left.
    sent: bool,
    /// Its client has gone; the response is read and dropped.
    abandoned: bool,
}

impl Turn {
    /// Describes a request of which nothing has left.
    fn begin(repeatable: bool) -> Self {
        Self {
            repeatable,
            sent: false,
            abandoned: false,
        }
    }
}

impl Upstream {
    /// Describes an upstream that was not reached for yet.
    #[must_use]
    pub fn new(patience: Patience, now: Instant) -> Self {
        Self {
            state: State::Dead,
            patience,
            turn: None,
            active: now,
        }
    }

    /// Returns how far the connection is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Says whether the next request may have its turn.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.turn.is_none()
    }

    /// Says whether the request has left completely.
    #[must_use]
    pub fn has_sent(&self) -> bool {
        self.turn.is_some_and(|turn| turn.sent)
    }

    /// Returns when [`Event::Expired`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Dead | State::Idle => None,
            State::Connecting => Some(self.active + self.patience.connect),
            State::Sending | State::AwaitingHead | State::Relaying => {
                Some(self.active + self.patience.response)
            }
        }
    }

    /// Takes notice of what has happened and says what has to be done.
    ///
    /// # Panics
    ///
    /// When a turn begins while another one lasts: the promise of the queue.
    pub fn on(&mut self, event: Event, now: Instant) -> Action {
        let (state, action) = match event {
            Event::Turn { repeatable } => self.on_turn(repeatable),
            Event::Attempt | Event::Progress => (self.state, Action::Nothing),
            Event::Connected => self.on_connected(),
            Event::Unreached(refusal) => self.on_unreached(refusal),
            Event::Sent => self.on_sent(),
            Event::Bytes => self.on_bytes(),
            Event::Head => self.on_head(),
            Event::End { keep } => self.on_end(keep),
            Event::Lost => self.on_lost(),
            Event::Invalid(refusal) => self.on_invalid(refusal),
            Event::Expired => self.on_expired(),
            Event::Abandoned { whole } => self.on_abandoned(whole),
            Event::Flooded => self.on_flooded(),
        };
        self.state = state;
        self.active = now;
        match state {
            State::Dead | State::Idle => self.turn = None,
            State::Connecting | State::Sending | State::AwaitingHead | State::Relaying => {}
        }
        action
    }

    /// A request has its turn: it is the one in flight from now on.
    ///
    /// An idle connection takes it at once; without a connection, one is opened first. A connection
    /// may be on its way already, begun for a client that has gone.
    fn on_turn(&mut self, repeatable: bool) -> (State, Action) {
        assert!(self.turn.is_none(), "two requests in flight");
        self.turn = Some(Turn::begin(repeatable));
        match self.state {
            State::Dead => (State::Connecting, Action::Connect),
            // It was begun for a client that has gone.
            State::Connecting => (State::Connecting, Action::Nothing),
            State::Idle => (State::Sending, Action::Send),
            State::Sending | State::AwaitingHead | State::Relaying => {
                unreachable!("in these states a turn lasts")
            }
        }
    }

    /// The connection is open: the request in flight leaves, or, when its client has gone meanwhile,
    /// the connection is nobody's.
    fn on_connected(&self) -> (State, Action) {
        match (self.state, self.turn) {
            (State::Connecting, Some(_)) => (State::Sending, Action::Send),
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

    /// The whole request has left, perhaps after the response has begun.
    fn on_sent(&mut self) -> (State, Action) {
        if let Some(turn) = &mut self.turn {
            turn.sent = matches!(self.state, State::Sending | State::Relaying) || turn.sent;
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

    /// Bytes have come. A request that has got any back is never sent again, and bytes that nobody
    /// has asked for make the connection useless.
    fn on_bytes(&mut self) -> (State, Action) {
        match self.state {
            State::Idle => (State::Dead, Action::Close),
            State::Sending | State::AwaitingHead => {
                if let Some(turn) = &mut self.turn {
                    turn.repeatable = false;
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
    /// the request has left: the rest would be taken for the beginning of the next one.
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

    /// The connection has ended while it was kept, while a request was leaving or waited for its
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

    /// Says whether the request in flight may be sent again: nothing came back, doing it twice
    /// does no harm, and somebody still waits for the response.
    fn may_repeat(&self) -> bool {
        self.turn
            .is_some_and(|turn| turn.repeatable && !turn.abandoned)
    }

    /// Sends the request in flight again, over a new connection, and never a third time.
    fn repeat(&mut self) -> (State, Action) {
        self.turn = Some(Turn::begin(false));
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

    /// Nothing has happened for too long: another address may still answer, a request gets no other
    /// chance, and a client that has a part of its response gets no more.
    fn on_expired(&self) -> (State, Action) {
        let refuse = self.answer(Action::Refuse(Refusal::UpstreamTimeout));
        match self.state {
            State::Dead | State::Idle => (self.state, Action::Nothing),
            State::Connecting => (State::Connecting, Action::NextAddress),
            State::Sending | State::AwaitingHead => (State::Dead, refuse),
            State::Relaying => (State::Dead, self.answer(Action::Abort)),
        }
    }

    /// The client has gone. Its response, if one comes, is read to its end and dropped, so that the
    /// next one is nobody else's; but a request whose rest will never come makes the connection useless.
    fn on_abandoned(&mut self, whole: bool) -> (State, Action) {
        match self.state {
            State::Dead | State::Idle => (self.state, Action::Nothing),
            State::Connecting => {
                self.turn = None;
                (State::Connecting, Action::Nothing)
            }
            State::Sending | State::AwaitingHead | State::Relaying if whole => {
                if let Some(turn) = &mut self.turn {
                    turn.abandoned = true;
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

    /// Returns the action for the client, or what is left of it when the client has gone.
    fn answer(&self, action: Action) -> Action {
        match self.turn {
            Some(turn) if !turn.abandoned => action,
            Some(_) | None => Action::Close,
        }
    }
}

#[cfg(test)]
mod tests;
