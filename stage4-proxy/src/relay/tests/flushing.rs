//! Bytes that wait, and the end behind them, written in one call.

use harness::{expect_bytes, expect_value, in_time};

use super::*;

/// More bytes than a socket takes at once.
const MUCH: usize = 4 << 20;

impl Rig {
    /// A direction that has `bytes` for a sink with room.
    fn with_pending(bytes: &[u8]) -> Self {
        let mut rig = Self::new(unix, &limits());
        rig.sink.writable = true;
        rig.flow.half.keep(bytes);
        rig
    }

    fn flush(&mut self) {
        let flushed = self.flow.flush(&mut self.sink);
        assert!(
            flushed.is_ok(),
            "the sink works, but flush fails: {flushed:?}"
        );
    }

    /// Returns all bytes that have come to the reader.
    fn arrived(&self) -> Vec<u8> {
        let (mut all, mut room) = (Vec::new(), vec![0; MUCH]);
        while let Ok(count @ 1..) = (&self.reader).read(&mut room) {
            all.extend_from_slice(&room[..count]);
        }
        all
    }
}

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

#[test]
fn a_flush_ends_where_the_sink_is_full() {
    let bytes = harness::Rng::from_seed(7).bytes(MUCH);
    let mut rig = Rig::with_pending(&bytes);
    rig.flow.half.end_of_input();
    let rig = in_time("flush with more bytes than the sink has room for", || {
        rig.flush();
        rig
    });
    let arrived = rig.arrived();
    let half = &rig.flow.half;
    assert!(
        !arrived.is_empty() && arrived.len() < MUCH,
        "{} bytes of {MUCH} came in one call, but the sink has room for a part",
        arrived.len()
    );
    expect_value(
        "The number of bytes that are still pending, when the sink took a part",
        &(MUCH - arrived.len()),
        &half.pending().len(),
        "sent is told the bytes that the write took.",
    );
    let whole = [&arrived, half.pending()].concat();
    assert!(
        whole == bytes,
        "the bytes that have left and those that are pending are not the {MUCH} of before, in their order"
    );
    expect_value(
        "The state when pending bytes are left",
        &HalfState::Draining,
        &half.state(),
        "the FIN comes after the last byte only: see owes_fin.",
    );
}

#[test]
fn bytes_in_a_pipe_leave_and_then_the_end() {
    let mut rig = Rig::with_pending(b"");
    let (pipe, fill) = refused_pipe();
    (&fill).write_all(b"in the pipe").unwrap();
    rig.flow.half.entered_pipe(11);
    rig.flow.pipe = Some(pipe);
    rig.flow.half.end_of_input();
    rig.flush();
    expect_bytes(
        "What the reader has got after one call of flush, with 11 bytes in the pipe",
        b"in the pipe",
        &rig.arrived(),
    );
    expect_value(
        "The state after one call of flush, which had 11 bytes in a pipe and an end to send",
        &HalfState::Closed,
        &rig.flow.half.state(),
        "pending bytes are in the pipe (piped) or in memory (pending): both come before the end, in one call.",
    );
}

#[test]
fn a_broken_sink_is_told() {
    let mut rig = Rig::with_pending(b"hello");
    reset(&mut rig.reader);
    let flushed = rig.flow.flush(&mut rig.sink);
    assert!(
        flushed.is_err(),
        "the write has failed, and flush says that it has not: pass its error on"
    );
}
