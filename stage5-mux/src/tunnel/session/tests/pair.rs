//! Two ends in memory: local sides that check every byte, and a link with a rate, a delay and a buffer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::tunnel::event::{Event, LinkError, Pulled, Source};
use crate::tunnel::key::StreamKey;
use crate::tunnel::limits::SessionLimits;
use crate::tunnel::multiplex::Multiplex;
use crate::tunnel::role::{Opener, Role};
use crate::tunnel::session::Session;
use crate::tunnel::wire::Wire;
use crate::tunnel::yamux::Yamux;

/// The length after which the content repeats: a prime, so that no frame or window divides it.
const PERIOD: usize = 65_521;

/// Returns bytes that look random, twice in a row.
fn content() -> &'static [u8] {
    static CONTENT: OnceLock<Vec<u8>> = OnceLock::new();
    CONTENT.get_or_init(|| {
        let mut state = 1_u32;
        let mut bytes: Vec<u8> = (0..PERIOD)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect();
        bytes.extend_from_within(..);
        bytes
    })
}

/// Returns at most `length` bytes of the content of one direction of a stream.
pub(super) fn content_at(seed: u64, offset: u64, length: usize) -> &'static [u8] {
    let start = usize::try_from((seed * 7919 + offset) % PERIOD as u64).unwrap();
    &content()[start..start + length.min(PERIOD)]
}

/// Which stream it is, seen from no end: its number, and whether the client has opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    pub(super) number: u32,
    pub(super) by_client: bool,
}

/// The local side of a stream.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) name: Name,
    /// The seeds of what it sends and gets.
    seeds: (u64, u64),
    /// How much it wants to send, and how much of it the session has read.
    pub(super) wanted: u64,
    pub(super) sent: u64,
    pub(super) finishes: bool,
    /// Whether the session has read the end.
    pub(super) has_ended: bool,
    pub(super) received: u64,
    /// Received and not consumed.
    pub(super) held: u32,
    /// Whether it consumes at once.
    pub(super) reads: bool,
    pub(super) got_end: bool,
    pub(super) got_reset: bool,
    /// Whether this end has given it up.
    pub(super) gave_up: bool,
}

impl Side {
    /// Expects its own content back.
    pub(super) fn mirror(&mut self) {
        self.seeds.1 = self.seeds.0;
    }

    /// Returns whether one of the ends has given the stream up, as far as this one knows.
    pub(super) fn is_given_up(&self) -> bool {
        self.gave_up || self.got_reset
    }
}

/// The local sides of one end, ended streams included.
#[derive(Debug, Default)]
pub(super) struct Sides(pub(super) BTreeMap<StreamKey, Side>);

impl Source for Sides {
    fn read(&mut self, stream: StreamKey, buffer: &mut [u8]) -> Pulled {
        let side = self
            .0
            .get_mut(&stream)
            .expect("only known streams are read");
        assert!(!buffer.is_empty() && !side.has_ended && !side.gave_up && !side.got_reset);
        let length = usize::try_from(side.wanted - side.sent)
            .unwrap()
            .min(buffer.len());
        match length {
            0 if side.finishes => {
                side.has_ended = true;
                Pulled::End
            }
            0 => Pulled::Blocked,
            length => {
                let bytes = content_at(side.seeds.0, side.sent, length);
                buffer[..bytes.len()].copy_from_slice(bytes);
                side.sent += bytes.len() as u64;
                Pulled::Bytes(bytes.len())
            }
        }
    }
}

/// One direction of the link.
#[derive(Debug)]
pub(super) struct Pipe {
    /// Bytes that were written, and when they arrive.
    queue: VecDeque<(Instant, Vec<u8>)>,
    pub(super) delay: Duration,
    /// Bytes in a second; `None` for any number.
    pub(super) rate: Option<u64>,
    /// Bytes that may wait to be sent.
    pub(super) buffer: usize,
    /// When the last byte that was written has left.
    free_at: Instant,
    /// All bytes that were ever written.
    pub(super) carried: u64,
}

impl Pipe {
    fn new(now: Instant) -> Self {
        Self {
            queue: VecDeque::new(),
            delay: Duration::ZERO,
            rate: None,
            buffer: 256 * 1024,
            free_at: now,
            carried: 0,
        }
    }

    /// Returns how many bytes can be written now.
    pub(super) fn room(&self, now: Instant) -> usize {
        let waiting = match self.rate {
            Some(rate) => {
                let time = self.free_at.saturating_duration_since(now);
                usize::try_from(u128::from(rate) * time.as_nanos() / 1_000_000_000).unwrap()
            }
            None => self.queue.iter().map(|(_, bytes)| bytes.len()).sum(),
        };
        self.buffer.saturating_sub(waiting)
    }

    fn write(&mut self, bytes: Vec<u8>, now: Instant) {
        if bytes.is_empty() {
            return;
        }
        self.carried += bytes.len() as u64;
        let time = self.rate.map_or(Duration::ZERO, |rate| {
            Duration::from_nanos(bytes.len() as u64 * 1_000_000_000 / rate)
        });
        self.free_at = self.free_at.max(now) + time;
        self.queue.push_back((self.free_at + self.delay, bytes));
    }

    /// Returns the bytes that have arrived, at most `max`.
    fn read(&mut self, max: usize, now: Instant) -> Vec<u8> {
        let mut read = Vec::new();
        while read.len() < max {
            let Some((_, bytes)) = self.queue.front_mut().filter(|(due, _)| *due <= now) else {
                break;
            };
            let part = bytes.len().min(max - read.len());
            read.extend(bytes.drain(..part));
            if bytes.is_empty() {
                self.queue.pop_front();
            }
        }
        read
    }
}

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
