//! When a window gets larger: while its sender waits for credit, and as long as that brings more bytes in a second.
//!
//! ```text
//!              the sender was blocked                     the rate rose by a tenth
//!   Steady ─────────────────────────────▶ Trial ───────────────────────────────────▶ Steady
//!     ▲                                     │ it did not: the window steps back
//!     └──────────── 10 s later ───────── Holding
//! ```
//!
//! No round trip is measured: a ping that waits behind bulk data reads seconds where the link has milliseconds, and a
//! window that grows by it feeds nothing but queues. Instead, two facts that the receiver sees itself are enough.
//!
//! *The sender was blocked*: a sender that has used all its credit stops at exactly the byte at which a credit ended,
//! and goes on when the next credit has reached it. So the time in which a stream is silent at such a byte is time
//! in which the sender was blocked, and a quarter of all time is a good reason to try a larger window. (The credit
//! that is left, as the receiver counts it, would say nothing: new credit counts from the moment in which it is sent,
//! a round trip before the first byte that it allows arrives.)
//!
//! *The rate rose*: a larger window only helps if the window was the bottleneck. Otherwise it steps back.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A period of judgement is at least this long, because shorter ones measure the scheduler of the kernel.
const MIN_PERIOD: Duration = Duration::from_millis(10);
/// A larger window is of use if the rate rises by this factor.
const RISE: Rate = 1.1;
/// A rate that does not rise in the first period after a growth may do so in this many further ones: the first bytes
/// that the growth allows need a round trip, and a sender that is blocked sends in bursts, of which a period may hold
/// one more or one less.
const FURTHER_PERIODS: u8 = 2;
/// How long no larger window is tried after one that was of no use.
const HOLD: Duration = Duration::from_secs(10);
/// A stream on which nothing arrives for so long is idle.
const IDLE_AFTER: Duration = Duration::from_secs(10);
/// The ends of credits that are remembered; more are never on their way, because credit is given for a quarter of
/// the window at least.
const MAX_LIMITS: usize = 8;

/// What the window should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Keep its size.
    Keep,
    /// Double its size; [`Growth::withdraw`] says that it cannot.
    Grow,
    /// Go back to half of its size.
    StepBack,
}

/// Bytes in a second.
type Rate = f64;

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Steady,
    /// The window was doubled; `before` is the rate until then, and `left` the number of periods in which it has to
    /// rise.
    Trial {
        before: Rate,
        left: u8,
    },
    Holding {
        until: Instant,
    },
}

/// The history of one receive window.
#[derive(Debug)]
pub(super) struct Growth {
    state: State,
    /// The bytes of the stream that have arrived, counted from the first credit.
    received: u64,
    /// The byte up to which credit was given.
    granted: u64,
    /// The ends of the credits that were given and are not used up, in order.
    limits: VecDeque<u64>,
    /// When the last byte has arrived.
    last: Instant,
    period: Period,
}

/// The time since the last verdict.
#[derive(Clone, Copy, Debug)]
struct Period {
    begin: Instant,
    /// What the reader has taken.
    consumed: u64,
    /// How long the sender was blocked.
    blocked: Duration,
}

impl Period {
    fn new(begin: Instant) -> Self {
        Self {
            begin,
            consumed: 0,
            blocked: Duration::ZERO,
        }
    }
}

impl Growth {
    /// Begins the history at a moment in which the peer may send `open` bytes.
    pub(super) fn new(open: u32, now: Instant) -> Self {
        Self {
            state: State::Steady,
            received: 0,
            granted: open.into(),
            limits: VecDeque::from([open.into()]),
            last: now,
            period: Period::new(now),
        }
    }

    /// Notes that a frame with so many bytes arrives now.
    pub(super) fn receive(&mut self, bytes: u32, now: Instant) {
        if bytes == 0 {
            return;
        }
        if self.limits.front() == Some(&self.received) {
            self.period.blocked += now.saturating_duration_since(self.last);
        }
        self.received += u64::from(bytes);
        while self
            .limits
            .front()
            .is_some_and(|&limit| limit < self.received)
        {
            self.limits.pop_front();
        }
        self.last = now;
    }

    /// Notes that bytes of the last frame arrive now.
    pub(super) fn touch(&mut self, now: Instant) {
        self.last = now;
    }

    /// Notes that credit is given.
    pub(super) fn grant(&mut self, credit: u32) {
        self.granted += u64::from(credit);
        self.limits.push_back(self.granted);
        if self.limits.len() > MAX_LIMITS {
            self.limits.pop_front();
        }
    }

    /// Returns whether nothing has arrived for a while.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= IDLE_AFTER
    }

    /// Judges the window when the reader has taken `consumed` bytes since the last call; `size` is the window's.
    pub(super) fn judge(&mut self, consumed: u32, size: u32, now: Instant) -> Verdict {
        self.period.consumed += u64::from(consumed);
        let length = now.saturating_duration_since(self.period.begin);
        if length < MIN_PERIOD || self.period.consumed < u64::from(size) {
            return Verdict::Keep;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a rate needs no more than 52 bits"
        )]
        let rate = self.period.consumed as Rate / length.as_secs_f64();
        let was_blocked = self.period.blocked >= length / 4;
        self.period = Period::new(now);
        let (state, verdict) = self.state.next(rate, was_blocked, now);
        self.state = state;
        verdict
    }

    /// Takes a growth back: the window has kept its size.
    pub(super) fn withdraw(&mut self) {
        self.state = State::Steady;
    }
}

impl State {
    /// Returns the state after a period, and what follows from it.
    fn next(self, rate: Rate, was_blocked: bool, now: Instant) -> (Self, Verdict) {
        match self {
            Self::Trial { before, left } if rate < before * RISE => match left.checked_sub(1) {
                Some(left) => (Self::Trial { before, left }, Verdict::Keep),
                None => {
                    let until = now + HOLD;
                    (Self::Holding { until }, Verdict::StepBack)
                }
            },
            Self::Holding { until } if now < until => (self, Verdict::Keep),
            Self::Steady | Self::Trial { .. } | Self::Holding { .. } if was_blocked => {
                let left = FURTHER_PERIODS;
                (Self::Trial { before: rate, left }, Verdict::Grow)
            }
            Self::Steady | Self::Trial { .. } | Self::Holding { .. } => {
                (Self::Steady, Verdict::Keep)
            }
        }
    }
}
