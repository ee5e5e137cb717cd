//! The frames that go to the link with the next write, in their order.
//!
//! ```text
//!            begun          control           fresh streams          planned before
//!          ┌───────────┬─────────────────┬────────────────────┬─────────────────────────────┐
//!   link ◀─│▒▒▒ Data 4 │ pong  credit 9  │ Data 7             │ Data 4    Data 1    Data 2   │◀─ the next ones
//!          └───────────┴─────────────────┴────────────────────┴─────────────────────────────┘
//!            ▒ written: only this frame is fixed
//! ```
//!
//! A write takes a part of the bytes, and a frame of which the first byte is out cannot be taken back. Every other
//! frame can still be overtaken: payload by control frames, and by the bytes of a stream that was idle. Only the frames
//! of one stream never overtake each other; and control frames keep their order, because one may open the stream that
//! the next one is about.

use std::collections::VecDeque;
use std::ops::Range;

use crate::tunnel::key::StreamKey;

/// Frames in one batch; a write takes the slices of all.
const MAX_FRAMES: usize = 256;
/// Bytes beyond the bound of a batch up to which control frames are planned. A turn plans far less; only a link that takes
/// a few bytes at a time, and a peer that asks for more with each of them, get so far.
const CONTROL_BEYOND: usize = 96 * 1024;
/// The memory is moved together when it is longer than this many times the bound of a batch, or than the bytes in it, so
/// that it is rarely.
const SLACK: usize = 4;

/// What a planned frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// For the link, or about a stream without belonging to the order of its bytes.
    Control,
    /// Bytes of a stream.
    Payload(StreamKey),
    /// The end of a stream.
    Finish(StreamKey),
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In front of everything that was planned before, except for what went there in this turn.
    Front,
    /// Behind everything.
    Back,
}

#[derive(Clone, Debug)]
struct Planned {
    kind: Kind,
    /// Where its bytes are that were not written.
    bytes: Range<usize>,
}

/// Planned frames, and their bytes.
#[derive(Debug)]
pub(super) struct Batch {
    frames: VecDeque<Planned>,
    memory: Vec<u8>,
    /// The part of the memory that is in use; the rest is zeros or old bytes.
    used: usize,
    /// The bytes that were not written.
    pending: usize,
    /// How many bytes of the first frame are out.
    begun: usize,
    /// The index at which the next frame goes to the front.
    front: usize,
    limit: usize,
}

impl Batch {
    /// Creates an empty batch that is full with `limit` bytes; one frame more may follow.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            frames: VecDeque::new(),
            memory: Vec::new(),
            used: 0,
            pending: 0,
            begun: 0,
            front: 0,
            limit,
        }
    }

    /// Returns whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Returns whether another frame of payload may be planned.
    pub(super) fn has_room(&self) -> bool {
        self.pending < self.limit && self.frames.len() < MAX_FRAMES
    }

    /// Returns whether another control frame may be planned; what is owed and not planned stays state.
    pub(super) fn has_room_for_control(&self) -> bool {
        self.pending < self.limit + CONTROL_BEYOND
    }

    /// Begins a turn: what goes to the front from now on goes behind the frame that has begun, and behind the control
    /// frames of earlier turns, because one of them may open the stream that a later one is about.
    pub(super) fn begin_turn(&mut self) {
        self.front = self.index_behind_control();
        if self.used > SLACK * self.limit.max(self.pending) {
            self.compact();
        }
    }

    fn index_behind_control(&self) -> usize {
        let fixed = usize::from(self.begun > 0);
        let behind = self.frames.iter().skip(fixed);
        fixed
            + behind
                .take_while(|frame| frame.kind == Kind::Control)
                .count()
    }

    /// Returns whether bytes of a stream are planned already, so that later ones have to go behind them.
    pub(super) fn holds(&self, key: StreamKey) -> bool {
        self.frames
            .iter()
            .any(|frame| frame.kind == Kind::Payload(key))
    }

    /// Returns how many planned bytes were not written, headers included.
    pub(super) fn pending(&self) -> usize {
        self.pending
    }

    /// Returns how many of them are in frames with payload of this stream.
    pub(super) fn pending_of(&self, key: StreamKey) -> usize {
        let frames = self.frames.iter();
        let of_stream = frames.filter(|frame| frame.kind == Kind::Payload(key));
        of_stream.map(|frame| frame.bytes.len()).sum()
    }

    /// Plans a frame without payload.
    pub(super) fn push(&mut self, kind: Kind, header: &[u8], place: Place) {
        let start = self.used;
        self.room(header.len()).copy_from_slice(header);
        self.used += header.len();
        self.insert(kind, start..self.used, place);
    }

    /// Returns memory for the payload of a frame, behind room for its header.
    pub(super) fn payload_room(&mut self, header: usize, payload: usize) -> &mut [u8] {
        &mut self.room(header + payload)[header..]
    }

    /// Plans a frame whose payload was put into the memory of [`Batch::payload_room`] with the same `reserved` bytes
    /// for the header, which may have got shorter than that.
    pub(super) fn commit(
        &mut self,
        key: StreamKey,
        (header, reserved): (&[u8], usize),
        payload: usize,
        place: Place,
    ) {
        let start = self.used + reserved - header.len();
        self.memory[start..start + header.len()].copy_from_slice(header);
        self.used += reserved + payload;
        self.insert(Kind::Payload(key), start..self.used, place);
    }

    fn insert(&mut self, kind: Kind, bytes: Range<usize>, place: Place) {
        self.pending += bytes.len();
        let frame = Planned { kind, bytes };
        match place {
            Place::Front => {
                self.frames.insert(self.front, frame);
                self.front += 1;
            }
            Place::Back => self.frames.push_back(frame),
        }
    }

    /// Returns unused memory.
    fn room(&mut self, bytes: usize) -> &mut [u8] {
        let end = self.used + bytes;
        if self.memory.len() < end {
            self.memory.resize(end.next_power_of_two(), 0);
        }
        &mut self.memory[self.used..end]
    }

    /// Drops the frames of a stream, except for one that has begun.
    pub(super) fn discard(&mut self, key: StreamKey) {
        self.retain(|kind| kind != Kind::Payload(key) && kind != Kind::Finish(key));
    }

    /// Drops all frames, except for one that has begun.
    pub(super) fn discard_all(&mut self) {
        self.retain(|_| false);
    }

    fn retain(&mut self, keep: impl Fn(Kind) -> bool) {
        let fixed = usize::from(self.begun > 0);
        let mut index = 0;
        self.frames.retain(|frame| {
            index += 1;
            index <= fixed || keep(frame.kind)
        });
        self.pending = self.frames.iter().map(|frame| frame.bytes.len()).sum();
        self.front = self.index_behind_control();
    }

    /// Iterates over the bytes to write; adjacent frames make one slice.
    pub(super) fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut frames = self
            .frames
            .iter()
            .map(|frame| frame.bytes.clone())
            .peekable();
        std::iter::from_fn(move || {
            let mut slice = frames.next()?;
            while let Some(next) = frames.next_if(|next| next.start == slice.end) {
                slice.end = next.end;
            }
            Some(&self.memory[slice])
        })
    }

    /// Notes that bytes from the front were written; calls `finished` with each stream whose end is among them.
    ///
    /// # Panics
    ///
    /// Panics if there were not so many.
    pub(super) fn written(&mut self, mut bytes: usize, mut finished: impl FnMut(StreamKey)) {
        self.pending = self
            .pending
            .checked_sub(bytes)
            .expect("only planned bytes are written");
        while bytes > 0 {
            let Some(frame) = self.frames.front_mut() else {
                break;
            };
            let part = bytes.min(frame.bytes.len());
            frame.bytes.start += part;
            bytes -= part;
            self.begun += part;
            if frame.bytes.is_empty() {
                if let Kind::Finish(key) = frame.kind {
                    finished(key);
                }
                self.frames.pop_front();
                self.begun = 0;
            }
        }
        if self.frames.is_empty() {
            self.used = 0;
        }
    }

    /// Moves the bytes of all frames to the front of the memory, in the order of the frames.
    fn compact(&mut self) {
        let mut memory = Vec::with_capacity(self.memory.len());
        for frame in &mut self.frames {
            let start = memory.len();
            memory.extend_from_slice(&self.memory[frame.bytes.clone()]);
            frame.bytes = start..memory.len();
        }
        self.used = memory.len();
        memory.resize(self.memory.len(), 0);
        self.memory = memory;
    }
}

#[cfg(test)]
mod tests;
