//! The two wires once more, as a reader of their documents would decode them: whole input, no state, no speed.

use stage5_mux::tunnel::frame::{Body, Frame, Reason, Signals, StreamId, Violation};
use stage5_mux::tunnel::role::{Opener, Role};

/// The longest frame that is taken.
const MAX_FRAME: u32 = 1024 * 1024;

/// The front of the input.
#[derive(Debug)]
pub(crate) enum Plain {
    /// A frame, and the length of its header.
    Frame(Frame, usize),
    /// The bytes end in a header.
    Partial,
    /// The bytes are no header, whatever follows them.
    Wrong(Violation),
}

fn big_endian(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |number, &byte| number << 8 | u32::from(byte))
}

/// Decodes a header of yamux that has arrived at this end.
pub(crate) fn yamux(bytes: &[u8], role: Role) -> Plain {
    if bytes.first().is_some_and(|&version| version != 0) {
        return Plain::Wrong(Violation::UnknownVersion);
    }
    if bytes.get(1).is_some_and(|&kind| kind > 3) {
        return Plain::Wrong(Violation::UnknownType);
    }
    if bytes.len() < 12 {
        return Plain::Partial;
    }
    let (number, length) = (big_endian(&bytes[4..8]), big_endian(&bytes[8..12]));
    let asks = bytes[3] & 1 == 1;
    let frame = match bytes[1] {
        2 if asks => Frame::Ping(length),
        2 => Frame::Pong(length),
        3 => Frame::GoAway(reason(length)),
        _ if number == 0 => return Plain::Wrong(Violation::StreamZero),
        0 if length > MAX_FRAME => return Plain::Wrong(Violation::FrameTooLong),
        kind => Frame::Stream {
            id: StreamId {
                opener: opener(number, role),
                number,
            },
            signals: signals(bytes[3]),
            body: if kind == 0 {
                Body::Payload(length)
            } else {
                Body::Credit(length)
            },
        },
    };
    Plain::Frame(frame, 12)
}

fn reason(code: u32) -> Reason {
    match code {
        0 => Reason::Normal,
        1 => Reason::ProtocolError,
        _ => Reason::InternalError,
    }
}

fn opener(number: u32, role: Role) -> Opener {
    let is_odd = number & 1 == 1;
    if is_odd == (role == Role::Client) {
        Opener::Us
    } else {
        Opener::Peer
    }
}

fn signals(flags: u8) -> Signals {
    let all = [
        Signals::OPEN,
        Signals::ACCEPT,
        Signals::FINISH,
        Signals::RESET,
    ];
    let set = all
        .into_iter()
        .enumerate()
        .filter(|(bit, _)| flags >> bit & 1 == 1);
    set.fold(Signals::NONE, |set, (_, signal)| set | signal)
}

/// Decodes a header of multiplex.
pub(crate) fn multiplex(bytes: &[u8]) -> Plain {
    let (head, first) = match number(bytes) {
        Number::Value(head, length) => (head, length),
        Number::Partial => return Plain::Partial,
        Number::TooLarge => return Plain::Wrong(Violation::NumberTooLarge),
    };
    let (length, second) = match number(&bytes[first..]) {
        Number::Value(value, length) => (value, length),
        Number::Partial => return Plain::Partial,
        Number::TooLarge => return Plain::Wrong(Violation::NumberTooLarge),
    };
    if length > MAX_FRAME {
        return Plain::Wrong(Violation::FrameTooLong);
    }
    Plain::Frame(channel_frame(head, length), first + second)
}

fn channel_frame(head: u32, length: u32) -> Frame {
    let (opener, signals, body) = match head % 8 {
        0 => (Opener::Peer, Signals::OPEN, Body::Note(length)),
        1 => (Opener::Us, Signals::NONE, Body::Payload(length)),
        2 => (Opener::Peer, Signals::NONE, Body::Payload(length)),
        3 => (Opener::Us, Signals::FINISH, Body::Note(length)),
        4 => (Opener::Peer, Signals::FINISH, Body::Note(length)),
        5 => (Opener::Us, Signals::RESET, Body::Note(length)),
        6 => (Opener::Peer, Signals::RESET, Body::Note(length)),
        _ => return Frame::Undefined(length),
    };
    let id = StreamId {
        opener,
        number: head / 8,
    };
    Frame::Stream { id, signals, body }
}

enum Number {
    Value(u32, usize),
    Partial,
    TooLarge,
}

/// Decodes an unsigned LEB128 number of at most five bytes and 32 bits.
fn number(bytes: &[u8]) -> Number {
    let Some(last) = bytes.iter().take(5).position(|byte| byte & 128 == 0) else {
        let is_wrong = bytes.len() >= 5;
        return if is_wrong {
            Number::TooLarge
        } else {
            Number::Partial
        };
    };
    let value = bytes[..=last]
        .iter()
        .rev()
        .fold(0_u64, |value, &byte| value << 7 | u64::from(byte & 127));
    match u32::try_from(value) {
        Ok(value) => Number::Value(value, last + 1),
        Err(_) => Number::TooLarge,
    }
}
