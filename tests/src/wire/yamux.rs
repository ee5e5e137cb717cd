//! yamux: the frames of hashicorp/yamux, `spec.md`. Each has a header of twelve bytes, big endian.

use std::fmt;

use crate::failure::fail;
use crate::peer::Peer;

/// The length of each header.
pub const HEADER: usize = 12;

/// The bytes that each direction of a stream may carry before any credit.
pub const WINDOW: usize = 256 * 1024;

/// Opens a stream, or asks for a pong.
pub const SYN: u16 = 1;
/// Accepts a stream, or answers a ping.
pub const ACK: u16 = 2;
/// Ends a direction.
pub const FIN: u16 = 4;
/// Gives a stream up.
pub const RST: u16 = 8;

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes of a stream.
    Data,
    /// Credit.
    WindowUpdate,
    /// A ping, or its answer.
    Ping,
    /// The last word of a session.
    GoAway,
}

/// One frame with the bytes behind it.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: Kind,
    /// Its flags: [`SYN`], [`ACK`], [`FIN`], [`RST`].
    pub flags: u16,
    /// Its stream; 0 is the session.
    pub stream: u32,
    /// The length of the payload, the credit, the value of a ping, the reason of a go-away.
    pub length: u32,
    /// The bytes of a data frame.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Creates a window update.
    #[must_use]
    pub fn credit(stream: u32, flags: u16, credit: u32) -> Self {
        Self::without_payload(Kind::WindowUpdate, flags, stream, credit)
    }

    /// Creates the frame that opens a stream.
    #[must_use]
    pub fn open(stream: u32) -> Self {
        Self::credit(stream, SYN, 0)
    }

    /// Creates a frame with bytes.
    ///
    /// # Panics
    ///
    /// Panics if they are 4 GiB or more.
    #[must_use]
    pub fn data(stream: u32, payload: &[u8]) -> Self {
        Self {
            kind: Kind::Data,
            flags: 0,
            stream,
            length: u32::try_from(payload.len()).expect("less than 4 GiB"),
            payload: payload.to_vec(),
        }
    }

    /// Creates a ping.
    #[must_use]
    pub fn ping(value: u32) -> Self {
        Self::without_payload(Kind::Ping, SYN, 0, value)
    }

    /// Creates the answer to a ping.
    #[must_use]
    pub fn pong(value: u32) -> Self {
        Self::without_payload(Kind::Ping, ACK, 0, value)
    }

    /// Creates a go-away: 0 for a regular end, 1 for a peer that has broken the protocol.
    #[must_use]
    pub fn go_away(reason: u32) -> Self {
        Self::without_payload(Kind::GoAway, 0, 0, reason)
    }

    fn without_payload(kind: Kind, flags: u16, stream: u32, length: u32) -> Self {
        Self {
            kind,
            flags,
            stream,
            length,
            payload: Vec::new(),
        }
    }

    /// Returns whether the frame has a flag.
    #[must_use]
    pub fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Returns the bytes on the link.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let kind = match self.kind {
            Kind::Data => 0,
            Kind::WindowUpdate => 1,
            Kind::Ping => 2,
            Kind::GoAway => 3,
        };
        let mut bytes = vec![0, kind];
        bytes.extend(self.flags.to_be_bytes());
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(self.length.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// Decodes the frame at the front of `bytes` and returns it with the rest; `None` if it is not complete.
    ///
    /// # Panics
    ///
    /// Fails the test if the header is none.
    #[must_use]
    #[track_caller]
    pub fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, rest) = bytes.split_first_chunk()?;
        let mut frame = Self::parse_header(*header);
        if frame.kind == Kind::Data {
            let (payload, rest) = rest.split_at_checked(frame.length as usize)?;
            frame.payload = payload.to_vec();
            return Some((frame, rest));
        }
        Some((frame, rest))
    }

    #[track_caller]
    fn parse_header(header: [u8; HEADER]) -> Self {
        let [version, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3] = header;
        let kind = match (version, kind) {
            (0, 0) => Kind::Data,
            (0, 1) => Kind::WindowUpdate,
            (0, 2) => Kind::Ping,
            (0, 3) => Kind::GoAway,
            _ => fail(format!(
                "These twelve bytes are no header of yamux: {header:?}."
            )),
        };
        let flags = u16::from_be_bytes([f0, f1]);
        let stream = u32::from_be_bytes([s0, s1, s2, s3]);
        Self::without_payload(kind, flags, stream, u32::from_be_bytes([l0, l1, l2, l3]))
    }

    /// Reads the next frame of a link.
    ///
    /// # Panics
    ///
    /// Fails the test if none comes in time.
    #[must_use]
    #[track_caller]
    pub fn read(link: &Peer) -> Self {
        let header = link.read_exact(HEADER);
        let header = header.first_chunk().copied();
        let mut frame = Self::parse_header(header.unwrap_or_default());
        if frame.kind == Kind::Data {
            frame.payload = link.read_exact(frame.length as usize);
        }
        frame
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.kind)?;
        for (flag, name) in [(SYN, "SYN"), (ACK, "ACK"), (FIN, "FIN"), (RST, "RST")] {
            if self.has(flag) {
                write!(formatter, " {name}")?;
            }
        }
        write!(formatter, " stream {} length {}", self.stream, self.length)
    }
}
