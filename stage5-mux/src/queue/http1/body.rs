//! The body of a message: where it ends (RFC 9112 section 6).
//!
//! ```text
//!   chunked-body = *chunk last-chunk *( field-line CRLF ) CRLF     RFC 9112 section 7.1
//!   chunk        = size [ extension ] CRLF data CRLF
//!   last-chunk   = 1*"0" [ extension ] CRLF
//! ```
//!
//! The machine is given bytes and returns what they are; it copies nothing. It is strict: anything
//! that two parsers could read in two ways (a bare LF, white space in a size) is an error, because
//! we are one of these parsers and the upstream is the other.

/// The most bytes of one chunk's extension.
const MAX_EXTENSION: usize = 1024;

/// The most bytes of all trailers.
const MAX_TRAILERS: usize = 16 * 1024;

/// The most digits of a size, leading zeros included.
const MAX_DIGITS: u8 = 16;

/// The bound on a size: 60 bits, so that it never overflows.
const MAX_BITS: u32 = 60;

/// Whether blanks may stand between a chunk's size and the end of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blanks {
    /// They are an error: a request must be read by the upstream as we read it.
    Refused,
    /// They are skipped: some servers send them, and every client reads them in the same way.
    Skipped,
}

/// The part of a body that has not arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
    /// All bytes up to the end of the connection.
    UntilClose,
}

/// The meaning of the next bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// This many bytes of content.
    Content(usize),
    /// This many bytes that only delimit the content.
    Framing(usize),
    /// The message has ended before the next byte.
    End,
}

/// Why a chunked body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkError {
    /// The size is no plain hexadecimal number.
    Size,
    /// The size has too many digits.
    TooLarge,
    /// A line does not end in CR LF, or the data is longer than its size.
    LineEnd,
    /// The extension or the trailers are too long, or have control characters.
    Extra,
}

impl ChunkError {
    /// Returns the error in a few words.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Size => "a chunk size is not a hexadecimal number",
            Self::TooLarge => "a chunk size has too many digits",
            Self::LineEnd => "a chunk does not end in CR LF",
            Self::Extra => "a chunk extension or trailer is not acceptable",
        }
    }
}

impl Body {
    /// Returns the meaning of the first bytes, or `None` if there are none and the body goes on.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not a valid chunked body.
    pub(super) fn step(
        &mut self,
        bytes: &[u8],
        blanks: Blanks,
    ) -> Result<Option<Piece>, ChunkError> {
        match self {
            Self::Length(0) | Self::Chunked(Chunks::Done) => Ok(Some(Piece::End)),
            _ if bytes.is_empty() => Ok(None),
            Self::Length(rest) => Ok(Some(Piece::Content(take(rest, bytes)))),
            Self::UntilClose => Ok(Some(Piece::Content(bytes.len()))),
            Self::Chunked(chunks) => chunks.step(bytes, blanks).map(Some),
        }
    }
}

/// Subtracts from `rest` as many bytes as there are, and returns their number.
fn take(rest: &mut u64, bytes: &[u8]) -> usize {
    let count = usize::try_from(*rest).map_or(bytes.len(), |rest| rest.min(bytes.len()));
    *rest -= count as u64;
    count
}

/// A place in a chunked body.
///
/// ```text
///   Size ──▶ Extension ──▶ SizeEnd ──▶ Data ──▶ DataCr ──▶ DataLf ──▶ Size ...
///                             │ size 0
///                             ▼
///                       TrailerStart ──▶ Trailer ──▶ TrailerEnd ──▶ TrailerStart
///                             └────────▶ LastLf ──▶ Done
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// In the digits of a size.
    Size { digits: u8, size: u64 },
    /// Between the size and its line end; `semicolon` tells an extension from white space.
    Extension {
        size: u64,
        length: usize,
        semicolon: bool,
    },
    /// Before the LF of a size's line.
    SizeEnd { size: u64 },
    /// In the data.
    Data { rest: u64 },
    /// Before the CR after the data.
    DataCr,
    /// Before the LF after the data.
    DataLf,
    /// At the beginning of a trailer or of the last line.
    TrailerStart { length: usize },
    /// In a trailer.
    Trailer { length: usize },
    /// Before the LF of a trailer.
    TrailerEnd { length: usize },
    /// Before the very last LF.
    LastLf,
    /// After the last LF.
    Done,
}

impl Chunks {
    /// The beginning of a chunked body.
    pub(super) const START: Self = Self::Size { digits: 0, size: 0 };

    /// Returns the meaning of the first bytes, of which there is at least one.
    fn step(&mut self, bytes: &[u8], blanks: Blanks) -> Result<Piece, ChunkError> {
        if let Self::Data { rest } = self {
            let count = take(rest, bytes);
            if *rest == 0 {
                *self = Self::DataCr;
            }
            return Ok(Piece::Content(count));
        }
        let mut used = 0;
        while used < bytes.len() && !matches!(self, Self::Data { .. } | Self::Done) {
            *self = match (*self, blanks, bytes[used]) {
                // Without a semicolon, only blanks have led here.
                (
                    Self::Extension {
                        size,
                        semicolon: false,
                        ..
                    },
                    Blanks::Skipped,
                    b'\r',
                ) => Self::SizeEnd { size },
                (place, _, byte) => place.next(byte)?,
            };
            used += 1;
        }
        Ok(Piece::Framing(used))
    }

    /// Advances by one byte of framing, along the arrows of the picture.
    ///
    /// # Errors
    ///
    /// Fails if no arrow leads on with this byte. A trailer does not begin with a space, a tab or a colon: that would be
    /// a folded line, or a field without a name. Data and the end have no framing.
    fn next(self, byte: u8) -> Result<Self, ChunkError> {
        match self {
            Self::Size { digits, size } => in_size(digits, size, byte),
            Self::Extension {
                size,
                length,
                semicolon,
            } => in_extension(size, length, semicolon, byte),
            Self::SizeEnd { size } => match (expect(byte, b'\n')?, size) {
                ((), 0) => Ok(Self::TrailerStart { length: 0 }),
                ((), rest) => Ok(Self::Data { rest }),
            },
            Self::DataCr => expect(byte, b'\r').map(|()| Self::DataLf),
            Self::DataLf => expect(byte, b'\n').map(|()| Self::START),
            Self::TrailerStart { .. } if byte == b'\r' => Ok(Self::LastLf),
            Self::TrailerStart { .. } if matches!(byte, b' ' | b'\t' | b':') => {
                Err(ChunkError::Extra)
            }
            Self::TrailerStart { length } | Self::Trailer { length } => in_trailer(length, byte),
            Self::TrailerEnd { length } => {
                expect(byte, b'\n').map(|()| Self::TrailerStart { length })
            }
            Self::LastLf => expect(byte, b'\n').map(|()| Self::Done),
            Self::Data { .. } | Self::Done => Err(ChunkError::LineEnd),
        }
    }
}

fn in_size(digits: u8, size: u64, byte: u8) -> Result<Chunks, ChunkError> {
    let extension = |semicolon| Chunks::Extension {
        size,
        length: 0,
        semicolon,
    };
    match (byte, char::from(byte).to_digit(16)) {
        (_, Some(_)) if digits == MAX_DIGITS || size >> (MAX_BITS - 4) != 0 => {
            Err(ChunkError::TooLarge)
        }
        (_, Some(digit)) => Ok(Chunks::Size {
            digits: digits + 1,
            size: size * 16 + u64::from(digit),
        }),
        _ if digits == 0 => Err(ChunkError::Size),
        (b'\r', None) => Ok(Chunks::SizeEnd { size }),
        (b';', None) => Ok(extension(true)),
        (b' ' | b'\t', None) => Ok(extension(false)),
        (_, None) => Err(ChunkError::Size),
    }
}

fn in_extension(size: u64, length: usize, semicolon: bool, byte: u8) -> Result<Chunks, ChunkError> {
    match byte {
        b'\r' if semicolon => return Ok(Chunks::SizeEnd { size }),
        b';' | b' ' | b'\t' => {}
        // White space is allowed before a semicolon only.
        _ if !semicolon => return Err(ChunkError::Size),
        _ if byte.is_ascii_control() => return Err(ChunkError::Extra),
        _ => {}
    }
    if length == MAX_EXTENSION {
        return Err(ChunkError::Extra);
    }
    Ok(Chunks::Extension {
        size,
        length: length + 1,
        semicolon: semicolon || byte == b';',
    })
}

fn in_trailer(length: usize, byte: u8) -> Result<Chunks, ChunkError> {
    match byte {
        b'\r' => Ok(Chunks::TrailerEnd { length }),
        _ if length == MAX_TRAILERS => Err(ChunkError::Extra),
        _ if byte.is_ascii_control() && byte != b'\t' => Err(ChunkError::Extra),
        _ => Ok(Chunks::Trailer { length: length + 1 }),
    }
}

fn expect(byte: u8, wanted: u8) -> Result<(), ChunkError> {
    if byte == wanted {
        Ok(())
    } else {
        Err(ChunkError::LineEnd)
    }
}

#[cfg(test)]
mod tests;
