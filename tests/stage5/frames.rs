//! Exercise 5.7: frames in a stream of bytes that is cut anywhere, through the library and over a link.

use harness::wire::{multiplex, yamux};
use harness::{Client, Scripted, Test, expect_bytes};
use stage5_mux::tunnel::frame::{Body, Frame, Signals, StreamId, Violation};
use stage5_mux::tunnel::multiplex::Multiplex;
use stage5_mux::tunnel::reader::{Piece, Reader};
use stage5_mux::tunnel::role::{Opener, Role};
use stage5_mux::tunnel::wire::{Decoded, Wire};
use stage5_mux::tunnel::yamux::Yamux;

use crate::tunnel_ends::server_on;

/// Frames, each with the bytes behind its header.
type Found = Vec<(Frame, Vec<u8>)>;

/// Reads the frames in pieces of a link, with `room` bytes of payload at a time.
#[track_caller]
fn read(wire: &impl Wire, pieces: &[&[u8]], room: usize) -> Found {
    let (mut reader, mut found) = (Reader::default(), Found::new());
    for mut rest in pieces.iter().copied() {
        while let Some(piece) = reader
            .take(wire, &mut rest, room)
            .expect("these are frames")
        {
            match piece {
                Piece::Frame(frame) => found.push((frame, Vec::new())),
                Piece::Payload(bytes) => {
                    assert!(
                        bytes.len() <= room,
                        "{} bytes, and room for {room}",
                        bytes.len()
                    );
                    found.last_mut().expect("a header first").1.extend(bytes);
                }
            }
        }
        assert!(
            rest.is_empty(),
            "{} bytes of a piece were not taken",
            rest.len()
        );
    }
    found
}

fn channel(number: u32, signals: Signals, body: Body) -> Frame {
    let opener = Opener::Peer;
    let id = StreamId { opener, number };
    Frame::Stream { id, signals, body }
}

/// What a peer sends that opens channel 16, says 200 bytes and ends it; and the frames in it.
fn conversation() -> (Vec<u8>, Found) {
    let payload = harness::Rng::for_test().nonce(200);
    let by_opener = true;
    let sent = [
        multiplex::Frame::new(multiplex::Kind::Open, 16, b"hello"),
        multiplex::Frame::new(multiplex::Kind::Data { by_opener }, 16, &payload),
        multiplex::Frame::new(multiplex::Kind::End { by_opener }, 16, b""),
    ];
    let found = vec![
        (channel(16, Signals::OPEN, Body::Note(5)), b"hello".to_vec()),
        (channel(16, Signals::NONE, Body::Payload(200)), payload),
        (channel(16, Signals::FINISH, Body::Note(0)), Vec::new()),
    ];
    (
        sent.iter().flat_map(multiplex::Frame::bytes).collect(),
        found,
    )
}

#[test]
fn e57_frames_are_the_same_wherever_the_link_is_cut() {
    let _test = Test::begin(
        "A read brings any number of bytes: half a header, three frames, three and a half.",
    );
    let (bytes, expected) = conversation();
    assert_eq!(
        read(&Multiplex, &[&bytes], usize::MAX),
        expected,
        "in one piece"
    );
    let single: Vec<_> = bytes.chunks(1).collect();
    assert_eq!(
        read(&Multiplex, &single, usize::MAX),
        expected,
        "byte by byte"
    );
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            let found = read(&Multiplex, &pieces, usize::MAX);
            assert_eq!(found, expected, "cut at {first} and {second}");
        }
    }
}

#[test]
fn e57_yamux_headers_are_the_same_wherever_the_link_is_cut() {
    let _test = Test::begin("A header of twelve bytes may come in twelve reads.");
    let sent = [
        yamux::Frame::ping(0x0102_0304),
        yamux::Frame::pong(7),
        yamux::Frame::ping(9),
    ];
    let bytes: Vec<u8> = sent.iter().flat_map(yamux::Frame::bytes).collect();
    let expected: Found = [Frame::Ping(0x0102_0304), Frame::Pong(7), Frame::Ping(9)]
        .map(|frame| (frame, Vec::new()))
        .into();
    let wire = Yamux::new(Role::Server);
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            let found = read(&wire, &pieces, usize::MAX);
            assert_eq!(found, expected, "cut at {first} and {second}");
        }
    }
}

#[test]
fn e57_payload_passes_by_as_it_comes_and_only_as_far_as_there_is_room() {
    let _test = Test::begin("A frame is never put together: it may have a mebibyte.");
    let (bytes, expected) = conversation();
    assert_eq!(
        read(&Multiplex, &[&bytes], 3),
        expected,
        "three bytes at a time"
    );
    let mut reader = Reader::default();
    let mut rest: &[u8] = &[2, 5, b'a', b'b'];
    let header = reader.take(&Multiplex, &mut rest, 0);
    let frame = channel(0, Signals::NONE, Body::Payload(5));
    assert_eq!(
        header,
        Ok(Some(Piece::Frame(frame))),
        "a header needs no room"
    );
    assert_eq!(
        reader.payload_left(),
        5,
        "bytes of the frame that are still to come"
    );
    assert_eq!(reader.take(&Multiplex, &mut rest, 0), Ok(None), "no room");
    expect_bytes("The bytes that nothing has taken", b"ab", rest);
    let piece = reader.take(&Multiplex, &mut rest, 9);
    assert_eq!(
        piece,
        Ok(Some(Piece::Payload(b"ab"))),
        "the read's, not the frame's"
    );
    assert_eq!(
        (reader.payload_left(), rest),
        (3, &b""[..]),
        "bytes of the frame still to come, and of the input"
    );
    // The rest of the frame, and a header behind it.
    rest = &[b'c', b'd', b'e', 4, 0];
    let piece = reader.take(&Multiplex, &mut rest, 9);
    assert_eq!(
        piece,
        Ok(Some(Piece::Payload(b"cde"))),
        "and no byte of the next frame"
    );
    let end = channel(0, Signals::FINISH, Body::Note(0));
    let header = reader.take(&Multiplex, &mut rest, 9);
    assert_eq!(
        header,
        Ok(Some(Piece::Frame(end))),
        "the header behind the payload"
    );
}

#[test]
fn e57_a_number_has_seven_bits_in_each_byte() {
    let _test =
        Test::begin("LEB128: the lowest bits come first; the high bit says that more follow.");
    let table = [
        (0, vec![0]),
        (15, vec![0x78]),
        (16, vec![0x80, 1]),
        (300, vec![0xe0, 0x12]),
        (1 << 20, vec![0x80, 0x80, 0x80, 4]),
        ((1 << 29) - 1, vec![0xf8, 0xff, 0xff, 0xff, 15]),
    ];
    for (number, head) in table {
        let bytes = [&head[..], &[0]].concat();
        let decoded = Multiplex.decode(&bytes);
        let frame = channel(number, Signals::OPEN, Body::Note(0));
        let length = bytes.len();
        assert_eq!(
            decoded,
            Ok(Decoded::Complete { frame, length }),
            "{bytes:x?}"
        );
        for end in 0..length {
            let part = Multiplex.decode(&bytes[..end]);
            assert_eq!(part, Ok(Decoded::Partial), "{:x?} of it", &bytes[..end]);
        }
    }
}

#[test]
fn e57_a_number_that_does_not_fit_is_refused() {
    let _test =
        Test::begin("32 bits are four times seven and four more; a sixth byte never comes.");
    for bytes in [
        &[0x80, 0x80, 0x80, 0x80, 0x10][..],
        &[0xff, 0xff, 0xff, 0xff, 0x7f],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 1],
        // The length, behind a channel.
        &[2, 0x80, 0x80, 0x80, 0x80, 0x10],
    ] {
        let decoded = Multiplex.decode(bytes);
        assert_eq!(decoded, Err(Violation::NumberTooLarge), "{bytes:x?}");
    }
}

#[test]
fn e57_a_ping_is_answered_wherever_its_header_is_cut() {
    let _test = Test::begin("The server reads a part of a header, and waits for the rest.");
    let upstream = Scripted::echo();
    let server = server_on("127.0.0.1:0", upstream.addr(), &[]);
    let link = Client::connect(server.addr());
    for cut in 1..yamux::HEADER {
        let value = 1000 + u32::try_from(cut).expect("small");
        let ping = yamux::Frame::ping(value).bytes();
        link.send(&ping[..cut]);
        link.wait_until_read();
        link.send(&ping[cut..]);
        link.expect(&yamux::Frame::pong(value).bytes());
    }
}

#[test]
fn e57_a_read_may_end_in_the_middle_of_the_second_frame() {
    let _test = Test::begin("One frame and a half: the first is answered now, the second later.");
    let upstream = Scripted::echo();
    let server = server_on("127.0.0.1:0", upstream.addr(), &[]);
    let link = Client::connect(server.addr());
    let next = yamux::Frame::ping(2).bytes();
    let (begin, rest) = next.split_at(5);
    link.send(&[&yamux::Frame::ping(1).bytes(), begin].concat());
    link.expect(&yamux::Frame::pong(1).bytes());
    link.send(rest);
    link.expect(&yamux::Frame::pong(2).bytes());
}
