//! The body of a message: how many of the next bytes belong to it (RFC 9112 sections 6 and 7.1).
//!
//! ```text
//!   chunked-body = *chunk last-chunk *( field-line CRLF ) CRLF
//!   chunk        = size [ extension ] CRLF data CRLF
//!   last-chunk   = 1*"0" [ extension ] CRLF
//! ```
//!
//! Every byte passes unchanged, extensions and trailers too, so a chunked body must be one that two parsers
//! cannot read in two ways: no bare LF, no size that overflows, no control character in an extension.

use crate::http::Invalid;

/// The most bytes of a size and its extension.
const MAX_SIZE_LINE: u16 = 1024;
/// The most bytes of all trailers.
const MAX_TRAILERS: u16 = 16 * 1024;
/// The most bits of a size, so that it never overflows.
const MAX_SIZE_BITS: u32 = 60;
/// The data of a chunk with fewer bytes is read together with the framing around it, because a read for each
/// would cost more than a look at all.
const MIN_BLIND_CHUNK: u64 = 64 * 1024;

/// The part of a body that has not come yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
    /// All bytes until the connection ends.
    UntilClose,
}

/// Whether blanks may lie between a chunk's size and the end of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blanks {
    /// They are an error: the target must read a request as we read it.
    Refused,
    /// They pass: some servers send them, and every client skips them.
    Skipped,
}

impl Body {
    /// A message without a body.
    pub const NONE: Self = Self::Length(0);

    /// Creates a body of chunks.
    #[must_use]
    pub fn chunked(blanks: Blanks) -> Self {
        let place = Place::START;
        Self::Chunked(Chunks { place, blanks })
    }

    /// Returns whether the body is complete.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self {
            Self::Length(rest) => *rest == 0,
            Self::Chunked(chunks) => chunks.place == Place::Over,
            Self::UntilClose => false,
        }
    }

    /// Returns how many of the next bytes may be moved without a look at them.
    #[must_use]
    pub fn blind(&self) -> u64 {
        match self.certain() {
            few if matches!(self, Self::Chunked(_)) && few < MIN_BLIND_CHUNK => 0,
            certain => certain,
        }
    }

    /// Notes that `count` bytes were moved without a look.
    ///
    /// # Panics
    ///
    /// Panics if fewer bytes were certain to belong to the body.
    pub fn pass(&mut self, count: u64) {
        assert!(count <= self.certain(), "more has passed than was certain");
        match self {
            Self::Length(rest) => *rest -= count,
            Self::Chunked(chunks) => chunks.place = chunks.place.after_data(count),
            Self::UntilClose => {}
        }
    }

    /// Returns how many of `bytes` belong to the body: fewer than there are if it ends before.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are no valid chunks.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, Invalid> {
        let mut used = 0;
        while used < bytes.len() && !self.is_over() {
            let certain = usize::try_from(self.certain()).unwrap_or(usize::MAX);
            match self {
                Self::Chunked(chunks) if certain == 0 => {
                    chunks.next(bytes[used])?;
                    used += 1;
                }
                Self::Length(_) | Self::Chunked(_) | Self::UntilClose => {
                    let count = certain.min(bytes.len() - used);
                    self.pass(count as u64);
                    used += count;
                }
            }
        }
        Ok(used)
    }

    /// Returns how many of the next bytes belong to the body whatever they are.
    fn certain(&self) -> u64 {
        match self {
            Self::Length(rest) => *rest,
            Self::Chunked(chunks) => chunks.place.data(),
            Self::UntilClose => u64::MAX,
        }
    }
}

/// The part of a chunked body that has not come yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    place: Place,
    blanks: Blanks,
}

/// A place in a chunked body.
///
/// ```text
///                     ;                                        size 0
///   Size ──┬─────────────────▶ Extension ──▶ SizeLf ──▶ Data    ───────▶ Line ◀──────┐
///    ▲     └─────────── CR ───────────────────▲          │                │ ▲        │
///    │                                                   ▼                ▼ └─ bytes │
///    └──────────────────── DataLf ◀─────────────────── DataCr           LineLf ──────┘
///                                                              empty line │
///                                                                         ▼
///                                                                        Over
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the digits of a size.
    Size { digits: u16, size: u64 },
    /// Behind them, before the CR; `blank` until a semicolon has come.
    Extension { length: u16, size: u64, blank: bool },
    /// Before the LF of a size's line.
    SizeLf(u64),
    /// In the data; at least one byte is left.
    Data(u64),
    /// Before the CR behind the data.
    DataCr,
    /// Before the LF behind the data.
    DataLf,
    /// In a trailer, or in the last line, which is empty; `total` counts the bytes of all trailers.
    Line { total: u16, empty: bool },
    /// Before the LF of that line.
    LineLf { total: u16, empty: bool },
    /// Behind the last LF.
    Over,
}

impl Chunks {
    /// Goes on by one byte that is no data.
    fn next(&mut self, byte: u8) -> Result<(), Invalid> {
        self.place = match (self.place, byte) {
            (Place::Size { digits, size }, _) => in_size(digits, size, byte)?,
            // The end of a line in which only blanks have come, behind the size.
            (Place::Extension { blank: true, .. }, b'\r') if self.blanks == Blanks::Refused => {
                return Err(SIZE);
            }
            (Place::Extension { size, .. }, b'\r') => Place::SizeLf(size),
            (Place::Extension { blank: true, .. }, _) if !b" \t;".contains(&byte) => {
                return Err(SIZE);
            }
            (
                Place::Extension {
                    length,
                    size,
                    blank,
                },
                _,
            ) => Place::Extension {
                length: longer(length, MAX_SIZE_LINE, byte)?,
                size,
                blank: blank && byte != b';',
            },
            (Place::SizeLf(0), b'\n') => Place::TRAILERS,
            (Place::SizeLf(size), b'\n') => Place::Data(size),
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataLf, b'\n') => Place::START,
            (Place::Line { total, empty }, b'\r') => Place::LineLf { total, empty },
            // A trailer cannot begin with these: no name, or a folded line.
            (Place::Line { empty: true, .. }, b' ' | b'\t' | b':') => return Err(EXTRA),
            (Place::Line { total, .. }, _) => Place::Line {
                total: longer(total, MAX_TRAILERS, byte)?,
                empty: false,
            },
            (Place::LineLf { empty: true, .. }, b'\n') => Place::Over,
            (Place::LineLf { total, .. }, b'\n') => Place::Line { total, empty: true },
            (
                Place::SizeLf(_)
                | Place::Data(_)
                | Place::DataCr
                | Place::DataLf
                | Place::LineLf { .. }
                | Place::Over,
                _,
            ) => return Err(LINE_END),
        };
        Ok(())
    }
}

impl Place {
    const START: Self = Self::Size { digits: 0, size: 0 };
    const TRAILERS: Self = Self::Line {
        total: 0,
        empty: true,
    };

    /// Returns how many bytes of data come next.
    fn data(self) -> u64 {
        if let Self::Data(rest) = self { rest } else { 0 }
    }

    /// Returns the place `count` bytes of data later.
    fn after_data(self, count: u64) -> Self {
        match self.data() - count {
            _ if count == 0 => self,
            0 => Self::DataCr,
            rest => Self::Data(rest),
        }
    }
}

const SIZE: Invalid = Invalid("the size of a chunk is not a hexadecimal number");
const TOO_LARGE: Invalid = Invalid("the size of a chunk has too many digits");
const LINE_END: Invalid = Invalid("a line of the chunks does not end in CR LF");
const EXTRA: Invalid = Invalid("the extension or the trailer of a chunk is not acceptable");

/// Goes on in a size, by one byte.
fn in_size(digits: u16, size: u64, byte: u8) -> Result<Place, Invalid> {
    match (char::from(byte).to_digit(16), byte) {
        (Some(_), _) if digits == 16 || size >> (MAX_SIZE_BITS - 4) != 0 => Err(TOO_LARGE),
        (Some(digit), _) => Ok(Place::Size {
            digits: digits + 1,
            size: size << 4 | u64::from(digit),
        }),
        (None, _) if digits == 0 => Err(SIZE),
        (None, b'\r') => Ok(Place::SizeLf(size)),
        (None, b';' | b' ' | b'\t') => Ok(Place::Extension {
            length: digits,
            size,
            blank: byte != b';',
        }),
        (None, _) => Err(SIZE),
    }
}

/// Counts one more byte of an extension or of a trailer.
fn longer(length: u16, most: u16, byte: u8) -> Result<u16, Invalid> {
    let is_text = byte == b'\t' || !byte.is_ascii_control();
    if length == most || !is_text {
        return Err(EXTRA);
    }
    Ok(length + 1)
}

#[cfg(test)]
mod tests;
