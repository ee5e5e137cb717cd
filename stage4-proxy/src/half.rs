//! One direction of a session: the bytes under way from one side to the other, and its end.
//!
//! ```text
//!            end of input read            FIN sent
//!   Open ---------------------> Draining ----------> Closed
//!     |                            |                   ^
//!     +----------------------------+-------------------+
//!                     the sink is broken
//! ```
//!
//! Free of I/O: whoever owns the sockets asks [`Half::wants_read`] and [`Half::wants_write`],
//! makes the system calls, and tells the half what they said.

use crate::buffer::Buffer;

/// How far one direction has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HalfState {
    /// More bytes may come.
    Open,
    /// The source has ended; what was read must still be written, and then a FIN.
    Draining,
    /// The FIN was sent, or nobody is left to send it to.
    Closed,
}

/// One direction of a session.
///
/// A half takes nothing from its source while a byte of the last read still waits: that is all
/// there is to backpressure, and it bounds the half's memory by one read.
#[derive(Debug)]
pub struct Half {
    state: HalfState,
    buffer: Buffer,
    /// Bytes that wait in a pipe instead of in the buffer (the pipe is the relay's).
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
    /// Makes an open half without bytes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: HalfState::Open,
            buffer: Buffer::new(),
            piped: 0,
            moved: 0,
        }
    }

    /// Returns how far the direction has come.
    #[must_use]
    pub fn state(&self) -> HalfState {
        self.state
    }

    /// Returns the number of bytes written to the sink so far.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// Returns what changes whenever something happens in this direction.
    #[must_use]
    pub fn progress(&self) -> (HalfState, u64) {
        (self.state, self.moved)
    }

    /// Returns the bytes that wait in memory.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        self.buffer.pending()
    }

    /// Returns the number of bytes that wait in a pipe.
    #[must_use]
    pub fn piped(&self) -> usize {
        self.piped
    }

    /// Says whether bytes were read that are not written yet.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.piped > 0 || !self.buffer.is_empty()
    }

    /// Says whether the source should be read: it is open and there is room.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        self.state == HalfState::Open && !self.has_pending()
    }

    /// Says whether the sink should be written: bytes wait, or a FIN is owed.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        self.state == HalfState::Draining || self.state == HalfState::Open && self.has_pending()
    }

    /// Says whether everything was written and only the FIN is missing.
    #[must_use]
    pub fn owes_fin(&self) -> bool {
        self.state == HalfState::Draining && !self.has_pending()
    }

    /// Keeps bytes that were read and could not be written.
    pub fn keep(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.state, HalfState::Open, "bytes after the end");
        self.buffer.append(bytes);
    }

    /// Notes that `count` bytes went from the source into the pipe.
    pub fn entered_pipe(&mut self, count: usize) {
        debug_assert_eq!(self.state, HalfState::Open, "bytes after the end");
        self.piped += count;
    }

    /// Notes that `count` bytes went from the source to the sink without waiting in between.
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
    /// When fewer bytes were in the pipe.
    pub fn left_pipe(&mut self, count: usize) {
        assert!(count <= self.piped, "more left the pipe than went in");
        self.piped -= count;
        self.moved += count as u64;
    }

    /// Drops pending bytes that were not for the sink: a handshake has understood them.
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
    /// When bytes still wait or the source has not ended: a FIN would lie.
    pub fn fin_sent(&mut self) {
        assert!(self.owes_fin(), "a FIN that is not owed");
        self.state = HalfState::Closed;
    }

    /// Notes that the sink takes no more bytes, and forgets those that wait.
    pub fn sink_broken(&mut self) {
        self.state = HalfState::Closed;
        self.buffer = Buffer::new();
        self.piped = 0;
    }
}

#[cfg(test)]
mod tests;
