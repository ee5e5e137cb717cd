//! The session: one end of a link with all its streams, without any I/O and without a clock.
//!
//! ```text
//!            handle_input                                poll_transmit
//!   link ───────────────▶ frames ─▶ streams, windows      what is owed ─▶ control ─┐
//!                            │            │                                        ├─▶ Batch ─▶ slices ─▶ link
//!                            ▼            ▼               Scheduler ─▶ payload ────┘      handle_written
//!                         Events     credit owed              ▲   ▲
//!   local sides ◀────────────┘   consumed ┘          readable ┘   └ Source::read
//! ```
//!
//! A caller drives it in four ways, in any order:
//!
//! - *Input.* It passes the bytes of the link to [`Session::handle_input`], again and again until that returns no
//!   event, and acts on each event at once. Nothing is ever left in the input, except on a wire without windows (see
//!   [`Session::stalled_by`]); so reading never waits for writing.
//! - *Output.* While [`Session::wants_transmit`], it calls [`Session::poll_transmit`] whenever the link can take bytes,
//!   writes [`Session::slices`] with one writev(2), and tells [`Session::handle_written`] how much was taken. Only
//!   now the session reads the local sides, through
//!   [`Source`](super::event::Source): what the link cannot take stays in their sockets.
//! - *Time.* It calls [`Session::handle_timeout`] when [`Session::poll_timeout`] is over. It should have handled the
//!   input that is there first, because that is a sign of life.
//! - *Streams.* [`Session::open`], [`Session::accept`], [`Session::reset`]; [`Session::readable`] when a local side may
//!   have bytes, and [`Session::consumed`] when it has taken some.
//!
//! An error ends the session: then the caller writes what [`Session::poll_transmit`] still offers, the reason for the
//! peer, as far as the link takes it at once, closes the link, and tells each stream of
//! [`Session::handle_lost_link`] its fate.
//!
//! ```text
//!   Open ──── go_away ────▶ Leaving: no new streams, from either end
//!    │                        │
//!    ├────────────────────────┴── protocol error ──▶ Failed: the reason is all that is still sent
//!    │                        │                         │
//!    └────────────────────────┴── link lost, silence ───┴───────▶ Closed
//! ```

mod input;
mod output;

use std::time::{Duration, Instant};

use crate::tunnel::batch::Batch;
use crate::tunnel::control::Control;
use crate::tunnel::event::{LinkError, OpenError};
use crate::tunnel::frame::Reason;
use crate::tunnel::keepalive::{Due, Keepalive};
use crate::tunnel::key::StreamKey;
use crate::tunnel::limits::SessionLimits;
use crate::tunnel::rate::LinkRate;
use crate::tunnel::scheduler::Scheduler;
use crate::tunnel::session::input::Inbox;
use crate::tunnel::stream::{Beginning, Fate, Stream, StreamFacts};
use crate::tunnel::streams::Streams;
use crate::tunnel::window::Budget;
use crate::tunnel::wire::Wire;

/// How often the windows of idle streams are looked at, if any has grown.
const REST_INTERVAL: Duration = Duration::from_secs(10);

/// How often the round trip is measured at most while people look at it.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// The state of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Streams may be opened.
    Open,
    /// This end opens and takes no streams any more; those that are open go on.
    Leaving,
    /// The peer has broken the protocol, and is told so.
    Failed,
    /// The link is lost.
    Closed,
}

/// One end of a link.
#[derive(Debug)]
pub struct Session<W> {
    wire: W,
    limits: SessionLimits,
    state: State,
    /// Whether the peer takes no new streams.
    peer_leaves: bool,
    /// The number of streams that this end has opened.
    opened: u32,
    streams: Streams,
    inbox: Inbox,
    outbox: Outbox,
    windows: Windows,
    keepalive: Keepalive,
}

/// What waits for the link.
#[derive(Debug)]
struct Outbox {
    control: Control,
    scheduler: Scheduler,
    batch: Batch,
    rate: LinkRate,
}

/// What the windows of all streams share.
#[derive(Debug)]
struct Windows {
    budget: Budget,
    /// When those of idle streams are looked at next.
    rest_at: Instant,
}

impl<W: Wire> Session<W> {
    /// Creates one end of a link on which nothing was sent yet.
    #[must_use]
    pub fn new(wire: W, limits: SessionLimits, now: Instant) -> Self {
        let (bytes, max_window) = if W::HAS_WINDOWS {
            (limits.window_budget, limits.max_window)
        } else {
            // The window is only a bound for what is held, and a larger one would let more bytes stall.
            (0, W::INITIAL_WINDOW)
        };
        let keepalive = limits.keepalive.filter(|_| W::HAS_PINGS);
        Self {
            wire,
            state: State::Open,
            peer_leaves: false,
            opened: 0,
            streams: Streams::default(),
            inbox: Inbox::default(),
            outbox: Outbox {
                control: Control::default(),
                scheduler: Scheduler::default(),
                batch: Batch::new(limits.batch),
                rate: LinkRate::new(now),
            },
            windows: Windows {
                budget: Budget::new(bytes, max_window),
                rest_at: now + REST_INTERVAL,
            },
            keepalive: Keepalive::new(keepalive, now),
            limits,
        }
    }

    /// Returns the state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Returns the number of streams.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Returns what is seen of a stream from outside, unless it has ended.
    #[must_use]
    pub fn facts(&self, key: StreamKey) -> Option<StreamFacts> {
        self.streams.get(key).map(Stream::facts)
    }

    /// Returns how many bytes of frames wait until the link takes them.
    #[must_use]
    pub fn planned(&self) -> usize {
        self.outbox.batch.pending()
    }

    /// Returns how many of them are in frames with payload of one stream.
    #[must_use]
    pub fn planned_of(&self, key: StreamKey) -> usize {
        self.outbox.batch.pending_of(key)
    }

    /// Returns the shortest time that a ping has taken in the last ten seconds, or the last one if there was none since,
    /// for people to look at; nothing depends on it.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.keepalive.round_trip()
    }

    /// Returns how many bytes should wait unsent in the kernel at most, because they delay everything that comes later:
    /// a value for TCP_NOTSENT_LOWAT that follows the rate of the link.
    #[must_use]
    pub fn unsent_bound(&self) -> usize {
        self.outbox.rate.unsent_bound()
    }

    /// Opens a stream. It may send at once: nothing waits until the peer has accepted it.
    ///
    /// # Errors
    ///
    /// Fails if no stream can be opened over this link now, or ever again.
    pub fn open(&mut self) -> Result<StreamKey, OpenError> {
        match self.state {
            State::Open if self.peer_leaves => return Err(OpenError::Leaving),
            State::Open => {}
            State::Leaving => return Err(OpenError::Leaving),
            State::Failed | State::Closed => return Err(OpenError::Lost),
        }
        if self.streams.len() >= self.limits.max_streams {
            return Err(OpenError::TooMany);
        }
        // Counted up and never back: a number is used once.
        let id = self.wire.number(self.opened).ok_or(OpenError::NoNumber)?;
        self.opened += 1;
        let stream = Stream::new(id, Beginning::OpenOwed, W::INITIAL_WINDOW);
        let key = self.streams.insert(stream);
        self.outbox.control.list(key);
        Ok(key)
    }

    /// Accepts a stream of the peer, because its local side is there.
    pub fn accept(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get_mut(key)
            && stream.beginning == Beginning::AcceptOwed
        {
            self.outbox.control.list(key);
        }
    }

    /// Gives a stream up, in both directions; the handle names nothing any more.
    pub fn reset(&mut self, key: StreamKey) {
        let Some(stream) = self.remove(key) else {
            return;
        };
        // The peer has never heard of a stream that waits to be opened.
        if stream.beginning != Beginning::OpenOwed && !stream.is_off_the_link() {
            self.outbox.control.owe_reset(stream.id);
        }
    }

    /// Notes that the local side of a stream may have bytes, or its end.
    pub fn readable(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.is_readable = true;
            if stream.may_send() {
                self.outbox.scheduler.wake(key);
            }
        }
    }

    /// Notes that the local side of a stream has taken bytes of [`Event::Payload`](super::event::Event::Payload).
    ///
    /// # Panics
    ///
    /// Panics if there were not so many.
    pub fn consumed(&mut self, key: StreamKey, bytes: u32, now: Instant) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if stream.consume(bytes, now, &mut self.windows.budget) && W::HAS_WINDOWS {
            self.outbox.control.list(key);
        }
        self.remove_if_over(key);
    }

    /// Asks the peer for a sign of life now, if the wire has a word for it.
    pub fn ping(&mut self, now: Instant) {
        if W::HAS_PINGS && matches!(self.state, State::Open | State::Leaving) {
            let value = self.keepalive.ask(now);
            self.outbox.control.owe_ping(value);
        }
    }

    /// Measures the round trip, if the last ping was a second ago or more, because people look at it now.
    pub fn ask_round_trip(&mut self, now: Instant) {
        let last = self.keepalive.asked_at();
        if last.is_none_or(|at| now >= at + ASK_INTERVAL) {
            self.ping(now);
        }
    }

    /// Announces that this end opens and takes no streams any more. Those that are open go on.
    pub fn go_away(&mut self) {
        if self.state == State::Open {
            self.state = State::Leaving;
            self.outbox.control.owe_go_away(Reason::Normal);
        }
    }

    /// Returns whether a link that is left by one of its ends has nothing to carry any more, so that it can be closed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let is_left = self.state != State::Open || self.peer_leaves;
        is_left && self.streams.len() == 0 && !self.wants_transmit()
    }

    /// Returns when [`Session::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let rest = self
            .windows
            .budget
            .is_used()
            .then_some(self.windows.rest_at);
        match self.state {
            State::Open | State::Leaving => [self.keepalive.deadline(), rest]
                .into_iter()
                .flatten()
                .min(),
            State::Failed | State::Closed => None,
        }
    }

    /// Does what is due.
    ///
    /// # Errors
    ///
    /// Fails if the peer was silent for too long.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), LinkError> {
        if matches!(self.state, State::Failed | State::Closed) {
            return Ok(());
        }
        if now >= self.windows.rest_at {
            self.windows.rest_at = now + REST_INTERVAL;
            for stream in self.streams.iter_mut() {
                stream.receive.rest(now, &mut self.windows.budget);
            }
        }
        match self.keepalive.check(now) {
            Due::Nothing => Ok(()),
            Due::Ping(value) => {
                self.outbox.control.owe_ping(value);
                Ok(())
            }
            Due::Death => {
                self.state = State::Closed;
                Err(LinkError::Silent(self.limits.keepalive.unwrap_or_default()))
            }
        }
    }

    /// Ends the session because its link is lost, and returns what that means for each stream.
    pub fn handle_lost_link(&mut self) -> Vec<(StreamKey, Fate)> {
        self.state = State::Closed;
        let fates: Vec<_> = self
            .streams
            .iter()
            .map(|(key, stream)| (key, stream.fate()))
            .collect();
        for &(key, _) in &fates {
            self.remove(key);
        }
        fates
    }

    /// Removes a stream and everything that belongs to it.
    fn remove(&mut self, key: StreamKey) -> Option<Stream> {
        let mut stream = self.streams.remove(key)?;
        self.outbox.scheduler.remove(key);
        self.outbox.batch.discard(key);
        stream.receive.close(&mut self.windows.budget);
        Some(stream)
    }

    fn remove_if_over(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get(key) else {
            return;
        };
        if stream.is_over() {
            self.remove(key);
        } else if stream.is_off_the_link() {
            // The original multiplex uses a number again after both ends, however slow our reader is.
            self.streams.free_number(key);
        }
    }

    /// Checks the invariants of the session.
    ///
    /// # Panics
    ///
    /// Panics if one is broken, which is a bug of ours.
    pub fn check_invariants(&self) {
        self.outbox.scheduler.check_invariants();
        for (key, stream) in self.streams.iter() {
            stream.receive.check_invariants();
            assert!(!stream.is_over(), "{key:?} is over and still here");
        }
        assert!(self.streams.len() <= self.limits.max_streams);
    }
}

#[cfg(test)]
mod tests;
