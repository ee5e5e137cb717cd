//! The border between the session and the bytes: what a wire format has to provide.

use std::fmt::Debug;

use crate::tunnel::frame::{Frame, Outgoing, StreamId, Violation};

/// The longest header of any wire, in bytes; a yamux header always has this length.
pub const MAX_HEADER: usize = 12;

/// The longest frame that is taken, in bytes behind its header: 1 MiB, the bound of the Rust crate `yamux`.
pub const MAX_FRAME: u32 = 1 << 20;

/// A wire format: turns headers into frames, and frames into headers. It has no state of its own.
pub trait Wire: Debug {
    /// The name in options and logs.
    const NAME: &'static str;
    /// Whether each stream has a window; without one, a slow reader holds back the whole link.
    const HAS_WINDOWS: bool;
    /// Whether an end can be asked for a sign of life.
    const HAS_PINGS: bool;
    /// The number of bytes that a stream may send before it has got any credit.
    const INITIAL_WINDOW: u32;
    /// The most bytes in a frame that we send.
    const MAX_SLICE: usize;

    /// Decodes the header at the front of `input`, whatever the bytes are and wherever they end.
    ///
    /// # Errors
    ///
    /// Fails if no continuation of the bytes could be a header. Then the link is of no use any more.
    fn decode(&self, input: &[u8]) -> Result<Decoded, Violation>;

    /// Encodes a header and returns it; it is empty if the wire has no word for it.
    fn encode(&self, frame: Outgoing) -> Header;

    /// Returns the number of the stream that an end opens after `opened` earlier ones, or `None` if there is no
    /// number left.
    fn number(&self, opened: u32) -> Option<StreamId>;
}

/// What the front of the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A part of a header, shorter than [`MAX_HEADER`].
    Partial,
    /// A whole one.
    Complete {
        /// What it says.
        frame: Frame,
        /// Its length.
        length: usize,
    },
}

/// An encoded header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; MAX_HEADER],
    length: usize,
}

impl Header {
    /// Creates a header without a byte.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Appends bytes.
    ///
    /// # Panics
    ///
    /// Panics if the header gets longer than [`MAX_HEADER`].
    pub fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        self.bytes[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
