//! Deadlines: how long a session may stay in each state, when its timer moves, and what it means when it fires.
//!
//! ```text
//!   accept(2)                        connected                       both ended, or one broke
//!      │ Handshake        Connect        │ Bytes                           │ Departure
//!      ├────────────────┬───────┬────────┼─────────────────────────────────┼────────────────▶ closed
//!      from accept(2),    from the         from the last byte that came      from the last byte
//!      whatever comes     attempt          or left, in either direction      that left
//! ```
//!
//! Most deadlines are never reached, because the state changes before, or a byte moves. So a deadline that moves away
//! leaves its timer behind, and the timer that fires too early is set again.
//!
//! It reads no clock and sets no timer: the worker does, and asks here what they mean.

use std::fmt;
use std::time::{Duration, Instant};

use crate::half::HalfState;
use crate::limits::Limits;

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The rest of the client's handshake, or of a further request.
    Handshake,
    /// The first byte of a further request.
    NextRequest,
    /// The moment at which a wrong password is answered.
    Delay,
    /// The resolver, or the answer of one address.
    Connect,
    /// The response of a hop, which connects to the next one meanwhile.
    Hop,
    /// Bytes, in directions that are in these states.
    Bytes([HalfState; 2]),
    /// That the client takes its last bytes: a refusal, or what came before a reset.
    Departure,
    /// Nothing: datagrams pass beside the connection, and the kernel's keepalive watches the client.
    Datagrams,
}

impl Awaited {
    /// Returns how long a session may wait for it, and which limit that is; `None` if there is none.
    ///
    /// A hop has the connect timeout twice, because it may need one of them for the next hop, and its own answer should
    /// come before ours. Bytes have the idle timeout, if it is on, and once a direction is no longer open, the half-close
    /// timeout as well: the shorter one counts.
    #[must_use]
    pub fn limit(self, limits: &Limits) -> Option<(Duration, Timeout)> {
        match self {
            Self::Handshake => Some((limits.handshake_timeout, Timeout::Handshake)),
            Self::NextRequest => Some((limits.handshake_timeout, Timeout::NextRequest)),
            Self::Delay => Some((limits.wrong_password_delay, Timeout::WrongPassword)),
            Self::Connect => Some((limits.connect_timeout, Timeout::Connect)),
            Self::Hop => Some((2 * limits.connect_timeout, Timeout::Connect)),
            Self::Bytes(directions) => {
                let half_closed = directions.iter().any(|&state| state != HalfState::Open);
                let half_close =
                    half_closed.then_some((limits.half_close_timeout, Timeout::HalfClose));
                let idle = limits.idle_timeout.map(|limit| (limit, Timeout::Idle));
                let both = [half_close, idle].into_iter().flatten();
                both.min_by_key(|&(limit, _)| limit)
            }
            Self::Departure => Some((limits.linger_timeout, Timeout::Linger)),
            Self::Datagrams => None,
        }
    }
}

/// The time limits of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// For the client's handshake, from accept(2) to its last byte; for a further request, from its first byte.
    Handshake,
    /// For the first byte of a further request.
    NextRequest,
    /// For the refusal of a wrong password; it is held back until then.
    WrongPassword,
    /// For resolving a name, and for each address.
    Connect,
    /// For a session without a byte that comes or leaves, in either direction.
    Idle,
    /// For a half-closed session without a byte.
    HalfClose,
    /// For the last bytes of a session: a refusal, or what is sent before a reset.
    Linger,
}

impl fmt::Display for Timeout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Handshake => "handshake",
            Self::NextRequest => "next-request",
            Self::WrongPassword => "wrong-password",
            Self::Connect => "connect",
            Self::Idle => "idle",
            Self::HalfClose => "half-close",
            Self::Linger => "linger",
        })
    }
}

/// Returns whether a timer may stay where it is, `None` meaning that none is set.
///
/// It must be due no later than the deadline. If it is due earlier it may stay, because [`Alarm::of`] finds that out when
/// it fires: every byte moves a deadline away, and moving the timer each time would cost more than one wakeup in vain.
/// A session without a deadline has no timer.
#[must_use]
pub fn may_stay(timer: Option<Instant>, deadline: Option<Instant>) -> bool {
    match (timer, deadline) {
        (Some(timer), Some(deadline)) => timer <= deadline,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// What it means that the timer of a session fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Its time is over: this limit has been reached.
    Over(Timeout),
    /// It is early: the deadline has moved away since the timer was set, or only a look was due. It is set again.
    Early,
    /// The session has no deadline any more.
    Unlimited,
}

impl Alarm {
    /// Returns what a timer that fires at `now` means for a session with this deadline.
    ///
    /// A deadline is reached at its very moment: the poller waits until then, and would wait for no time, again and
    /// again, if it were not.
    #[must_use]
    pub fn of(deadline: Option<(Instant, Timeout)>, now: Instant) -> Self {
        match deadline {
            Some((deadline, _)) if deadline > now => Self::Early,
            Some((_, timeout)) => Self::Over(timeout),
            None => Self::Unlimited,
        }
    }
}
