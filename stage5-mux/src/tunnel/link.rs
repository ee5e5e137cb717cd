//! The link as a connection that comes and goes.
//!
//! ```text
//!                 the pause is over         an address            connected
//!   connecting:  Down ───────────▶ Resolving ─────────▶ Connecting ────────▶ Proving ──────▶ Up
//!                 ▲                    │                    │                   │            │
//!                 └────────────────────┴────────────────────┴───────────────────┴────────────┘
//!                   failed, or lost: a pause, twice as long each time until a link was of use
//!
//!   listening:   Down ─────────────────── accepted ────────────────────────▶ Proving ──────▶ Up
//!                 ▲                                                             │            │
//!                 └──────────────────────── lost ───────────────────────────────┴────────────┘
//! ```
//!
//! Without a secret, nothing has to be proved, and the link is up at once.
//!
//! # A new link while there is an old one
//!
//! There is one link at a time. But a peer whose cable was cut comes back over a new connection while this end takes the
//! old one for alive, because no FIN has come. So the [`Newcomer`] waits while the old link has to give a sign of life,
//! for [`PROBE`] at most:
//!
//! - on a wire with pings, the old peer gets one. Any byte of it refuses the newcomer; if none comes, the old link is
//!   given up and the newcomer takes its place;
//! - on another wire, the kernel is told to look for the peer (keepalive probes of TCP). If it finds that the old link
//!   is broken, the newcomer takes its place; otherwise it is refused.
//!
//! Only one waits, the newest: an older one would be of a peer that has tried again since.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

use mio::event::Event;
use stage4_proxy::resolve::Ticket;
use stage4_proxy::token::Token;

use crate::endpoint::Endpoint;
use crate::tunnel::dial::Dial;
use crate::tunnel::key::StreamKey;
use crate::tunnel::proving::{Prover, Proving};
use crate::tunnel::session::Session;
use crate::tunnel::transport::Carrier;
use crate::tunnel::wire::Wire;

/// The pause after the first failure, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long a link may be silent while another one waits for its place.
pub(super) const PROBE: Duration = Duration::from_secs(3);

/// The state of the link.
#[derive(Debug)]
pub(super) enum State<W> {
    /// There is none; `retry_at` is when to try again, unless this end waits for the other.
    Down { retry_at: Option<Instant> },
    /// The name of the other end is looked up.
    Resolving { _ticket: Ticket },
    /// A connect(2) is in progress.
    Connecting { dial: Dial, endpoint: Endpoint },
    /// Both ends prove that they know the secret.
    Proving(Proving),
    /// It carries streams.
    Up(Box<Up<W>>),
}

impl<W> State<W> {
    /// Returns the name that people see.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Down { .. } => "down",
            Self::Resolving { .. } => "resolving",
            Self::Connecting { .. } => "connecting",
            Self::Proving(_) => "proving",
            Self::Up(_) => "up",
        }
    }
}

/// A link that carries streams.
#[derive(Debug)]
pub(super) struct Up<W> {
    pub(super) carrier: Box<dyn Carrier>,
    pub(super) session: Session<W>,
    /// Input that the session has left, because a stream stalls the link.
    pub(super) carry: Vec<u8>,
    /// What the kernel was told to keep unsent at most.
    pub(super) unsent_bound: usize,
    /// Whether the peer has sent anything.
    pub(super) was_heard: bool,
    /// The stream that holds up all others, and since when it has taken nothing.
    pub(super) stall: Option<(StreamKey, Instant)>,
}

impl<W: Wire> Up<W> {
    /// Notes whether a stream holds up the link, after input was taken as far as possible.
    pub(super) fn note_stall(&mut self, now: Instant) {
        let stalled_by = self.session.stalled_by();
        self.stall = stalled_by.map(|key| match self.stall {
            Some((known, since)) if known == key => (key, since),
            Some(_) | None => (key, now),
        });
    }
}

/// What people want to know about the link.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// Since when it is up, or down.
    pub(super) since: Instant,
    /// How often it was made.
    pub(super) made: u64,
    /// Why it was lost, or not made.
    pub(super) last_reason: Option<String>,
}

impl History {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            made: 0,
            last_reason: None,
        }
    }

    /// Notes that the link is up.
    pub(super) fn made(&mut self, now: Instant) {
        self.since = now;
        self.made += 1;
    }

    /// Notes why the link is down.
    pub(super) fn lost(&mut self, was_up: bool, reason: String, now: Instant) {
        self.last_reason = Some(reason);
        if was_up {
            self.since = now;
        }
    }
}

/// A connection that waits until the old link has proved to be dead, or alive.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) endpoint: Endpoint,
    /// When the old link was silent for too long.
    pub(super) until: Instant,
}

/// The link.
#[derive(Debug)]
pub(super) struct Link<W> {
    pub(super) state: State<W>,
    pub(super) history: History,
    /// The token of the newest socket, or of the question for the name.
    pub(super) token: Token,
    /// A connection that may take the place of the link.
    pub(super) newcomer: Option<Newcomer>,
    /// Proves that this end knows the secret, if there is one.
    pub(super) prover: Option<Prover>,
    /// How long a stream may hold up all others, on a wire without windows.
    pub(super) stall_limit: Option<Duration>,
    generation: u32,
    pause: Duration,
}

impl<W: Wire> Link<W> {
    /// Creates a link that is down, and is tried at `retry_at`.
    pub(super) fn new(
        retry_at: Option<Instant>,
        prover: Option<Prover>,
        stall_limit: Option<Duration>,
    ) -> Self {
        Self {
            state: State::Down { retry_at },
            history: History::new(Instant::now()),
            token: Token::link(0),
            newcomer: None,
            prover,
            stall_limit,
            generation: 0,
            pause: FIRST_PAUSE,
        }
    }

    /// Returns the link if it carries streams, to be shown.
    pub(super) fn carrying(&self) -> Option<&Up<W>> {
        match &self.state {
            State::Up(up) => Some(up),
            State::Down { .. }
            | State::Resolving { .. }
            | State::Connecting { .. }
            | State::Proving(_) => None,
        }
    }

    /// Returns whether it has work that no event will announce.
    pub(super) fn has_work(&mut self) -> bool {
        let Some(up) = self.up() else {
            return false;
        };
        let is_stalled = up.session.stalled_by().is_some();
        let has_input = up.carrier.is_readable() || !up.carry.is_empty();
        let has_output = up.carrier.is_writable() && up.session.wants_transmit();
        has_input && !is_stalled || has_output
    }

    /// Mints a token; the ones before it are stale.
    pub(super) fn mint(&mut self) -> Token {
        self.generation = self.generation.wrapping_add(1);
        self.token = Token::link(self.generation);
        self.token
    }

    /// Returns the link if it carries streams.
    pub(super) fn up(&mut self) -> Option<&mut Up<W>> {
        match &mut self.state {
            State::Up(up) => Some(up),
            State::Down { .. }
            | State::Resolving { .. }
            | State::Connecting { .. }
            | State::Proving(_) => None,
        }
    }

    /// Returns whether the first link is on its way, so that clients should wait until it is up, or has failed. After
    /// that they fail at once, because an attempt may take as long as a connect(2) into a network that answers nothing.
    pub(super) fn is_in_the_making(&self) -> bool {
        match &self.state {
            State::Resolving { .. } | State::Connecting { .. } | State::Proving(_) => {
                self.pause == FIRST_PAUSE
            }
            State::Down { .. } | State::Up(_) => false,
        }
    }

    /// Gives an event to the connection, made or in the making.
    pub(super) fn note(&mut self, event: &Event) {
        match &mut self.state {
            State::Up(up) => up.carrier.note(event),
            State::Connecting { endpoint, .. } => endpoint.note(event),
            State::Proving(proving) => proving.carrier.note(event),
            State::Down { .. } | State::Resolving { .. } => {}
        }
    }

    /// Returns when there is something to do without an event.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Down { retry_at } => *retry_at,
            State::Resolving { .. } => None,
            State::Connecting { dial, .. } => Some(dial.until()),
            State::Proving(proving) => Some(proving.until),
            State::Up(up) => {
                let newcomer = self.newcomer.as_ref().map(|newcomer| newcomer.until);
                let deadlines = [up.session.poll_timeout(), newcomer, self.stall_deadline(up)];
                deadlines.into_iter().flatten().min()
            }
        }
    }

    fn stall_deadline(&self, up: &Up<W>) -> Option<Instant> {
        let (_, since) = up.stall?;
        Some(since + self.stall_limit?)
    }

    /// Takes the stream that has held up all others for too long.
    pub(super) fn take_stall(&mut self, now: Instant) -> Option<StreamKey> {
        let limit = self.stall_limit?;
        let stall = &mut self.up()?.stall;
        let (key, _) = stall.take_if(|(_, since)| now >= *since + limit)?;
        Some(key)
    }

    /// Notes that the peer has sent something: the next pause is short, and no newcomer is needed. Returns a newcomer
    /// that has waited.
    pub(super) fn was_of_use(&mut self) -> Option<Newcomer> {
        self.pause = FIRST_PAUSE;
        self.newcomer.take()
    }

    /// Returns how long to wait before the next attempt: twice as long each time, and by chance up to a half less, so
    /// that many clients of one server do not come back at the same moment.
    pub(super) fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (2 * pause).min(LONGEST_PAUSE);
        let chance = RandomState::new().build_hasher().finish() % 512;
        pause - pause.mul_f64(f64::from(u16::try_from(chance).unwrap_or(0)) / 1024.0)
    }
}
