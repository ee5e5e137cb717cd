//! Finds the frames in a stream of bytes that is cut anywhere.
//!
//! ```text
//!   the frames     │ header │ payload ................ │ header │ header │ payload .... │
//!   what arrives   │ hea┆der│ pay ┆ load ..... ┆ ..... │ header │ he┆ader│ payload .┆..
//!                  ──────▶ at most a header is held; payload passes by as it comes
//! ```
//!
//! A frame is never put together: its payload goes on in the pieces in which it arrives. So a frame of a mebibyte
//! needs no more memory than one of a byte.

use crate::tunnel::frame::{Frame, Violation};
use crate::tunnel::wire::{Decoded, MAX_HEADER, Wire};

/// Where a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// In a header, or in front of one; this many bytes of it are held.
    Header(usize),
    /// In the bytes behind a header; this many are still to come.
    Payload(u32),
}

/// Reads the frames of one wire, whatever the bytes are.
#[derive(Debug)]
pub struct Reader {
    held: [u8; MAX_HEADER],
    position: Position,
}

/// A piece of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A header is complete.
    Frame(Frame),
    /// Bytes behind the header of the last frame.
    Payload(&'a [u8]),
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            held: [0; MAX_HEADER],
            position: Position::Header(0),
        }
    }
}

impl Reader {
    /// Returns how many bytes of the last frame are still to come.
    #[must_use]
    pub fn payload_left(&self) -> u32 {
        match self.position {
            Position::Header(_) => 0,
            Position::Payload(left) => left,
        }
    }

    /// Takes the next piece from the front of `input`, with at most `room` bytes of payload; `None` if the input does
    /// not hold one, or if there is no room for it.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are no frames. Then the reader must not be used any more.
    pub fn take<'a>(
        &mut self,
        wire: &impl Wire,
        input: &mut &'a [u8],
        room: usize,
    ) -> Result<Option<Piece<'a>>, Violation> {
        match self.position {
            Position::Payload(left) => Ok(self.take_payload(input, left, room)),
            Position::Header(held) => self.take_header(wire, input, held),
        }
    }

    fn take_payload<'a>(
        &mut self,
        input: &mut &'a [u8],
        left: u32,
        room: usize,
    ) -> Option<Piece<'a>> {
        let length = u32::try_from(input.len().min(room))
            .unwrap_or(u32::MAX)
            .min(left);
        if length == 0 {
            return None;
        }
        let (payload, rest) = input.split_at(length as usize);
        *input = rest;
        self.position = behind_header(left - length);
        Some(Piece::Payload(payload))
    }

    /// Completes the header of which `held` bytes are held, if the input has the rest.
    fn take_header<'a>(
        &mut self,
        wire: &impl Wire,
        input: &mut &'a [u8],
        held: usize,
    ) -> Result<Option<Piece<'a>>, Violation> {
        let copied = input.len().min(MAX_HEADER - held);
        let filled = held + copied;
        self.held[held..filled].copy_from_slice(&input[..copied]);
        match wire.decode(&self.held[..filled])? {
            Decoded::Partial => {
                *input = &input[copied..];
                self.position = Position::Header(filled);
                Ok(None)
            }
            Decoded::Complete { frame, length } => {
                // The held bytes alone were no header, so its end lies in the input.
                *input = &input[length - held..];
                self.position = behind_header(frame.bytes_behind());
                Ok(Some(Piece::Frame(frame)))
            }
        }
    }
}

/// Returns the position with this many bytes in front of the next header.
fn behind_header(left: u32) -> Position {
    match left {
        0 => Position::Header(0),
        left => Position::Payload(left),
    }
}

#[cfg(test)]
mod tests;
