//! multiplex: the frames of the npm library of that name. Two numbers in LEB128, then the payload.

use crate::failure::fail;

/// What a frame says; the sender has opened the channel or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The sender opens the channel; the payload is its name.
    Open,
    /// Bytes.
    Data {
        /// Whether the sender has opened the channel.
        by_opener: bool,
    },
    /// No further bytes.
    End {
        /// Whether the sender has opened the channel.
        by_opener: bool,
    },
    /// The channel is given up.
    Destroy {
        /// Whether the sender has opened the channel.
        by_opener: bool,
    },
}

/// One frame with the bytes behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it says.
    pub kind: Kind,
    /// The number of its channel; each end counts its own from 0.
    pub channel: u32,
    /// The bytes behind it.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Creates a frame.
    #[must_use]
    pub fn new(kind: Kind, channel: u32, payload: &[u8]) -> Self {
        let payload = payload.to_vec();
        Self {
            kind,
            channel,
            payload,
        }
    }

    /// Returns the bytes on the link.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let kind = match self.kind {
            Kind::Open => 0,
            Kind::Data { by_opener } => 1 + u32::from(by_opener),
            Kind::End { by_opener } => 3 + u32::from(by_opener),
            Kind::Destroy { by_opener } => 5 + u32::from(by_opener),
        };
        let mut bytes = varint(self.channel << 3 | kind);
        bytes.extend(varint(
            u32::try_from(self.payload.len()).unwrap_or(u32::MAX),
        ));
        bytes.extend(&self.payload);
        bytes
    }

    /// Decodes the frame at the front of `bytes` and returns it with the rest; `None` if it is not complete.
    ///
    /// # Panics
    ///
    /// Fails the test if it has a type without a meaning.
    #[must_use]
    #[track_caller]
    pub fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = parse_varint(bytes)?;
        let (length, rest) = parse_varint(rest)?;
        let (payload, rest) = rest.split_at_checked(length as usize)?;
        let by_opener = head.is_multiple_of(2);
        let kind = match head & 7 {
            0 => Kind::Open,
            1 | 2 => Kind::Data { by_opener },
            3 | 4 => Kind::End { by_opener },
            5 | 6 => Kind::Destroy { by_opener },
            _ => fail("The program has sent a frame of type 7, which has no meaning."),
        };
        Some((Self::new(kind, head >> 3, payload), rest))
    }
}

/// Encodes a number: seven bits in each byte, the lowest first.
#[must_use]
pub fn varint(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 127 {
        let [low, ..] = number.to_le_bytes();
        bytes.push(low | 128);
        number >>= 7;
    }
    let [low, ..] = number.to_le_bytes();
    bytes.push(low);
    bytes
}

#[track_caller]
fn parse_varint(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut number = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if index == 5 {
            fail("The program has sent a number of more than five bytes.");
        }
        number |= u32::from(byte & 127) << (7 * index);
        if byte < 128 {
            return Some((number, &bytes[index + 1..]));
        }
    }
    None
}
