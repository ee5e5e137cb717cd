//! Bytes that wait, and the end behind them, written in one call.

use super::*;

/// Returns a direction whose source has ended, with bytes that still wait.
fn ended() -> Rig {
    let mut rig = Rig::new(unix, &limits());
    rig.flow.half.keep(b"hello");
    rig.flow.half.end_of_input();
    rig
}

#[test]
fn the_end_leaves_with_the_last_bytes() {
    let mut rig = ended();
    rig.sink.writable = true;
    rig.flow.flush(&mut rig.sink).unwrap();
    assert_eq!(
        rig.read(),
        Ok(5),
        "flush() should write the 5 bytes that wait, in one call"
    );
    assert_eq!(
        rig.flow.half.state(),
        HalfState::Closed,
        "flush() wrote the last bytes of a direction whose source has ended, and left the FIN owed. The sink has room, so no \
         further event may come, and its reader waits for the end: after the bytes, ask the half whether it owes its FIN now"
    );
}

#[test]
fn the_end_waits_for_bytes_that_the_sink_does_not_take() {
    let mut rig = ended();
    rig.sink.writable = false;
    rig.flow.flush(&mut rig.sink).unwrap();
    assert_eq!(
        (rig.pending(), rig.flow.half.state()),
        ((5, 0), HalfState::Draining),
        "the sink was full: the 5 bytes still wait, and the FIN has to come behind them"
    );
}
