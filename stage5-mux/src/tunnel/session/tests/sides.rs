//! Local sides in memory, which check every byte that they get.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::tunnel::event::{Pulled, Source};
use crate::tunnel::key::StreamKey;

/// The length after which the content repeats: a prime, so that no frame or window divides it.
pub(super) const PERIOD: usize = 65_521;

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
    pub(super) seeds: (u64, u64),
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
