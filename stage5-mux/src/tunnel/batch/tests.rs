//! The order of frames around partial writes.

use super::*;

fn key(slot: u32) -> StreamKey {
    StreamKey::new(slot, 1)
}

/// Plans a payload of the given letter, with a header of one byte.
fn plan(batch: &mut Batch, slot: u32, letter: u8, length: usize, place: Place) {
    batch.payload_room(2, length)[..length].fill(letter);
    batch.commit(
        key(slot),
        (&[letter.to_ascii_uppercase()], 2),
        length,
        place,
    );
}

fn text(batch: &Batch) -> String {
    let bytes: Vec<u8> = batch.slices().flatten().copied().collect();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn only_the_frame_that_has_begun_is_fixed() {
    let mut batch = Batch::new(64);
    batch.begin_turn();
    plan(&mut batch, 1, b'a', 4, Place::Back);
    plan(&mut batch, 2, b'b', 4, Place::Back);
    assert_eq!(text(&batch), "AaaaaBbbbb");
    batch.written(2, |_| panic!("no stream has ended"));
    batch.begin_turn();
    batch.push(Kind::Control, b"1", Place::Front);
    batch.push(Kind::Control, b"2", Place::Front);
    plan(&mut batch, 3, b'c', 2, Place::Front);
    plan(&mut batch, 1, b'd', 1, Place::Back);
    assert_eq!(text(&batch), "aaa12CccBbbbbDd");
    // At a border between frames, nothing is fixed.
    batch.written(3, |_| {});
    batch.begin_turn();
    batch.push(Kind::Control, b"3", Place::Front);
    assert_eq!(
        text(&batch),
        "123CccBbbbbDd",
        "control frames keep their order"
    );
}

#[test]
fn the_end_of_a_stream_is_told_when_its_last_byte_is_out() {
    let mut batch = Batch::new(64);
    batch.begin_turn();
    plan(&mut batch, 1, b'a', 2, Place::Back);
    batch.push(Kind::Finish(key(1)), b"FF", Place::Back);
    let mut finished = Vec::new();
    batch.written(4, |key| finished.push(key));
    assert_eq!(finished, []);
    batch.written(1, |key| finished.push(key));
    assert_eq!(finished, [key(1)]);
    assert!(batch.is_empty());
}

#[test]
fn a_stream_that_is_given_up_takes_only_what_has_begun() {
    let mut batch = Batch::new(64);
    batch.begin_turn();
    plan(&mut batch, 1, b'a', 2, Place::Back);
    plan(&mut batch, 2, b'b', 2, Place::Back);
    plan(&mut batch, 1, b'c', 2, Place::Back);
    batch.written(1, |_| {});
    batch.discard(key(1));
    assert_eq!(text(&batch), "aaBbb");
    batch.discard_all();
    assert_eq!(text(&batch), "aa");
    batch.written(2, |_| {});
    assert!(batch.is_empty() && batch.has_room());
}

#[test]
fn frames_in_order_are_one_slice() {
    let mut batch = Batch::new(64);
    batch.begin_turn();
    batch.push(Kind::Control, b"1", Place::Front);
    batch.push(Kind::Control, b"2", Place::Front);
    assert_eq!(batch.slices().count(), 1);
}

#[test]
fn the_memory_is_bounded_although_the_batch_is_never_empty() {
    let mut batch = Batch::new(64);
    let mut expected = String::new();
    let mut seen = String::new();
    for turn in 0..1000_u32 {
        batch.begin_turn();
        let letter = b'a' + u8::try_from(turn % 26).unwrap();
        while batch.has_room() {
            plan(&mut batch, 1, letter, 10, Place::Back);
            expected.push_str(&String::from_utf8(vec![letter; 11]).unwrap());
        }
        seen.push_str(&text(&batch)[..50]);
        batch.written(50, |_| {});
        assert!(
            !batch.is_empty() && batch.memory.len() <= 512,
            "{}",
            batch.memory.len()
        );
    }
    assert!(expected.starts_with(&seen.to_ascii_lowercase()));
}
