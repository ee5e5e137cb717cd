//! Whether the peer is still there.
//!
//! ```text
//!             silent for half of the time: a ping        silent for the other half
//!   Quiet ───────────────────────────────────▶ Probing ───────────────────────────▶ dead
//!     ▲                                           │
//!     └────────── anything was heard ─────────────┘
//! ```
//!
//! The second half begins with the ping, and not with the silence: a process that was stopped for an hour must not
//! take its own sleep for the peer's.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Quiet,
    Probing,
}

/// What a deadline of the keepalive means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It has not passed.
    Nothing,
    /// A ping with this value has to be sent.
    Ping(u32),
    /// The peer is dead.
    Death,
}

/// The answers to pings of the last [`WINDOW`], of which the shortest says most about the link: the others have waited
/// behind payload.
#[derive(Clone, Debug, Default)]
struct RoundTrip {
    answers: VecDeque<(Instant, Duration)>,
}

/// How long an answer counts, and how many do at most.
const WINDOW: Duration = Duration::from_secs(10);
const MAX_ANSWERS: usize = 32;

impl RoundTrip {
    fn add(&mut self, time: Duration, now: Instant) {
        let is_old = |&(at, _): &(Instant, Duration)| now.saturating_duration_since(at) > WINDOW;
        while self.answers.front().is_some_and(is_old) || self.answers.len() >= MAX_ANSWERS {
            self.answers.pop_front();
        }
        self.answers.push_back((now, time));
    }

    fn shortest(&self) -> Option<Duration> {
        self.answers.iter().map(|&(_, time)| time).min()
    }
}

/// The silence of a peer.
#[derive(Clone, Debug)]
pub(super) struct Keepalive {
    /// How long the peer may be silent; `None` for any time.
    time: Option<Duration>,
    state: State,
    /// When the state has begun, or when the peer was last heard.
    since: Instant,
    /// The last ping, until it is answered: its value, and when it was due.
    ping: Option<(u32, Instant)>,
    /// The number of pings, which is the value of the next one.
    pings: u32,
    /// When the last one was due.
    asked_at: Option<Instant>,
    round_trip: RoundTrip,
}

impl Keepalive {
    /// Creates the keepalive of a link that is new.
    pub(super) fn new(time: Option<Duration>, now: Instant) -> Self {
        Self {
            time,
            state: State::Quiet,
            since: now,
            ping: None,
            pings: 0,
            asked_at: None,
            round_trip: RoundTrip::default(),
        }
    }

    /// Returns when [`Keepalive::check`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.time.map(|time| self.since + time / 2)
    }

    /// Returns how long a ping has taken, at least (see [`RoundTrip`]).
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip.shortest()
    }

    /// Notes that the peer has sent something.
    pub(super) fn heard(&mut self, now: Instant) {
        self.state = State::Quiet;
        self.since = now;
    }

    /// Notes that the peer has answered a ping. An answer to another one says only that it is there.
    pub(super) fn answered(&mut self, value: u32, now: Instant) {
        if let Some((_, begin)) = self.ping.take_if(|(last, _)| *last == value) {
            self.round_trip
                .add(now.saturating_duration_since(begin), now);
        }
    }

    /// Returns when the last ping was due, if there was any.
    pub(super) fn asked_at(&self) -> Option<Instant> {
        self.asked_at
    }

    /// Returns the value of a new ping; the one before it is forgotten.
    pub(super) fn ask(&mut self, now: Instant) -> u32 {
        let value = self.pings;
        self.pings = value.wrapping_add(1);
        self.ping = Some((value, now));
        self.asked_at = Some(now);
        value
    }

    /// Returns what is due.
    pub(super) fn check(&mut self, now: Instant) -> Due {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Due::Nothing;
        }
        match self.state {
            State::Quiet => {
                self.state = State::Probing;
                self.since = now;
                Due::Ping(self.ask(now))
            }
            State::Probing => Due::Death,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Duration = Duration::from_secs(15);

    fn keepalive(now: Instant) -> Keepalive {
        Keepalive::new(Some(2 * HALF), now)
    }

    #[test]
    fn a_silent_peer_is_asked_and_then_dead() {
        let now = Instant::now();
        let mut keepalive = keepalive(now);
        assert_eq!(keepalive.check(now + HALF / 2), Due::Nothing);
        assert_eq!(keepalive.check(now + HALF), Due::Ping(0));
        assert_eq!(keepalive.check(now + HALF), Due::Nothing);
        assert_eq!(keepalive.deadline(), Some(now + 2 * HALF));
        assert_eq!(keepalive.check(now + 2 * HALF), Due::Death);
    }

    #[test]
    fn whatever_is_heard_is_a_sign_of_life() {
        let now = Instant::now();
        let mut keepalive = keepalive(now);
        assert_eq!(keepalive.check(now + HALF), Due::Ping(0));
        keepalive.heard(now + HALF * 3 / 2);
        assert_eq!(keepalive.check(now + 2 * HALF), Due::Nothing);
        assert_eq!(keepalive.check(now + 3 * HALF), Due::Ping(1));
        keepalive.answered(0, now + 3 * HALF);
        assert_eq!(keepalive.round_trip(), None, "the answer to an older ping");
        keepalive.answered(1, now + HALF * 10 / 3);
        assert_eq!(keepalive.round_trip(), Some(HALF / 3));
    }

    #[test]
    fn a_process_that_was_stopped_asks_before_it_gives_up() {
        let now = Instant::now();
        let mut keepalive = keepalive(now);
        assert_eq!(keepalive.check(now + 100 * HALF), Due::Ping(0));
        assert_eq!(keepalive.check(now + 100 * HALF), Due::Nothing);
        assert_eq!(keepalive.deadline(), Some(now + 101 * HALF));
    }

    #[test]
    fn the_shortest_answer_of_ten_seconds_counts() {
        let now = Instant::now();
        let mut round_trip = RoundTrip::default();
        let (short, long) = (Duration::from_millis(3), Duration::from_millis(40));
        round_trip.add(short, now);
        round_trip.add(long, now + WINDOW);
        assert_eq!(round_trip.shortest(), Some(short));
        round_trip.add(2 * long, now + WINDOW + short);
        assert_eq!(round_trip.shortest(), Some(long), "the first is too old");
        for answer in 0..1000 {
            round_trip.add(long * (answer + 2), now + WINDOW + short);
        }
        assert_eq!(round_trip.answers.len(), MAX_ANSWERS);
        assert!(round_trip.shortest() > Some(long), "pushed out");
    }

    #[test]
    fn without_a_time_nothing_is_ever_due() {
        let now = Instant::now();
        let mut keepalive = Keepalive::new(None, now);
        assert_eq!(keepalive.deadline(), None);
        assert_eq!(keepalive.check(now + 1000 * HALF), Due::Nothing);
    }
}
