//! Target: one session between a peer that says anything and local sides that do anything, in any order.
//!
//! ```text
//!   script ─▶ bytes of the peer ─▶ Input ─▶ ┌─────────┐ ─▶ events ─▶ Locals
//!          ─▶ what local sides do ────────▶ │ Session │
//!          ─▶ time, room on the link ─────▶ └─────────┘ ─▶ bytes ──▶ Reader
//!                                                                      │
//!                     Ledger: what both ends have said ◀───────────────┘
//! ```
//!
//! No step panics; the session holds no more than its bounds; every event is one that its stream may have; every
//! frame that goes out is one that the peer may get; an error has its reason in the bytes; each stream has its fate.

mod checks;
mod output;

use std::time::{Duration, Instant};

use stage5_mux::tunnel::event::LinkError;
use stage5_mux::tunnel::frame::{Frame, StreamId, Violation};
use stage5_mux::tunnel::key::StreamKey;
use stage5_mux::tunnel::limits::SessionLimits;
use stage5_mux::tunnel::multiplex::Multiplex;
use stage5_mux::tunnel::reader::Reader;
use stage5_mux::tunnel::role::Role;
use stage5_mux::tunnel::session::Session;
use stage5_mux::tunnel::yamux::Yamux;

use crate::input::{Input, Seen, Step};
use crate::ledger::Ledger;
use crate::locals::{Local, Locals, Then};
use crate::script::Script;
use crate::speak::Speak;

/// The most bytes that one step of a script brings, so that a script of a kilobyte takes milliseconds.
const MAX_BYTES: u32 = 300 * 1024;

/// A session of yamux.
pub(crate) fn yamux(input: &[u8]) {
    Hostile::<Yamux>::play(Script::new(input));
}

/// A session of multiplex.
pub(crate) fn multiplex(input: &[u8]) {
    Hostile::<Multiplex>::play(Script::new(input));
}

/// A session, and everything around it.
#[derive(Debug)]
struct Hostile<W> {
    session: Session<W>,
    limits: SessionLimits,
    wire: W,
    now: Instant,
    input: Input<W>,
    /// Reads what the session sends, as the peer would.
    peer: (W, Reader),
    /// The last frame in each direction.
    arrived: Option<Frame>,
    departed: Option<Frame>,
    locals: Locals,
    ledger: Ledger,
    /// How many streams this end has opened.
    opened: u32,
    failed: bool,
}

impl<W: Speak> Hostile<W> {
    fn play(mut script: Script<'_>) {
        let (mut hostile, longest) = Self::begin(&mut script);
        hostile.input = Input::new(hostile.wire, longest);
        while !script.is_over() && !hostile.failed {
            hostile.act(&mut script);
            hostile.check();
        }
        hostile.end();
    }

    /// Creates the session that the script begins with.
    fn begin(script: &mut Script<'_>) -> (Self, usize) {
        let role = [Role::Client, Role::Server][script.below(2)];
        let other = [Role::Server, Role::Client][usize::from(role == Role::Server)];
        let limits = SessionLimits {
            max_streams: 1 + script.below(8),
            max_window: script.size().min(4 * 1024 * 1024),
            window_budget: u64::from(script.size()),
            keepalive: Some(Duration::from_secs(30)),
            batch: 1 + script.below(256) * 256,
        };
        let longest = [usize::MAX, 1, 7, 300][script.below(4)];
        let (wire, now) = (W::ours(role), Instant::now());
        let hostile = Self {
            session: Session::new(wire, limits.clone(), now),
            wire,
            now,
            input: Input::new(wire, longest),
            peer: (W::ours(other), Reader::default()),
            arrived: None,
            departed: None,
            locals: Locals::default(),
            ledger: Ledger::new::<W>(&limits),
            opened: 0,
            failed: false,
            limits,
        };
        (hostile, longest)
    }

    /// Does the next step of the script.
    fn act(&mut self, script: &mut Script<'_>) {
        match script.below(16) {
            0 | 1 => self.say(script),
            2 => {
                let length = script.below(64);
                self.arrive(script.take(length));
            }
            3 => self.open(),
            4 => self.with(script, |hostile, key| hostile.session.accept(key)),
            5 => self.with(script, Self::reset),
            6 | 7 => self.feed(script, Then::Wait),
            8 => self.feed(script, Then::End),
            9 => self.feed(script, Then::Fail),
            10 => {
                let bytes = script.size();
                self.with(script, |hostile, key| hostile.consume(key, bytes));
            }
            11 => self.with(script, |hostile, key| hostile.consume(key, u32::MAX)),
            12 => self.transmit(script.size() as usize),
            13 => self.transmit(usize::MAX),
            14 => self.pass(Duration::from_millis(script.short().into())),
            _ if script.below(4) == 0 => self.session.go_away(),
            _ => {}
        }
    }

    /// Does something with the stream that the script names, if there is any.
    fn with(&mut self, script: &mut Script<'_>, act: impl FnOnce(&mut Self, StreamKey)) {
        if let Some(key) = self.locals.pick(script.below(16)) {
            act(self, key);
        }
    }

    /// Lets the peer say something, with the bytes that should follow, or not.
    fn say(&mut self, script: &mut Script<'_>) {
        let (mut bytes, length) = W::header(script);
        if length <= MAX_BYTES {
            bytes.resize(bytes.len() + length as usize, b'p');
        }
        self.arrive(&bytes);
    }

    fn arrive(&mut self, bytes: &[u8]) {
        self.input.arrive(bytes);
        self.receive();
    }

    /// Lets the session take what has arrived.
    fn receive(&mut self) {
        while !self.failed {
            match self.input.next(&mut self.session, self.now) {
                Step::Frame(frame) => {
                    self.arrived = Some(frame);
                    self.note(frame);
                }
                Step::Seen(seen) => self.on(seen),
                Step::Failed(error, violation) => self.fail(error, violation),
                Step::Nothing => return,
            }
        }
    }

    fn on(&mut self, seen: Seen) {
        match seen {
            Seen::Opened(key) => self.on_opened(key),
            Seen::Payload(key, bytes) => self.on_payload(key, bytes.len()),
            Seen::Ended(key) => {
                let local = self.locals.rows.get_mut(&key).expect("an end of no stream");
                assert!(
                    !std::mem::replace(&mut local.got_end, true),
                    "an end comes twice"
                );
            }
            Seen::Reset(key) => {
                let local = self.locals.rows.remove(&key).expect("a reset of no stream");
                self.check_reset(local.id);
            }
            Seen::Leaves => {}
        }
        self.forget_ended();
    }

    fn open(&mut self) {
        if let Ok(key) = self.session.open() {
            let id = self
                .wire
                .number(self.opened)
                .expect("there are enough numbers");
            self.opened += 1;
            self.ledger.life(id);
            self.locals.rows.insert(key, Local::new(id));
        }
    }

    fn reset(&mut self, key: StreamKey) {
        let Some(local) = self.locals.rows.remove(&key) else {
            return;
        };
        let life = self.ledger.life(local.id);
        // One that is over on the wire is only forgotten.
        if !(local.got_end && local.has_finished) {
            life.resets_owed += 1;
        }
        self.session.reset(key);
        self.receive();
    }

    fn feed(&mut self, script: &mut Script<'_>, then: Then) {
        let bytes = script.size().min(MAX_BYTES);
        self.with(script, |hostile, key| {
            if let Some(local) = hostile.locals.rows.get_mut(&key) {
                local.feed(bytes, then);
                hostile.session.readable(key);
            }
        });
    }

    fn consume(&mut self, key: StreamKey, bytes: u32) {
        let Some(local) = self.locals.rows.get_mut(&key) else {
            return;
        };
        let bytes = u64::from(bytes).min(local.held);
        local.held -= bytes;
        let bytes = u32::try_from(bytes).expect("no more than 32 bits are held");
        self.session.consumed(key, bytes, self.now);
        self.forget_ended();
        self.receive();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        if let Err(error) = self.session.handle_timeout(self.now) {
            assert!(
                W::HAS_PINGS && matches!(error, LinkError::Silent(_)),
                "{error}"
            );
            self.failed = true;
        }
    }

    /// Returns the stream that the last frame is about.
    fn current(&self) -> Option<StreamId> {
        match self.arrived {
            Some(Frame::Stream { id, .. }) => Some(id),
            _ => None,
        }
    }

    fn fail(&mut self, error: LinkError, violation: Option<Violation>) {
        self.failed = true;
        self.input.clear();
        match error {
            LinkError::Violated(found) => self.check_violation(found, violation),
            LinkError::GivenUp(reason) => assert_eq!(self.arrived, Some(Frame::GoAway(reason))),
            LinkError::Silent(_) => unreachable!("bytes are a sign of life"),
        }
    }
}
