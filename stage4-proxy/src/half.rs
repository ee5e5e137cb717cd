//! One direction of a session: the bytes in transit from one side to the other, and its end.
//!
//! ```text
//!           end of input             FIN sent
//!   Open ──────────────▶ Draining ──────────────▶ Closed
//!    │                      │                        ▲
//!    └──────────────────────┴────────────────────────┘
//!                   the sink is broken
//! ```
//!
//! [`Half::reopen`] leads back to `Open`: a request that was lost with its connection goes out again.

use crate::buffer::Buffer;

/// The state of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfState {
    /// The source may send more bytes.
    Open,
    /// The source has ended; its last bytes must still be written, and then a FIN.
    Draining,
    /// The FIN was sent, or the sink is broken.
    Closed,
}

/// The state machine of one direction, without sockets.
///
/// A half does not want to read while a byte of its last read is pending. This one rule is the
/// whole backpressure, and it bounds the memory of a half by one read.
///
/// A half makes no system call. The owner of the sockets does, always in the same order:
///
/// 1. Ask the getters: if [`Half::wants_write`], write the pending bytes, or send the FIN if the
///    half [owes](Half::owes_fin) it. Otherwise, if [`Half::wants_read`], read from the source.
/// 2. Note the outcome. After a write: [`Half::sent`] or [`Half::left_pipe`]; after the FIN:
///    [`Half::fin_sent`]. After a read: [`Half::passed`] for the bytes that were written at once
///    and [`Half::keep`] for the rest, or [`Half::entered_pipe`]; after a read of 0 bytes:
///    [`Half::end_of_input`].
/// 3. After an error of the sink, note [`Half::sink_broken`]. An error of the source is no
///    transition: the pending bytes may still be written.
///
/// Three of these notes are transitions: `end_of_input`, `fin_sent` and `sink_broken`.
#[derive(Debug)]
pub struct Half {
    state: HalfState,
    buffer: Buffer,
    /// Pending bytes in a pipe instead of in the buffer (the pipe belongs to the relay).
    piped: usize,
    /// Bytes written to the sink so far.
    moved: u64,
}

impl Default for Half {
    fn default() -> Self {
        Self::new()
    }
}

impl Half {
    /// Creates an open half without bytes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: HalfState::Open,
            buffer: Buffer::new(),
            piped: 0,
            moved: 0,
        }
    }

    /// Returns the state of the direction.
    #[must_use]
    pub fn state(&self) -> HalfState {
        self.state
    }

    /// Returns the number of bytes written to the sink so far.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// Returns the number of bytes read from the source so far.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.moved + (self.piped + self.buffer.len()) as u64
    }

    /// Returns a value that changes whenever a byte or the end passes through this direction.
    #[must_use]
    pub fn progress(&self) -> (HalfState, u64) {
        (self.state, self.moved)
    }

    /// Returns the pending bytes in memory.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        self.buffer.pending()
    }

    /// Returns the number of pending bytes in a pipe.
    #[must_use]
    pub fn piped(&self) -> usize {
        self.piped
    }

    /// Returns whether bytes were read that are not written yet, in memory or in a pipe.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.piped > 0 || !self.buffer.is_empty()
    }

    /// Returns whether the source should be read: it is open, and no byte is pending.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        self.state == HalfState::Open && !self.has_pending()
    }

    /// Returns whether the sink should be written: bytes are pending, or a FIN is owed.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        self.state == HalfState::Draining || self.state == HalfState::Open && self.has_pending()
    }

    /// Returns whether every byte was written and only the FIN is missing.
    #[must_use]
    pub fn owes_fin(&self) -> bool {
        self.state == HalfState::Draining && !self.has_pending()
    }

    /// Keeps bytes that were read and that the sink did not take.
    pub fn keep(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.state, HalfState::Open, "bytes after the end");
        self.buffer.append(bytes);
    }

    /// Puts `bytes` before those that are pending in memory.
    pub fn put_before(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.buffer.put_before(bytes);
        }
    }

    /// Notes that `count` bytes went from the source into the pipe.
    pub fn entered_pipe(&mut self, count: usize) {
        debug_assert_eq!(self.state, HalfState::Open, "bytes after the end");
        self.piped += count;
    }

    /// Notes that `count` bytes were read and written at once.
    pub fn passed(&mut self, count: usize) {
        self.moved += count as u64;
    }

    /// Notes that the first `count` pending bytes in memory were written to the sink.
    pub fn sent(&mut self, count: usize) {
        self.buffer.consume(count);
        self.moved += count as u64;
    }

    /// Notes that `count` bytes left the pipe for the sink.
    ///
    /// # Panics
    ///
    /// Panics if fewer bytes were in the pipe.
    pub fn left_pipe(&mut self, count: usize) {
        assert!(count <= self.piped, "more left the pipe than went in");
        self.piped -= count;
        self.moved += count as u64;
    }

    /// Notes that these bytes, the first in the pipe, were read into memory; they are still pending.
    ///
    /// # Panics
    ///
    /// Panics if fewer bytes were in the pipe.
    pub fn unloaded(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.piped, "more left the pipe than went in");
        self.piped -= bytes.len();
        self.buffer.append(bytes);
    }

    /// Drops pending bytes that are not for the sink, because a handshake has consumed them.
    pub fn consume(&mut self, count: usize) {
        self.buffer.consume(count);
    }

    /// Notes that the source has ended.
    pub fn end_of_input(&mut self) {
        self.state = match self.state {
            HalfState::Open | HalfState::Draining => HalfState::Draining,
            HalfState::Closed => HalfState::Closed,
        };
    }

    /// Notes that the FIN was sent.
    ///
    /// # Panics
    ///
    /// Panics if bytes are pending or the source is still open: the FIN would be a false end.
    pub fn fin_sent(&mut self) {
        assert!(self.owes_fin(), "a FIN that is not owed");
        self.state = HalfState::Closed;
    }

    /// Begins anew with another sink, behind one that was broken.
    pub fn reopen(&mut self) {
        self.state = HalfState::Open;
    }

    /// Notes that the sink takes no more bytes, and drops the pending ones.
    pub fn sink_broken(&mut self) {
        self.state = HalfState::Closed;
        self.buffer = Buffer::new();
        self.piped = 0;
    }
}

#[cfg(test)]
mod tests;
