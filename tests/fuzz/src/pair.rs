//! Target: two sessions and the link between them; what goes in comes out, or both ends know that it does not.
//!
//! ```text
//!   script ─▶ sides ─▶ ┌─────────┐ ─── up: bytes, cut anywhere ──▶ ┌─────────┐ ◀─ sides ◀─ script
//!                      │ Session │                                 │ Session │
//!             sides ◀─ └─────────┘ ◀── down ────────────────────── └─────────┘ ─▶ sides
//! ```
//!
//! Local sides send, pause, end and give up in both directions. At the end, the link carries what is left, and
//! everything must be there; or it is lost, and each stream has the fate that its local side has seen.

mod result;
mod side;

use std::time::{Duration, Instant};

use stage5_mux::tunnel::event::LinkError;
use stage5_mux::tunnel::frame::{Frame, Reason, Violation};
use stage5_mux::tunnel::key::StreamKey;
use stage5_mux::tunnel::limits::SessionLimits;
use stage5_mux::tunnel::multiplex::Multiplex;
use stage5_mux::tunnel::role::{Opener, Role};
use stage5_mux::tunnel::session::Session;
use stage5_mux::tunnel::yamux::Yamux;

use crate::content;
use crate::input::{Input, Seen, Step};
use crate::pair::side::{Name, Side, Sides};
use crate::script::Script;
use crate::speak::Speak;

/// The most bytes that one step of a script brings.
const MAX_BYTES: u32 = 300 * 1024;

/// Two sessions of yamux.
pub(crate) fn yamux(input: &[u8]) {
    Pair::<Yamux>::play(Script::new(input));
}

/// Two sessions of multiplex.
pub(crate) fn multiplex(input: &[u8]) {
    Pair::<Multiplex>::play(Script::new(input));
}

/// One end of the link.
#[derive(Debug)]
struct End<W> {
    role: Role,
    wire: W,
    session: Session<W>,
    sides: Sides,
    input: Input<W>,
    /// What has been written to the link and has not arrived.
    output: Vec<u8>,
    opened: u32,
    has_left: bool,
    is_cut_off: bool,
}

/// Both ends.
#[derive(Debug)]
struct Pair<W> {
    ends: [End<W>; 2],
    now: Instant,
}

impl<W: Speak> Pair<W> {
    fn play(mut script: Script<'_>) {
        let mut pair = Self::begin(&mut script);
        let is_lost = script.below(2) == 1;
        while !script.is_over() && !pair.is_cut_off() {
            pair.act(&mut script);
            pair.check();
        }
        if !is_lost {
            pair.calm_down();
        }
        if is_lost || pair.is_cut_off() {
            pair.lose();
        } else {
            pair.check_result();
        }
    }

    fn begin(script: &mut Script<'_>) -> Self {
        let limits = SessionLimits {
            max_streams: 1 + script.below(8),
            max_window: script.size().min(4 * 1024 * 1024),
            window_budget: u64::from(script.size()),
            keepalive: None,
            batch: 1 + script.below(256) * 256,
        };
        let longest = [usize::MAX, 1000, 7, 300][script.below(4)];
        let now = Instant::now();
        let end = |role| {
            let wire = W::ours(role);
            End {
                role,
                wire,
                session: Session::new(wire, limits.clone(), now),
                sides: Sides::default(),
                input: Input::new(wire, longest),
                output: Vec::new(),
                opened: 0,
                has_left: false,
                is_cut_off: false,
            }
        };
        Self {
            ends: [end(Role::Client), end(Role::Server)],
            now,
        }
    }

    /// Does the next step of the script, at one of the ends.
    fn act(&mut self, script: &mut Script<'_>) {
        let choice = script.below(32);
        let now = self.now;
        let end = &mut self.ends[choice & 1];
        match choice >> 1 {
            0 | 1 => end.open(),
            2..=4 => end.feed(script.below(16), script.size().min(MAX_BYTES), false),
            5 => end.feed(script.below(16), 0, true),
            6 => end.give_up(script.below(16)),
            7 => end.pause(script.below(16)),
            8 => end.consume(script.below(16), script.size(), now),
            9 => end.transmit(script.size() as usize, now),
            10 => end.transmit(usize::MAX, now),
            11 => self.deliver(choice & 1, script.size() as usize),
            12 => self.deliver(choice & 1, usize::MAX),
            13 => self.pass(Duration::from_millis(script.short().into())),
            14 if script.below(8) == 0 => end.leave(),
            _ => {}
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for end in &mut self.ends {
            end.session
                .handle_timeout(self.now)
                .expect("there is no keepalive");
        }
    }

    /// Lets bytes that an end has written arrive at the other one, and returns how many.
    fn deliver(&mut self, from: usize, max: usize) {
        let output = &mut self.ends[from].output;
        let length = output.len().min(max);
        let bytes: Vec<u8> = output.drain(..length).collect();
        let to = &mut self.ends[1 - from];
        to.input.arrive(&bytes);
        to.receive(self.now);
    }

    fn is_cut_off(&self) -> bool {
        self.ends.iter().any(|end| end.is_cut_off)
    }

    fn check(&self) {
        self.ends
            .iter()
            .for_each(|end| end.session.check_invariants());
    }
}

impl<W: Speak> End<W> {
    fn name(&self, opener: Opener, number: u32) -> Name {
        Name {
            number,
            by_client: (opener == Opener::Us) == (self.role == Role::Client),
        }
    }

    fn open(&mut self) {
        let Ok(key) = self.session.open() else {
            return;
        };
        let id = self
            .wire
            .number(self.opened)
            .expect("there are enough numbers");
        self.opened += 1;
        self.sides
            .add(key, Side::new(self.name(id.opener, id.number), self.role));
    }

    fn feed(&mut self, place: usize, bytes: u32, finishes: bool) {
        if let Some(key) = self.sides.pick(place) {
            self.sides.of(key).feed(bytes, finishes);
            self.session.readable(key);
        }
    }

    fn give_up(&mut self, place: usize) {
        if let Some(key) = self.sides.pick(place) {
            let side = self.sides.of(key);
            side.gave_up = true;
            side.held = 0;
            self.session.reset(key);
        }
    }

    fn pause(&mut self, place: usize) {
        if let Some(key) = self.sides.pick(place) {
            self.sides.of(key).reads = false;
        }
    }

    fn consume(&mut self, place: usize, bytes: u32, now: Instant) {
        if let Some(key) = self.sides.pick(place) {
            self.consume_of(key, bytes, now);
        }
        self.receive(now);
    }

    fn consume_of(&mut self, key: StreamKey, bytes: u32, now: Instant) {
        let side = self.sides.of(key);
        let bytes = bytes.min(side.held);
        side.held -= bytes;
        self.session.consumed(key, bytes, now);
    }

    fn leave(&mut self) {
        self.has_left = true;
        self.session.go_away();
    }

    fn transmit(&mut self, max: usize, now: Instant) {
        self.session.poll_transmit(&mut self.sides);
        let before = self.output.len();
        for slice in self.session.slices() {
            let room = max - (self.output.len() - before);
            let part = slice.len().min(room);
            self.output.extend_from_slice(&slice[..part]);
        }
        let written = self.output.len() - before;
        self.session.handle_written(written, now);
    }

    /// Lets the session take what has arrived.
    fn receive(&mut self, now: Instant) {
        let mut current = None;
        while !self.is_cut_off {
            match self.input.next(&mut self.session, now) {
                Step::Frame(frame) => current = Some(frame),
                Step::Seen(Seen::Opened(key)) => self.on_opened(key, current),
                Step::Seen(Seen::Payload(key, bytes)) => self.on_payload(key, &bytes, now),
                Step::Seen(Seen::Ended(key)) => self.sides.of(key).end(),
                Step::Seen(Seen::Reset(key)) => self.sides.of(key).reset(),
                Step::Seen(Seen::Leaves) => {}
                Step::Failed(error, _) => return self.fail(error),
                Step::Nothing => return,
            }
        }
    }

    /// One thing may be too much for an end, although the other one breaks no rule: streams that are opened and given up,
    /// while the refusals of many of them wait for the link.
    fn fail(&mut self, error: LinkError) {
        let expected = [
            LinkError::Violated(Violation::TooManyRefused),
            LinkError::GivenUp(Reason::ProtocolError),
        ];
        assert!(
            expected.contains(&error),
            "neither end breaks the protocol: {error}"
        );
        self.is_cut_off = true;
        self.input.clear();
    }

    fn on_opened(&mut self, key: StreamKey, frame: Option<Frame>) {
        let Some(Frame::Stream { id, .. }) = frame else {
            panic!("no frame opens it");
        };
        self.sides
            .add(key, Side::new(self.name(id.opener, id.number), self.role));
        self.session.accept(key);
    }

    fn on_payload(&mut self, key: StreamKey, bytes: &[u8], now: Instant) {
        let side = self.sides.of(key);
        content::check(side.seeds.1, side.received, bytes);
        side.take(bytes.len());
        if side.reads {
            self.consume_of(key, u32::MAX, now);
        }
    }
}
