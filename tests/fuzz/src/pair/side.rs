//! The local sides of one end of a pair.

use std::collections::BTreeMap;

use stage5_mux::tunnel::event::{Pulled, Source};
use stage5_mux::tunnel::key::StreamKey;
use stage5_mux::tunnel::role::Role;

use crate::content;

/// Which stream it is, seen from neither end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) number: u32,
    pub(super) by_client: bool,
}

impl Name {
    /// Returns the seed of the bytes that one end sends on the stream.
    fn seed(self, from_client: bool) -> u32 {
        self.number * 4 + u32::from(self.by_client) * 2 + u32::from(from_client)
    }
}

/// One local side; it stays here when its stream has ended.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) name: Name,
    /// The seeds of what it sends and gets.
    pub(super) seeds: (u32, u32),
    pub(super) wanted: u64,
    pub(super) sent: u64,
    pub(super) finishes: bool,
    /// Whether the session has read the end.
    has_ended: bool,
    pub(super) received: u64,
    /// Received and not consumed.
    pub(super) held: u32,
    pub(super) reads: bool,
    pub(super) got_end: bool,
    pub(super) got_reset: bool,
    pub(super) gave_up: bool,
}

impl Side {
    pub(super) fn new(name: Name, role: Role) -> Self {
        let at_client = role == Role::Client;
        Self {
            name,
            seeds: (name.seed(at_client), name.seed(!at_client)),
            wanted: 0,
            sent: 0,
            finishes: false,
            has_ended: false,
            received: 0,
            held: 0,
            reads: true,
            got_end: false,
            got_reset: false,
            gave_up: false,
        }
    }

    pub(super) fn feed(&mut self, bytes: u32, finishes: bool) {
        if !self.finishes {
            self.wanted += u64::from(bytes);
            self.finishes = finishes;
        }
    }

    /// Notes that bytes have come.
    pub(super) fn take(&mut self, bytes: usize) {
        assert!(bytes > 0 && !self.got_end && !self.is_given_up());
        self.received += bytes as u64;
        self.held += u32::try_from(bytes).expect("it fits into a window");
    }

    pub(super) fn end(&mut self) {
        assert!(!self.got_end && !self.is_given_up());
        self.got_end = true;
    }

    pub(super) fn reset(&mut self) {
        assert!(!self.is_given_up());
        self.got_reset = true;
        self.held = 0;
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.gave_up || self.got_reset
    }

    fn read(&mut self, buffer: &mut [u8]) -> Pulled {
        assert!(!buffer.is_empty() && !self.has_ended && !self.is_given_up());
        let left = usize::try_from(self.wanted - self.sent).unwrap_or(usize::MAX);
        match left.min(buffer.len()) {
            0 if self.finishes => {
                self.has_ended = true;
                Pulled::End
            }
            0 => Pulled::Blocked,
            length => {
                content::write(self.seeds.0, self.sent, &mut buffer[..length]);
                self.sent += length as u64;
                Pulled::Bytes(length)
            }
        }
    }
}

/// The local sides of an end.
#[derive(Debug, Default)]
pub(super) struct Sides(BTreeMap<StreamKey, Side>);

impl Sides {
    pub(super) fn add(&mut self, key: StreamKey, side: Side) {
        assert!(self.0.insert(key, side).is_none(), "a handle is used twice");
    }

    pub(super) fn of(&mut self, key: StreamKey) -> &mut Side {
        self.0.get_mut(&key).expect("only known streams are named")
    }

    /// Returns the stream at a place among those that are not given up.
    pub(super) fn pick(&self, place: usize) -> Option<StreamKey> {
        let alive = || self.0.iter().filter(|(_, side)| !side.is_given_up());
        let place = place.checked_rem(alive().count())?;
        alive().nth(place).map(|(&key, _)| key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (StreamKey, &Side)> {
        self.0.iter().map(|(&key, side)| (key, side))
    }
}

impl Source for Sides {
    fn read(&mut self, stream: StreamKey, buffer: &mut [u8]) -> Pulled {
        self.of(stream).read(buffer)
    }
}
