//! Frames cut anywhere are the same frames.

use harness::expect_value;
use proptest::prelude::*;

use super::*;
use crate::tunnel::frame::{Outgoing, Saying, StreamId};
use crate::tunnel::multiplex::Multiplex;
use crate::tunnel::role::{Opener, Role};
use crate::tunnel::yamux::Yamux;

/// What a reader has found: each frame with the bytes behind it.
type Found = Vec<(Frame, Vec<u8>)>;

/// Reads all of `parts`, with at most `room` bytes of payload at a time.
fn read(wire: &impl Wire, parts: &[&[u8]], room: usize) -> (Found, Option<Violation>) {
    let mut reader = Reader::default();
    let mut found = Found::new();
    for mut part in parts.iter().copied() {
        loop {
            match reader.take(wire, &mut part, room) {
                Ok(Some(Piece::Frame(frame))) => found.push((frame, Vec::new())),
                Ok(Some(Piece::Payload(bytes))) => {
                    assert!(
                        bytes.len() <= room,
                        "a piece of payload has {} bytes, but there is room for {room}",
                        bytes.len()
                    );
                    let frame = found.last_mut().expect("no payload comes before a frame");
                    frame.1.extend(bytes);
                }
                Ok(None) => break,
                Err(violation) => return (found, Some(violation)),
            }
        }
        assert!(
            part.is_empty(),
            "None means that the input is used up, but {} bytes are left",
            part.len()
        );
    }
    (found, None)
}

/// Cuts bytes at the given places.
fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = places
        .iter()
        .map(|place| place.index(bytes.len() + 1))
        .collect();
    places.sort_unstable();
    let ends = places.iter().copied().chain([bytes.len()]);
    let starts = [0].into_iter().chain(places.iter().copied());
    starts
        .zip(ends)
        .map(|(start, end)| &bytes[start..end])
        .collect()
}

/// Frames as a peer writes them, with their payload.
fn written(wire: &impl Wire, payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, payload) in (1..).zip(payloads) {
        let id = StreamId {
            opener: Opener::Us,
            number,
        };
        let length = u32::try_from(payload.len()).unwrap();
        for saying in [Saying::Open, Saying::Payload(length)] {
            bytes.extend(wire.encode(Outgoing::Stream(id, saying)).as_bytes());
        }
        bytes.extend(payload);
    }
    bytes
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..12)
}

fn check_any_cut(wire: &impl Wire, bytes: &[u8], places: &[prop::sample::Index], room: usize) {
    let whole = read(wire, &[bytes], usize::MAX);
    let parts = cut(bytes, places);
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    let cause = "a read ends anywhere: the reader holds the beginning of a header, and its length counts those bytes, too.";
    expect_value(
        format!("What is read of {bytes:?} in parts of {lengths:?} bytes"),
        &whole,
        &read(wire, &parts, room),
        cause,
    );
    let single: Vec<_> = bytes.chunks(1).collect();
    expect_value(
        format!("What is read of {bytes:?}, byte by byte,"),
        &whole,
        &read(wire, &single, room),
        cause,
    );
}

proptest! {
    #[test]
    fn yamux_frames_may_be_cut_anywhere(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8), places in cuts(), room in 1..50_usize,
    ) {
        let wire = Yamux::new(Role::Client);
        let bytes = written(&wire, &payloads);
        let (found, violation) = read(&wire, &[&bytes], usize::MAX);
        prop_assert_eq!(violation, None);
        let found: Vec<_> = found.into_iter().skip(1).step_by(2).map(|(_, payload)| payload).collect();
        prop_assert_eq!(found, payloads);
        check_any_cut(&wire, &bytes, &places, room);
    }

    #[test]
    fn multiplex_frames_may_be_cut_anywhere(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8), places in cuts(), room in 1..50_usize,
    ) {
        let bytes = written(&Multiplex, &payloads);
        let (found, violation) = read(&Multiplex, &[&bytes], usize::MAX);
        prop_assert_eq!(violation, None);
        let found: Vec<_> = found.into_iter().skip(1).step_by(2).map(|(_, payload)| payload).collect();
        prop_assert_eq!(found, payloads);
        check_any_cut(&Multiplex, &bytes, &places, room);
    }

    #[test]
    fn any_bytes_mean_the_same_however_they_are_cut(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0..8_u8], 0..200), places in cuts()) {
        check_any_cut(&Yamux::new(Role::Server), &bytes, &places, 7);
        check_any_cut(&Multiplex, &bytes, &places, 7);
    }
}

#[test]
fn without_room_the_payload_stays_in_the_input() {
    let bytes = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 7, 8];
    let wire = Yamux::new(Role::Client);
    let mut reader = Reader::default();
    let mut input = &bytes[..];
    let header = reader.take(&wire, &mut input, 0);
    assert!(
        matches!(header, Ok(Some(Piece::Frame(_)))),
        "a header needs no room, but take returns {header:?}"
    );
    expect_value(
        "What is taken when payload is there, and no room for it,",
        &Ok(None),
        &reader.take(&wire, &mut input, 0),
        "a piece has at most `room` bytes, and one of 0 bytes is none.",
    );
    expect_value(
        "The input and the payload that is left, after that,",
        &(&[7, 8][..], 2),
        &(input, reader.payload_left()),
        "what was not taken stays in the input.",
    );
    expect_value(
        "What is taken when there is room for 9 bytes of 2",
        &Ok(Some(Piece::Payload(&[7, 8]))),
        &reader.take(&wire, &mut input, 9),
        "as many bytes are taken as there are.",
    );
    expect_value(
        "The payload that is left at its end",
        &0,
        &reader.payload_left(),
        "each piece is subtracted: behind_header gives the next position.",
    );
}
