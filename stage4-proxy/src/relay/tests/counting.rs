//! A direction that may move a number of bytes and no more.

use super::*;

#[test]
fn no_byte_behind_the_last_one_is_read_and_each_turn_has_an_end() {
    let mut rig = Rig::new(unix, &limits());
    rig.sink.writable = true;
    rig.deliver(&vec![7; CHUNK * 3]);
    let mut rest = (CHUNK * 2 + 1) as u64;
    let mut moved = Vec::new();
    while rest > 0 {
        let pumped =
            rig.flow
                .pump_at_most(&mut rest, &mut rig.source, &mut rig.sink, &mut rig.scratch);
        moved.push((pumped.unwrap(), rest));
    }
    let turns = [
        (Progress::Unfinished, CHUNK as u64 + 1),
        (Progress::Unfinished, 1),
        (Progress::Idle, 0),
    ];
    assert_eq!(moved, turns, "a turn of these limits moves one chunk");
    assert!(rig.source.readable, "the bytes behind it are still there");
}
