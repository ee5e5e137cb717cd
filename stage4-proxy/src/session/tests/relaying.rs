//! From the connected upstream to the last byte.

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
        assert_eq!(word(&rig.outcome()), "finished", "{first:?} first");
        let rest = rig.peer(first).read_exact(24);
        assert_eq!(rest, b"an answer, after the end");
        rig.close(true).iter().for_each(Peer::expect_eof);
    }
}

#[test]
fn a_reset_of_one_side_is_a_reset_of_the_other() {
    for side in [Side::Client, Side::Upstream] {
        let mut rig = Rig::relaying();
        rig.far_end(side).take().unwrap().reset();
        let Next::Close(reason) = rig.outcome() else {
            panic!("{side:?} was reset");
        };
        assert!(matches!(reason, Reason::Reset(broken, _) if broken == side));
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
        assert_eq!(rig.session.down.half.moved(), ANSWER as u64);
        rig.client().expect(&answer);
        assert_eq!(word(&rig.outcome()), "upstream reset");
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
    assert_eq!(word(&rig.advance()), "wait");
    assert_eq!(
        rig.session.deadline(&rig.limits),
        Some((rig.now + rig.limits.linger_timeout, Timeout::Linger)),
        "the client has the linger timeout from now on, because a session in the phase Aborting waits for its departure"
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
    assert_eq!(word(&rig.advance()), "wait");
    rig.client().expect(&answer);
    rig.client().expect_eof();
    rig.client().half_close();
    assert_eq!(word(&rig.outcome()), "finished");
}
