//! The link as a connection that comes and goes.
//!
//! ```text
//!                 the pause is over         an address            connected
//!   connecting:  Down ───────────▶ Resolving ─────────▶ Connecting ────────▶ Up
//!                 ▲                    │                    │                 │
//!                 └────────────────────┴────────────────────┴─────────────────┘
//!                   failed, or lost: a pause, twice as long each time until a link was of use
//!
//!   listening:   Down ─────────────────── accepted ────────────────────────▶ Up
//!                 ▲                                                           │
//!                 └──────────────────────── lost ─────────────────────────────┘
//! ```

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

use mio::event::Event;
use stage4_proxy::resolve::Ticket;
use stage4_proxy::token::Token;

use crate::endpoint::Endpoint;
use crate::tunnel::dial::Dial;
use crate::tunnel::session::Session;
use crate::tunnel::transport::Carrier;

/// The pause after the first failure, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The state of the link.
#[derive(Debug)]
pub(super) enum State<W> {
    /// There is none; `retry_at` is when to try again, unless this end waits for the other.
    Down { retry_at: Option<Instant> },
    /// The name of the other end is looked up.
    Resolving { _ticket: Ticket },
    /// A connect(2) is in progress.
    Connecting { dial: Dial, endpoint: Endpoint },
    /// It carries streams.
    Up(Box<Up<W>>),
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
}

/// The link.
#[derive(Debug)]
pub(super) struct Link<W> {
    pub(super) state: State<W>,
    /// The token of the newest socket, or of the question for the name.
    pub(super) token: Token,
    generation: u32,
    pause: Duration,
}

impl<W> Link<W> {
    /// Creates a link that is down, and is tried at `retry_at`.
    pub(super) fn new(retry_at: Option<Instant>) -> Self {
        Self {
            state: State::Down { retry_at },
            token: Token::link(0),
            generation: 0,
            pause: FIRST_PAUSE,
        }
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
            State::Down { .. } | State::Resolving { .. } | State::Connecting { .. } => None,
        }
    }

    /// Returns whether the link is on its way: it is up soon, or down again.
    pub(super) fn is_in_the_making(&self) -> bool {
        match &self.state {
            State::Resolving { .. } | State::Connecting { .. } => true,
            State::Down { .. } | State::Up(_) => false,
        }
    }

    /// Gives an event to the connection, made or in the making.
    pub(super) fn note(&mut self, event: &Event) {
        match &mut self.state {
            State::Up(up) => up.carrier.note(event),
            State::Connecting { endpoint, .. } => endpoint.note(event),
            State::Down { .. } | State::Resolving { .. } => {}
        }
    }

    /// Returns when there is something to do without an event.
    pub(super) fn deadline(&self) -> Option<Instant>
    where
        W: crate::tunnel::wire::Wire,
    {
        match &self.state {
            State::Down { retry_at } => *retry_at,
            State::Resolving { .. } => None,
            State::Connecting { dial, .. } => Some(dial.until()),
            State::Up(up) => up.session.poll_timeout(),
        }
    }

    /// Notes that a link was of use, so that the next pause is short.
    pub(super) fn was_of_use(&mut self) {
        self.pause = FIRST_PAUSE;
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
