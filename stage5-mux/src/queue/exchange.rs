//! One request and its response over the one upstream connection.
//!
//! ```text
//!   Worker                                     Exchange { machine, link, flight }
//!     │  begin(flight)                             │
//!     ├───────────────────────────────────────────▶│  the next request of the queue
//!     │  advance(lent)                             │
//!     ├───────────────────────────────────────────▶│  one connect, read or write
//!     │◀───────────────────────────────────────────┤
//!     │  Step: what the worker has to do           │
//! ```
//!
//! The exchange owns everything between the queue and the upstream, and nothing else: it never
//! touches the client table, the queue or the timers. What concerns a client comes out of it as a
//! [`Step`], and the worker applies it.
//!
//! The order of calls: [`Exchange::begin`] after [`Step::NextRequest`], or after [`Step::Finished`] if
//! the connection [is emptied](Exchange::is_emptied); [`Exchange::advance`] until
//! it returns [`Step::Wait`]; [`Exchange::refilled`] after [`Step::Refill`]. At any time:
//! [`Exchange::abandon`] when the client closes, [`Exchange::expire`] at [`Exchange::deadline`],
//! [`Exchange::resolved`] with the resolver's answer.
//!
//! | file | what it does |
//! |---|---|
//! | `exchange.rs` | chooses the next step, and follows the machine's actions |
//! | `exchange/attempt.rs`, `exchange/connect.rs` | opens the upstream connection |
//! | `exchange/send.rs` | sends the request |
//! | `exchange/receive.rs` | reads the response |

mod attempt;
mod connect;
mod receive;
mod send;

use std::time::Instant;

use mio::Registry;
use mio::event::Event as SocketEvent;
use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::inspect::{EndpointView, Totals};
use stage4_proxy::token::Token;

use crate::endpoint::Endpoint;
use crate::queue::exchange::attempt::Attempt;
use crate::queue::flight::{Flight, Sending};
use crate::queue::framing::{EndOfInput, Ending, Framing, Refusal, Responses as _};
use crate::queue::limits::Limits;
use crate::queue::link::{Idle, Link};
use crate::queue::log::Log;
use crate::queue::scratch::Scratch;
use crate::queue::upstream::{Action, DOUBT_AFTER, Event, State, Timeouts, Upstream};

/// What the worker has to do after a step of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Wait: nothing is possible before the next event or deadline.
    Wait,
    /// Ask for the next step.
    Again,
    /// Take the next request out of the queue and begin with it.
    NextRequest,
    /// Read on from a client whose request streams.
    Refill { from: Token },
    /// Deliver the part of the response that is in the scratch memory.
    Deliver { to: Token },
    /// Deliver the end of the response that is in the scratch memory; `keep` says whether the
    /// client's connection persists. Without a client, the response was read and dropped.
    Finished { to: Option<Token>, keep: bool },
    /// Tell the client why it gets no response.
    Refuse { to: Token, why: Refusal },
    /// End the client's connection in the middle of its response.
    Abort { to: Token, ending: Ending },
}

impl Step {
    /// Makes another step if this one had nothing to do.
    fn or_else(self, next: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Wait => next(),
            Self::Again
            | Self::NextRequest
            | Self::Refill { .. }
            | Self::Deliver { .. }
            | Self::Finished { .. }
            | Self::Refuse { .. }
            | Self::Abort { .. } => self,
        }
    }
}

/// Whether the client in flight can take more of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// It can, or there is no client any more.
    HasRoom,
    /// Its buffer is full until it has read some.
    Full,
}

/// What the worker lends the exchange for one step.
#[derive(Debug)]
pub(super) struct Lent<'a> {
    /// Where the upstream's socket is registered.
    pub(super) registry: &'a Registry,
    /// The memory for a read.
    pub(super) scratch: &'a mut Scratch,
    /// The log.
    pub(super) log: &'a mut Log,
    /// The counters.
    pub(super) totals: &'a mut Totals,
    /// The bounds.
    pub(super) limits: &'a Limits,
    /// The state of the client in flight.
    pub(super) reader: Reader,
    /// Whether a request waits in the queue.
    pub(super) queued: bool,
    /// Whether the worker drains, so that no client's connection persists.
    pub(super) draining: bool,
    /// The time of this turn of the loop.
    pub(super) now: Instant,
}

/// The upstream connection, and the request in flight on it.
#[derive(Debug)]
pub(super) struct Exchange<F: Framing> {
    machine: Upstream,
    link: Link,
    /// What the state `Connecting` does next.
    attempt: Attempt,
    flight: Option<Flight<F>>,
}

impl<F: Framing> Exchange<F> {
    /// Creates an exchange without a connection and without a request.
    pub(super) fn new(timeouts: Timeouts, link: Link, now: Instant) -> Self {
        Self {
            machine: Upstream::new(timeouts, now),
            link,
            attempt: Attempt::FindAddresses,
            flight: None,
        }
    }

    /// Begins with the next request; nothing leaves before the next step.
    ///
    /// # Panics
    ///
    /// Panics if a request is in flight.
    pub(super) fn begin(&mut self, flight: Flight<F>, now: Instant) {
        let repeatable = flight.repeatable;
        self.flight = Some(flight);
        self.tell(Event::Begin { repeatable }, now);
    }

    /// Makes one step: one connect, read or write.
    pub(super) fn advance(&mut self, lent: &mut Lent<'_>) -> Step {
        match self.machine.state() {
            State::Dead => self.ask_for_next(lent),
            State::Connecting => self.connect(lent).or_else(|| self.ask_for_next(lent)),
            State::Idle => self.check_idle(lent).or_else(|| self.ask_for_next(lent)),
            // Reading comes first, because an early response may make the rest of the request
            // unnecessary.
            State::Sending | State::Relaying => self.receive(lent).or_else(|| self.send(lent.now)),
            State::AwaitingHead => self.receive(lent),
        }
    }

    fn ask_for_next(&self, lent: &Lent<'_>) -> Step {
        if lent.queued && self.machine.is_free() {
            Step::NextRequest
        } else {
            Step::Wait
        }
    }

    /// Closes an idle connection on which an end has arrived, or bytes without a request.
    ///
    /// Before a request leaves, the check is a system call whatever the events have said. Only a
    /// request that leaves in the moment when the previous response has ended does without it:
    /// that read has just emptied the connection.
    fn check_idle(&mut self, lent: &mut Lent<'_>) -> Step {
        let noted = self.link.endpoint().is_some_and(Endpoint::is_readable);
        if !(noted || lent.queued) {
            return Step::Wait;
        }
        match self.link.idle() {
            Idle::Quiet => return Step::Wait,
            Idle::Ended => tracing::debug!("the idle upstream connection is closed"),
            Idle::Unasked => lent.log.wrong_response(F::UNASKED, lent.now),
        }
        self.tell(Event::Lost, lent.now)
    }

    /// Tells the machine what has happened and follows its action.
    fn tell(&mut self, event: Event, now: Instant) -> Step {
        match self.machine.on(event, now) {
            Action::Nothing => Step::Again,
            Action::Connect => self.reconnect(),
            Action::NextAddress => {
                self.link.failed(ConnectError::TimedOut);
                self.attempt = Attempt::NextAddress(Refusal::UpstreamTimeout);
                Step::Again
            }
            Action::Close => {
                self.link.close();
                self.flight = None;
                Step::Again
            }
            Action::Refuse(why) => {
                self.link.close();
                self.refuse(why)
            }
            Action::Abort => {
                self.link.close();
                self.abort()
            }
            Action::Doubt => {
                self.doubt();
                Step::Again
            }
        }
    }

    /// Lets the kernel find out whether a silent connection is dead.
    ///
    /// `TCP_USER_TIMEOUT` also counts the time that bytes wait for room in the upstream's window
    /// (`tcp(7)`): with a large request, it would end the connection to an upstream that only reads slowly.
    fn doubt(&mut self) {
        tracing::debug!("the kept upstream connection is silent");
        let flight = self.flight.as_ref();
        if flight.is_some_and(Flight::is_acknowledged_if_alive) {
            self.link.doubt(DOUBT_AFTER);
        }
    }

    /// Ends an exchange of which the client has got nothing.
    fn refuse(&mut self, why: Refusal) -> Step {
        match self.flight.take().and_then(|flight| flight.client) {
            Some(to) => Step::Refuse { to, why },
            None => Step::Again,
        }
    }

    /// Ends an exchange of which the client has got a part.
    ///
    /// Only the framing knows whether the client can tell that bytes are missing.
    fn abort(&mut self) -> Step {
        let Some(flight) = self.flight.take() else {
            return Step::Again;
        };
        let ending = flight.responses.end_of_input(EndOfInput::Error);
        match flight.client {
            Some(to) => Step::Abort { to, ending },
            None => Step::Again,
        }
    }

    /// Notes that the client in flight has closed: its response is read and dropped.
    pub(super) fn abandon(&mut self, now: Instant) {
        let Some(flight) = &mut self.flight else {
            return;
        };
        flight.client = None;
        let whole = flight.whole;
        if self.machine.state() == State::Connecting {
            self.flight = None;
        }
        self.tell(Event::Abandoned { whole }, now);
    }

    /// Acts on the deadline.
    pub(super) fn expire(&mut self, reader: Reader, now: Instant) -> Step {
        let connecting = self.machine.state() == State::Connecting;
        let waits_for_client = reader == Reader::Full || self.sending() == Sending::Awaited;
        if waits_for_client && !connecting {
            // The client is slow, not the upstream, and it has a deadline of its own.
            return self.tell(Event::Progress, now);
        }
        self.tell(Event::Expired, now)
    }

    /// Remembers an event of the upstream's socket that the token names; returns whether there is one.
    pub(super) fn note(&mut self, token: Token, event: &SocketEvent) -> bool {
        self.link.note(token, event)
    }
}

/// What the worker and its report ask.
impl<F: Framing> Exchange<F> {
    /// Returns when [`Exchange::expire`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.machine.state() {
            // Each attempt has its own time, and the next address is due earlier.
            State::Connecting if self.attempt == Attempt::Pending => {
                let due = [self.link.deadline(), self.machine.last_moment()];
                due.into_iter().flatten().min()
            }
            State::Dead
            | State::Connecting
            | State::Idle
            | State::Sending
            | State::AwaitingHead
            | State::Relaying => self.machine.deadline(),
        }
    }

    /// Returns whether the next request can leave at once: the last read has emptied the
    /// connection, and no request is in flight.
    pub(super) fn is_emptied(&self) -> bool {
        let endpoint = self.link.endpoint();
        self.machine.is_free() && endpoint.is_some_and(|endpoint| !endpoint.is_readable())
    }

    /// Returns the client in flight.
    pub(super) fn client(&self) -> Option<Token> {
        self.flight.as_ref()?.client
    }

    /// Returns how far the request in flight is.
    pub(super) fn sending(&self) -> Sending {
        self.flight
            .as_ref()
            .map_or(Sending::Complete, Flight::sending)
    }

    /// Returns whether the client still has to bring a part of the request in flight.
    pub(super) fn streams(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| !flight.whole)
    }

    /// Returns the request in flight.
    pub(super) fn flight(&self) -> Option<&Flight<F>> {
        self.flight.as_ref()
    }

    /// Returns the link to the upstream, for the inspector.
    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// Copies out what the inspector shows of the upstream's socket.
    pub(super) fn view(&self) -> Option<EndpointView> {
        self.link.shown().map(Endpoint::view)
    }
}

#[cfg(test)]
mod tests;
