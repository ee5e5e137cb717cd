//! multiplex: the frames of the npm library of that name, which have no windows.
//!
//! ```text
//!   ┌──────────────────────────────┬────────────────┬─────────────────┐
//!   │ varint: channel << 3 | type  │ varint: length │ length bytes    │
//!   └──────────────────────────────┴────────────────┴─────────────────┘
//!   types: 0 open (the bytes are a name), 7 undefined
//!          sent by the end that has opened the channel: 2 data, 4 end, 6 destroy
//!          sent by the other end:                       1 data, 3 end, 5 destroy
//! ```
//!
//! A varint is LEB128, unsigned: seven bits in each byte, the lowest first, and the high bit says that more follow.
//! Both ends number their channels from 0.

mod varint;

use crate::tunnel::frame::{Body, Frame, Outgoing, Saying, Signals, StreamId, Violation};
use crate::tunnel::multiplex::varint::Varint;
use crate::tunnel::role::Opener;
use crate::tunnel::wire::{Decoded, Header, MAX_FRAME, Wire};

const OPEN: u32 = 0;
const DATA: u32 = 1;
const END: u32 = 3;
const DESTROY: u32 = 5;
const UNDEFINED: u32 = 7;

/// Added to a type by the end that has opened the channel.
const BY_OPENER: u32 = 1;

/// The number of channels that one end can open: the original library counts in 32 bits with the sign, type included.
const MAX_CHANNELS: u32 = 1 << 28;

/// The multiplex wire; it looks the same from both ends.
#[derive(Clone, Copy, Debug)]
pub struct Multiplex;

impl Wire for Multiplex {
    const NAME: &'static str = "multiplex";
    const HAS_WINDOWS: bool = false;
    const HAS_PINGS: bool = false;
    // No peer counts it: it is the number of bytes that are held for a reader that is slow.
    const INITIAL_WINDOW: u32 = 256 * 1024;
    // The largest length with two bytes of varint.
    const MAX_SLICE: usize = 16 * 1024 - 1;

    fn decode(&self, input: &[u8]) -> Result<Decoded, Violation> {
        let Varint::Complete(head, head_length) = varint::decode(input)? else {
            return Ok(Decoded::Partial);
        };
        let Varint::Complete(length, length_length) = varint::decode(&input[head_length..])? else {
            return Ok(Decoded::Partial);
        };
        if length > MAX_FRAME {
            return Err(Violation::FrameTooLong);
        }
        Ok(Decoded::Complete {
            frame: frame(head >> 3, head & 7, length),
            length: head_length + length_length,
        })
    }

    fn encode(&self, frame: Outgoing) -> Header {
        let mut header = Header::empty();
        let (id, kind, length) = match frame {
            Outgoing::Stream(id, Saying::Open) => (id, OPEN, 0),
            Outgoing::Stream(id, Saying::Payload(length)) => (id, directed(DATA, id), length),
            Outgoing::Stream(id, Saying::Finish) => (id, directed(END, id), 0),
            Outgoing::Stream(id, Saying::Reset) => (id, directed(DESTROY, id), 0),
            Outgoing::Stream(_, Saying::Accept | Saying::Credit(_))
            | Outgoing::Ping(_)
            | Outgoing::Pong(_)
            | Outgoing::GoAway(_) => return header,
        };
        varint::encode(id.number << 3 | kind, &mut header);
        varint::encode(length, &mut header);
        header
    }

    fn number(&self, opened: u32) -> Option<StreamId> {
        (opened < MAX_CHANNELS).then_some(StreamId {
            opener: Opener::Us,
            number: opened,
        })
    }
}

/// Returns the type for a frame that we send.
fn directed(kind: u32, id: StreamId) -> u32 {
    match id.opener {
        Opener::Us => kind + BY_OPENER,
        Opener::Peer => kind,
    }
}

/// Returns what a frame of the peer says. The sender of an even type is the opener of the channel.
fn frame(number: u32, kind: u32, length: u32) -> Frame {
    let opener = if kind.is_multiple_of(2) {
        Opener::Peer
    } else {
        Opener::Us
    };
    let (signals, body) = match kind {
        OPEN => (Signals::OPEN, Body::Note(length)),
        1 | 2 => (Signals::NONE, Body::Payload(length)),
        // The original sends no bytes with an end; whatever a peer sends here, it is no payload.
        3 | 4 => (Signals::FINISH, Body::Note(length)),
        5 | 6 => (Signals::RESET, Body::Note(length)),
        UNDEFINED.. => return Frame::Undefined(length),
    };
    Frame::Stream {
        id: StreamId { opener, number },
        signals,
        body,
    }
}

#[cfg(test)]
mod tests;
