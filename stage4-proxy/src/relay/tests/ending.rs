//! The FIN of a direction: behind its last byte, and noted only when it was sent.

use harness::expect_value;

use super::*;

impl Rig {
    /// Moves bytes until the direction is closed.
    fn pump_to_the_end(&mut self) {
        self.pump_until("the direction is Closed, so its FIN was sent", |rig| {
            rig.flow.half.state() == HalfState::Closed
        });
    }

    /// Checks that the reader gets `hello` and then the end.
    fn expect_hello_and_the_end(&self) {
        expect_value(
            "The 5 bytes of the source at the reader",
            &Ok(5),
            &self.read(),
            "the FIN has overtaken pending bytes, or they are lost.",
        );
        expect_value(
            "What the reader gets behind the last byte (0 is the end)",
            &Ok(0),
            &self.read(),
            "the half has noted a FIN that was never sent: send_fin comes before fin_sent.",
        );
    }
}

#[test]
fn the_fin_comes_after_the_last_byte() {
    let mut rig = Rig::new(unix, &limits());
    rig.send(b"hello");
    shut(&rig.sender);
    rig.pump_to_the_end();
    rig.expect_hello_and_the_end();
}

#[test]
fn the_fin_waits_for_pending_bytes() {
    let mut rig = Rig::new(unix, &limits());
    rig.deliver(b"hello");
    shut(&rig.sender);
    rig.stall();
    expect_value(
        "The number of pending bytes (in memory, in a pipe) at a full sink",
        &(5, 0),
        &rig.pending(),
        "the end has come, and the bytes before it are dropped.",
    );
    expect_value(
        "What the reader gets while the sink is full",
        &Err(WouldBlock),
        &rig.read(),
        "the FIN does not wait for the bytes before it.",
    );
    rig.sink.writable = true;
    rig.pump_to_the_end();
    rig.expect_hello_and_the_end();
}

#[test]
fn a_fin_that_was_not_sent_is_still_owed() {
    let mut rig = Rig::new(tcp, &limits());
    reset(&mut rig.reader);
    assert!(rig.note_events(PATIENCE), "no reset has come");
    // A socket without a connection has no end to send (`ENOTCONN`).
    rig.flow.half.end_of_input();
    let passed = rig.flow.pass_end(&mut rig.sink);
    assert!(
        passed.is_err(),
        "shutdown(2) has failed, and pass_end says that it has not: pass its error on"
    );
    expect_value(
        "The state of a direction whose FIN could not be sent",
        &HalfState::Draining,
        &rig.flow.half.state(),
        "fin_sent was called although no FIN was sent, so the session counts as finished.",
    );
}

#[test]
fn a_sink_that_broke_before_the_fin_is_a_broken_sink() {
    let mut rig = Rig::new(tcp, &limits());
    reset(&mut rig.reader);
    rig.note_events(PATIENCE);
    shut(&rig.sender);
    let fault = rig.pump_until_fault();
    assert!(
        matches!(fault, Fault::Sink(_)),
        "the sink was reset, but pump says {fault:?}"
    );
    assert_eq!(
        rig.flow.half.state(),
        HalfState::Closed,
        "a direction to a broken sink is closed"
    );
}
