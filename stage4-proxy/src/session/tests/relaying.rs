//! From the connected upstream to the last byte.

use harness::{expect_bytes, expect_value, fail};

use super::*;

#[test]
fn both_directions_end_one_after_the_other() {
    for first in [Side::Client, Side::Upstream] {
        let mut rig = Rig::relaying();
        rig.peer(first).send(b"a question");
        rig.peer(first).half_close();
        rig.run_until(|session| session.flow(first).half.state() == HalfState::Closed);
        assert_eq!(rig.peer(other(first)).read_to_end(), b"a question");
        rig.peer(other(first)).send(b"an answer, after the end");
        rig.peer(other(first)).half_close();
        expect_value(
            format!(
                "The outcome of a session whose {first:?} ended first and whose other side ended then"
            ),
            &"finished",
            &word(&rig.outcome()),
            "both directions have ended, and nothing broke.",
        );
        let rest = rig.peer(first).read_exact(24);
        expect_bytes(
            &format!("What the {first:?} gets after its own end"),
            b"an answer, after the end",
            &rest,
        );
        rig.close(true).iter().for_each(Peer::expect_eof);
    }
}

#[test]
fn a_reset_of_one_side_is_a_reset_of_the_other() {
    for side in [Side::Client, Side::Upstream] {
        let mut rig = Rig::relaying();
        rig.far_end(side).take().unwrap().reset();
        let next = rig.outcome();
        let Next::Close(reason) = next else {
            fail(format!(
                "The {side:?} was reset, so the session closes; but it needs {next:?}."
            ));
        };
        assert!(
            matches!(reason, Reason::Reset(broken, _) if broken == side),
            "the {side:?} was reset, so the reason is Reset({side:?}, ..), which resets the other side; but it is {reason:?}"
        );
        rig.close(false).iter().for_each(Peer::expect_reset);
    }
}

#[test]
fn a_time_limit_resets_both_sides() {
    let peers = Rig::relaying().close(false);
    peers.iter().for_each(Peer::expect_reset);
}

#[test]
fn a_long_transfer_gives_others_their_turn() {
    let mut rig = Rig::relaying();
    rig.shorten_turns();
    rig.client().send(&[7; 32 * 1024]);
    assert_eq!(word(&rig.next()), "again");
    assert!(rig.session.up.half.moved() < 32 * 1024);
    rig.run_until(|session| session.up.half.moved() == 32 * 1024);
}

impl Rig {
    /// Makes everything that is sent in a test longer than a turn.
    fn shorten_turns(&mut self) {
        (self.limits.chunk, self.limits.bytes_per_turn) = (1024, 4096);
        self.limits.pipes = 0;
        self.scratch = Scratch::new(&self.limits);
    }
}

/// The bytes of an answer that its upstream cuts off with a reset because it does not read on.
const ANSWER: usize = 48 * 1024;

/// Lets the upstream answer, `end` as it likes, and the client send on, which finds it broken.
fn answered(connect: &Connect, end: impl FnOnce(Peer)) -> (Rig, Vec<u8>) {
    let answer = Rng::from_seed(7).bytes(ANSWER);
    let mut rig = Rig::relaying_with(connect);
    rig.shorten_turns();
    rig.upstream().send(&answer);
    rig.await_arrival(Side::Upstream, ANSWER);
    end(rig.upstream.take().unwrap());
    rig.client().send(b"the rest of the question");
    rig.await_arrival(Side::Client, 24);
    (rig, answer)
}

#[test]
fn what_a_broken_upstream_has_said_is_delivered_before_the_reset() {
    for connect in [Connect::new(), Connect::new().receive_buffer(4096)] {
        let (mut rig, answer) = answered(&connect, Peer::reset);
        rig.run_until(|session| matches!(session.phase, Phase::Aborting(Side::Client)));
        expect_value(
            "The number of bytes that have gone to the client when the abort begins",
            &(ANSWER as u64),
            &rig.session.down.half.moved(),
            "the session aborts before it has passed on what the broken side had sent.",
        );
        rig.client().expect(&answer);
        expect_value(
            "The outcome once the client has everything that the broken upstream had sent",
            &"upstream reset",
            &word(&rig.outcome()),
            "the side that broke, and its error, are lost on the way: abort keeps them in `broken`.",
        );
        rig.close(false).iter().for_each(Peer::expect_reset);
    }
}

/// A slow client has not got everything, and so it is not reset yet.
#[test]
fn a_reset_waits_for_a_client_that_does_not_read() {
    let slow = Connect::new().receive_buffer(4096);
    let (mut rig, _) = answered(&slow, Peer::reset);
    rig.run_until(|session| matches!(session.phase, Phase::Aborting(_)));
    rig.note_events();
    expect_value(
        "What the session does while its client has not taken all bytes",
        &"wait",
        &word(&rig.advance()),
        "a reset drops what the kernel has not sent yet: while the survivor is not writable, wait.",
    );
    let deadline = rig.session.deadline(&rig.limits);
    expect_value(
        "The time that the client has for them, and its limit",
        &Some((rig.limits.linger_timeout, Timeout::Linger)),
        &deadline.map(|(deadline, timeout)| (deadline - rig.now, timeout)),
        "the phase is not Aborting, or it was entered at another time.",
    );
}

#[test]
fn a_client_that_sends_on_has_not_got_everything_by_that() {
    let slow = Connect::new().receive_buffer(4096);
    let (mut rig, _) = answered(&slow, Peer::reset);
    rig.run_until(|session| matches!(session.phase, Phase::Aborting(Side::Client)));
    rig.client().send(b"it goes on");
    while !rig.session.client.readable {
        rig.await_events();
    }
    expect_value(
        "What the session does when its client sends bytes, and has not taken all of ours",
        &"wait",
        &word(&rig.advance()),
        "any event of the survivor leads to await_delivery. Only a writable survivor has been sent everything.",
    );
}

#[test]
fn a_broken_client_is_no_complete_answer() {
    let mut rig = Rig::relaying();
    let error = io::ErrorKind::BrokenPipe.into();
    rig.session.broken = Some(Box::new((Side::Client, error)));
    rig.client().half_close();
    rig.upstream().half_close();
    expect_value(
        "The outcome of a session whose client has broken with BrokenPipe, once both directions have ended",
        &"client reset",
        &word(&rig.outcome()),
        "only an upstream that broke with BrokenPipe had ended its answer in order. A client that broke has not got all.",
    );
}

#[test]
fn the_survivor_is_waited_for_and_not_the_side_that_broke() {
    let mut rig = Rig::relaying_with(&Connect::new().receive_buffer(4096));
    let answer = Rng::from_seed(7).bytes(ANSWER);
    rig.upstream().send(&answer);
    rig.run_until(|session| session.down.half.moved() == ANSWER as u64);
    rig.upstream.take().unwrap().reset();
    rig.run_until(|session| matches!(session.phase, Phase::Aborting(_)));
    rig.note_events();
    assert_eq!(
        word(&rig.advance()),
        "wait",
        "the upstream has broken, and a part of its answer is still on its way to a slow client. Wait for the client, which is \
         the survivor, and not for the side that broke: a reset now would drop those bytes"
    );
    rig.client().expect(&answer);
    assert_eq!(
        word(&rig.outcome()),
        "upstream reset",
        "the client has got everything, so it is time for the reset"
    );
}

/// A server that refuses a large upload: it answers, ends in order, and reads no further.
#[test]
fn an_answer_that_had_ended_reaches_a_slow_client_although_the_upstream_broke_then() {
    let slow = Connect::new().receive_buffer(4096);
    let (mut rig, answer) = answered(&slow, |upstream| {
        upstream.half_close();
        upstream.reset();
    });
    rig.run_until(|session| matches!(session.phase, Phase::Lingering));
    expect_value(
        "What the session does while the client has not ended its side",
        &"wait",
        &word(&rig.advance()),
        "a close with unread bytes is a reset, which may overtake the answer: hence the lingering close.",
    );
    rig.client().expect(&answer);
    rig.client().expect_eof();
    rig.client().half_close();
    expect_value(
        "The outcome once both sides have ended",
        &"finished",
        &word(&rig.outcome()),
        "the upstream had ended in order before it broke (BrokenPipe), so the client has a complete answer.",
    );
}
