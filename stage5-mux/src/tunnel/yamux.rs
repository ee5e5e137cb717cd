//! yamux: a header of twelve bytes, and a window for each direction of each stream.
//!
//! ```text
//!    0         1         2                   4                                     8                                     12
//!   ┌─────────┬─────────┬───────────────────┬─────────────────────────────────────┬─────────────────────────────────────┐
//!   │ version │ type    │ flags             │ stream id                           │ length                              │
//!   │ 0       │         │ SYN 1  ACK 2      │ odd: opened by the client           │ data: bytes that follow             │
//!   │         │         │ FIN 4  RST 8      │ even: opened by the server          │ window update: credit               │
//!   │         │         │                   │ 0: the session                      │ ping: a value; go away: a code      │
//!   └─────────┴─────────┴───────────────────┴─────────────────────────────────────┴─────────────────────────────────────┘
//!   types: 0 data, 1 window update, 2 ping (SYN asks, ACK answers), 3 go away; integers are big endian
//! ```
//!
//! Source: the specification of hashicorp/yamux (`spec.md`).

use crate::tunnel::frame::{Body, Frame, Outgoing, Reason, Saying, Signals, StreamId, Violation};
use crate::tunnel::role::{Opener, Role};
use crate::tunnel::wire::{Decoded, Header, MAX_FRAME, MAX_HEADER, Wire};

const VERSION: u8 = 0;

const DATA: u8 = 0;
const WINDOW_UPDATE: u8 = 1;
const PING: u8 = 2;
const GO_AWAY: u8 = 3;

const NONE: u16 = 0;
const SYN: u16 = 1;
const ACK: u16 = 2;
const FIN: u16 = 4;
const RST: u16 = 8;

/// The yamux wire, as one end of the link sees it.
#[derive(Clone, Copy, Debug)]
pub struct Yamux {
    role: Role,
}

impl Yamux {
    /// Creates the wire for one end of a link.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Self { role }
    }

    /// Returns the stream with this number: the client's are odd, the server's are even.
    fn stream(self, number: u32) -> StreamId {
        let of_client = number % 2 == 1;
        let opener = match self.role {
            Role::Client if of_client => Opener::Us,
            Role::Server if !of_client => Opener::Us,
            Role::Client | Role::Server => Opener::Peer,
        };
        StreamId { opener, number }
    }

    fn stream_frame(self, number: u32, flags: u16, body: Body) -> Result<Frame, Violation> {
        if number == 0 {
            return Err(Violation::StreamZero);
        }
        if body.bytes_behind() > MAX_FRAME {
            return Err(Violation::FrameTooLong);
        }
        Ok(Frame::Stream {
            id: self.stream(number),
            signals: Signals::from_flags(flags),
            body,
        })
    }
}

impl Wire for Yamux {
    const NAME: &'static str = "yamux";
    const HAS_WINDOWS: bool = true;
    const HAS_PINGS: bool = true;
    const INITIAL_WINDOW: u32 = 256 * 1024;
    // As much as a stream sends that is alone on a fast link; the rate of the link and the other streams allow less.
    const MAX_SLICE: usize = 256 * 1024;

    fn decode(&self, input: &[u8]) -> Result<Decoded, Violation> {
        match *input {
            [version, ..] if version != VERSION => return Err(Violation::UnknownVersion),
            [_, kind, ..] if kind > GO_AWAY => return Err(Violation::UnknownType),
            _ => {}
        }
        let Some(&[_, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3]) =
            input.first_chunk::<MAX_HEADER>()
        else {
            return Ok(Decoded::Partial);
        };
        let flags = u16::from_be_bytes([f0, f1]);
        let number = u32::from_be_bytes([s0, s1, s2, s3]);
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let frame = match kind {
            DATA => self.stream_frame(number, flags, Body::Payload(length))?,
            WINDOW_UPDATE => self.stream_frame(number, flags, Body::Credit(length))?,
            PING if flags & SYN != 0 => Frame::Ping(length),
            PING => Frame::Pong(length),
            _ => Frame::GoAway(Reason::of(length)),
        };
        Ok(Decoded::Complete {
            frame,
            length: MAX_HEADER,
        })
    }

    fn encode(&self, frame: Outgoing) -> Header {
        let (kind, flags, number, length) = match frame {
            Outgoing::Stream(id, Saying::Open) => (WINDOW_UPDATE, SYN, id.number, 0),
            Outgoing::Stream(id, Saying::Accept) => (WINDOW_UPDATE, ACK, id.number, 0),
            Outgoing::Stream(id, Saying::Credit(credit)) => {
                (WINDOW_UPDATE, NONE, id.number, credit)
            }
            Outgoing::Stream(id, Saying::Payload(length)) => (DATA, NONE, id.number, length),
            Outgoing::Stream(id, Saying::Finish) => (WINDOW_UPDATE, FIN, id.number, 0),
            Outgoing::Stream(id, Saying::Reset) => (WINDOW_UPDATE, RST, id.number, 0),
            Outgoing::Ping(value) => (PING, SYN, 0, value),
            Outgoing::Pong(value) => (PING, ACK, 0, value),
            Outgoing::GoAway(reason) => (GO_AWAY, NONE, 0, reason as u32),
        };
        let mut header = Header::empty();
        header.push(&[VERSION, kind]);
        header.push(&flags.to_be_bytes());
        header.push(&number.to_be_bytes());
        header.push(&length.to_be_bytes());
        header
    }

    fn number(&self, opened: u32) -> Option<StreamId> {
        let first = match self.role {
            Role::Client => 1,
            Role::Server => 2,
        };
        let number = opened.checked_mul(2)?.checked_add(first)?;
        Some(self.stream(number))
    }
}

#[cfg(test)]
mod tests;
