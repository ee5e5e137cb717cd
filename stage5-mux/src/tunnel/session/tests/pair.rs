//! Two ends in memory: their local sides, and a simulated link between them.

use std::time::{Duration, Instant};

use super::pipe::Pipe;
use super::sides::{Name, PERIOD, Side, Sides, content_at};
use crate::tunnel::event::{Event, LinkError};
use crate::tunnel::key::StreamKey;
use crate::tunnel::limits::SessionLimits;
use crate::tunnel::multiplex::Multiplex;
use crate::tunnel::role::{Opener, Role};
use crate::tunnel::session::Session;
use crate::tunnel::wire::Wire;
use crate::tunnel::yamux::Yamux;

/// One end of the link, with its local sides.
#[derive(Debug)]
pub(super) struct End<W> {
    pub(super) session: Session<W>,
    pub(super) sides: Sides,
    is_client: bool,
    /// The seed of what the peer sends on its streams, if that does not follow from their names.
    pub(super) peer_seed: Option<u64>,
    /// What the session has left in its input.
    pub(super) input: Vec<u8>,
    /// Whether new streams read at once.
    pub(super) reads: bool,
    pub(super) error: Option<LinkError>,
    pub(super) left_by_peer: bool,
}

impl<W: Wire> End<W> {
    pub(super) fn new(wire: W, role: Role, limits: SessionLimits, now: Instant) -> Self {
        Self {
            session: Session::new(wire, limits, now),
            sides: Sides::default(),
            is_client: role == Role::Client,
            peer_seed: None,
            input: Vec::new(),
            reads: true,
            error: None,
            left_by_peer: false,
        }
    }

    pub(super) fn open(&mut self) -> StreamKey {
        let key = self.session.open().unwrap();
        self.add_side(key);
        key
    }

    pub(super) fn side(&mut self, key: StreamKey) -> &mut Side {
        self.sides.0.get_mut(&key).unwrap()
    }

    fn add_side(&mut self, key: StreamKey) {
        let id = self.session.streams.get(key).unwrap().id;
        let name = Name {
            number: id.number,
            by_client: (id.opener == Opener::Us) == self.is_client,
        };
        let seed = |from_client| {
            u64::from(name.number) * 4 + u64::from(name.by_client) * 2 + u64::from(from_client)
        };
        let side = Side {
            name,
            seeds: (
                seed(self.is_client),
                self.peer_seed.unwrap_or_else(|| seed(!self.is_client)),
            ),
            wanted: 0,
            sent: 0,
            finishes: false,
            has_ended: false,
            received: 0,
            held: 0,
            reads: self.reads,
            got_end: false,
            got_reset: false,
            gave_up: false,
        };
        assert!(
            self.sides.0.insert(key, side).is_none(),
            "a handle was used twice"
        );
    }

    /// Lets a local side send bytes.
    pub(super) fn feed(&mut self, key: StreamKey, bytes: u64, finishes: bool) {
        let side = self.side(key);
        side.wanted += bytes;
        side.finishes |= finishes;
        self.session.readable(key);
    }

    /// Lets all local sides send back what they get, which is the content with a seed.
    pub(super) fn send_back(&mut self, seed: u64) {
        let keys: Vec<_> = self.sides.0.keys().copied().collect();
        for key in keys {
            let side = self.side(key);
            side.seeds.0 = seed;
            let bytes = side.received - side.wanted;
            let ends = side.got_end;
            self.feed(key, bytes, ends);
        }
    }

    /// Lets a local side consume bytes that are held.
    pub(super) fn consume(&mut self, key: StreamKey, bytes: u32, now: Instant) {
        let side = self.side(key);
        let bytes = bytes.min(side.held);
        side.held -= bytes;
        self.session.consumed(key, bytes, now);
    }

    pub(super) fn give_up(&mut self, key: StreamKey) {
        let side = self.side(key);
        side.gave_up = true;
        side.held = 0;
        self.session.reset(key);
    }

    /// Passes bytes of the link to the session.
    pub(super) fn receive(&mut self, bytes: &[u8], now: Instant) {
        let mut all = std::mem::take(&mut self.input);
        all.extend(bytes);
        let mut rest = &all[..];
        loop {
            match self.session.handle_input(&mut rest, now) {
                Ok(Some(event)) => self.on(event, now),
                Ok(None) => break,
                Err(error) => self.error = Some(error),
            }
        }
        self.input = rest.to_vec();
        assert!(self.input.is_empty() || self.session.stalled_by().is_some());
        self.session.check_invariants();
    }

    fn on(&mut self, event: Event<'_>, now: Instant) {
        match event {
            Event::Opened(key) => {
                self.add_side(key);
                self.session.accept(key);
            }
            Event::Payload { stream, bytes } => self.on_payload(stream, bytes, now),
            Event::Ended(key) => {
                let side = self.side(key);
                assert!(!side.got_end && !side.gave_up && !side.got_reset);
                side.got_end = true;
            }
            Event::Reset(key) => {
                let side = self.side(key);
                side.got_reset = true;
                side.held = 0;
            }
            Event::Leaves => self.left_by_peer = true,
        }
    }

    fn on_payload(&mut self, key: StreamKey, bytes: &[u8], now: Instant) {
        let side = self.side(key);
        assert!(!bytes.is_empty() && !side.got_end && !side.gave_up && !side.got_reset);
        for part in bytes.chunks(PERIOD) {
            let expected = content_at(side.seeds.1, side.received, part.len());
            assert!(
                part == expected,
                "{:?} differs behind byte {}",
                side.name,
                side.received
            );
            side.received += part.len() as u64;
        }
        side.held += u32::try_from(bytes.len()).unwrap();
        if side.reads {
            self.consume(key, u32::MAX, now);
        }
    }

    /// Writes at most `max` bytes to the link.
    pub(super) fn transmit(&mut self, max: usize, now: Instant) -> Vec<u8> {
        if max == 0 || !self.session.poll_transmit(&mut self.sides) {
            return Vec::new();
        }
        let mut bytes = Vec::new();
        for slice in self.session.slices() {
            bytes.extend_from_slice(&slice[..slice.len().min(max - bytes.len())]);
        }
        self.session.handle_written(bytes.len(), now);
        self.session.check_invariants();
        bytes
    }
}

/// Two ends and the link between them.
#[derive(Debug)]
pub(super) struct Pair<W> {
    pub(super) now: Instant,
    pub(super) client: End<W>,
    pub(super) server: End<W>,
    pub(super) up: Pipe,
    pub(super) down: Pipe,
}

pub(super) fn yamux_pair(limits: &SessionLimits) -> Pair<Yamux> {
    Pair::new(Yamux::new, limits)
}

pub(super) fn multiplex_pair(limits: &SessionLimits) -> Pair<Multiplex> {
    Pair::new(|_| Multiplex, limits)
}

impl<W: Wire> Pair<W> {
    fn new(wire: impl Fn(Role) -> W, limits: &SessionLimits) -> Self {
        let now = Instant::now();
        let end = |role| End::new(wire(role), role, limits.clone(), now);
        Self {
            now,
            client: end(Role::Client),
            server: end(Role::Server),
            up: Pipe::new(now),
            down: Pipe::new(now),
        }
    }

    /// Lets the client, or the server, write.
    pub(super) fn transmit(&mut self, from_client: bool, max: usize) -> usize {
        let (end, pipe) = if from_client {
            (&mut self.client, &mut self.up)
        } else {
            (&mut self.server, &mut self.down)
        };
        let bytes = end.transmit(pipe.room(self.now).min(max), self.now);
        let length = bytes.len();
        pipe.write(bytes, self.now);
        length
    }

    /// Lets bytes arrive at the client, or at the server.
    pub(super) fn deliver(&mut self, to_client: bool, max: usize) -> usize {
        let (end, pipe) = if to_client {
            (&mut self.client, &mut self.down)
        } else {
            (&mut self.server, &mut self.up)
        };
        if end.session.stalled_by().is_some() {
            // What was consumed may have made room.
            end.receive(&[], self.now);
            if end.session.stalled_by().is_some() {
                return 0;
            }
        }
        let bytes = pipe.read(max, self.now);
        let length = bytes.len();
        end.receive(&bytes, self.now);
        length
    }

    /// Moves bytes in both directions as far as they go at this moment, and returns how many were moved.
    pub(super) fn settle(&mut self) -> usize {
        let mut all = 0;
        loop {
            let mut moved = 0;
            for end in [true, false] {
                moved += self.transmit(end, usize::MAX);
                moved += self.deliver(!end, 256 * 1024);
            }
            all += moved;
            if moved == 0 {
                return all;
            }
        }
    }

    /// Lets time pass in steps.
    pub(super) fn run(&mut self, time: Duration, step: Duration, mut each: impl FnMut(&mut Self)) {
        let end = self.now + time;
        while self.now < end {
            self.now += step;
            self.settle();
            each(self);
        }
    }
}
