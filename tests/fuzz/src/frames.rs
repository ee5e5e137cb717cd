//! Target: the frames in any bytes, however these are cut, are those that a simple decoder finds in the whole.

use stage5_mux::tunnel::frame::{Frame, Violation};
use stage5_mux::tunnel::multiplex::Multiplex;
use stage5_mux::tunnel::reader::{Piece, Reader};
use stage5_mux::tunnel::role::Role;
use stage5_mux::tunnel::wire::Wire;
use stage5_mux::tunnel::yamux::Yamux;

use crate::plain::{self, Plain};
use crate::script::Script;

/// What was found: each frame with the bytes behind it, and what was wrong with the rest.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    frames: Vec<(Frame, Vec<u8>)>,
    error: Option<Violation>,
}

/// Reads yamux.
pub(crate) fn yamux(input: &[u8]) {
    let mut script = Script::new(input);
    let role = if script.byte().is_multiple_of(2) {
        Role::Client
    } else {
        Role::Server
    };
    check(&Yamux::new(role), |bytes| plain::yamux(bytes, role), script);
}

/// Reads multiplex.
pub(crate) fn multiplex(input: &[u8]) {
    check(&Multiplex, plain::multiplex, Script::new(input));
}

fn check(wire: &impl Wire, plain: impl Fn(&[u8]) -> Plain, mut script: Script<'_>) {
    let room = usize::from(script.byte()) + 1;
    let cuts: [usize; 3] = std::array::from_fn(|_| usize::from(script.byte()) + 1);
    let bytes = script.take_all();
    let expected = all_of(plain, bytes);
    assert_eq!(read(wire, [bytes], usize::MAX), expected, "in one piece");
    assert_eq!(read(wire, bytes.chunks(1), room), expected, "byte by byte");
    let pieces = pieces(bytes, cuts);
    assert_eq!(read(wire, pieces, room), expected, "cut after {cuts:?}");
}

/// Cuts bytes into pieces of the given lengths, in turn.
fn pieces(mut bytes: &[u8], lengths: [usize; 3]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    for length in lengths.into_iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (piece, rest) = bytes.split_at(length.min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// Reads the bytes frame by frame, each from its own beginning.
fn all_of(plain: impl Fn(&[u8]) -> Plain, mut bytes: &[u8]) -> Found {
    let mut found = Found::default();
    loop {
        match plain(bytes) {
            Plain::Frame(frame, length) => {
                bytes = &bytes[length..];
                let behind = frame.bytes_behind() as usize;
                let (payload, rest) = bytes.split_at(behind.min(bytes.len()));
                found.frames.push((frame, payload.to_vec()));
                bytes = rest;
            }
            Plain::Wrong(violation) => {
                found.error = Some(violation);
                return found;
            }
            Plain::Partial => return found,
        }
    }
}

/// Reads the bytes with the reader, with at most `room` bytes of payload at a time.
fn read<'a>(wire: &impl Wire, pieces: impl IntoIterator<Item = &'a [u8]>, room: usize) -> Found {
    let mut reader = Reader::default();
    let mut found = Found::default();
    for mut piece in pieces {
        while found.error.is_none() {
            match reader.take(wire, &mut piece, room) {
                Ok(Some(Piece::Frame(frame))) => found.frames.push((frame, Vec::new())),
                Ok(Some(Piece::Payload(bytes))) => append(&mut found, bytes, room),
                Ok(None) => break,
                Err(violation) => found.error = Some(violation),
            }
        }
        assert!(piece.is_empty() || found.error.is_some(), "bytes are left");
    }
    let (missing, behind) = match found.frames.last() {
        Some((frame, payload)) => (
            reader.payload_left() as usize,
            frame.bytes_behind() as usize - payload.len(),
        ),
        None => (0, 0),
    };
    assert!(
        found.error.is_some() || missing == behind,
        "{missing} bytes are missing, not {behind}"
    );
    found
}

fn append(found: &mut Found, bytes: &[u8], room: usize) {
    assert!(!bytes.is_empty() && bytes.len() <= room);
    let (_, payload) = found.frames.last_mut().expect("payload follows a header");
    payload.extend_from_slice(bytes);
}
