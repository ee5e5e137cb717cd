//! The local sides of a hostile session: they have bytes, ends and failures at any time.

use std::collections::BTreeMap;

use stage5_mux::tunnel::event::{Pulled, Source};
use stage5_mux::tunnel::frame::StreamId;
use stage5_mux::tunnel::key::StreamKey;

use crate::content;

/// What a local side does when its bytes are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Wait,
    End,
    Fail,
}

/// The local side of a stream that the session knows.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) id: StreamId,
    /// How many bytes it has had, and how many of them the session has read.
    wanted: u64,
    read: u64,
    then: Then,
    has_ended: bool,
    /// Received and not consumed.
    pub(crate) held: u64,
    pub(crate) got_end: bool,
    /// Whether its end has gone out.
    pub(crate) has_finished: bool,
}

impl Local {
    pub(crate) fn new(id: StreamId) -> Self {
        Self {
            id,
            wanted: 0,
            read: 0,
            then: Then::Wait,
            has_ended: false,
            held: 0,
            got_end: false,
            has_finished: false,
        }
    }

    /// Lets it have more bytes.
    pub(crate) fn feed(&mut self, bytes: u32, then: Then) {
        if self.then == Then::Wait {
            self.wanted += u64::from(bytes);
            self.then = then;
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Pulled {
        assert!(!buffer.is_empty() && !self.has_ended);
        let left = usize::try_from(self.wanted - self.read).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        if length == 0 {
            return match self.then {
                Then::Wait => Pulled::Blocked,
                Then::End => {
                    self.has_ended = true;
                    Pulled::End
                }
                Then::Fail => Pulled::Failed,
            };
        }
        content::write(self.id.number, self.read, &mut buffer[..length]);
        self.read += length as u64;
        if length == left && self.then == Then::Wait {
            Pulled::Last(length)
        } else {
            Pulled::Bytes(length)
        }
    }
}

/// The local sides of all streams that the session knows.
#[derive(Debug, Default)]
pub(crate) struct Locals {
    pub(crate) rows: BTreeMap<StreamKey, Local>,
    /// Those that have failed while the session has read them: it has given them up.
    pub(crate) failed: Vec<StreamId>,
}

impl Locals {
    /// Returns the stream at a place, if there is any.
    pub(crate) fn pick(&self, place: usize) -> Option<StreamKey> {
        let place = place.checked_rem(self.rows.len())?;
        self.rows.keys().nth(place).copied()
    }
}

impl Source for Locals {
    fn read(&mut self, stream: StreamKey, buffer: &mut [u8]) -> Pulled {
        let local = self
            .rows
            .get_mut(&stream)
            .expect("a stream is read that has ended");
        let pulled = local.read(buffer);
        if pulled == Pulled::Failed {
            self.failed.push(local.id);
            self.rows.remove(&stream);
        }
        pulled
    }
}
