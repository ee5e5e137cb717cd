//! From the first byte to the reply of the handshake.

use super::*;

/// A client's first bytes: a line that connects, and bytes that are the upstream's already.
const REQUEST: &[u8] = b"go\nthe upstream's bytes";

#[test]
fn a_handshake_may_come_in_any_two_pieces() {
    for cut in 0..=REQUEST.len() {
        let mut rig = Rig::new();
        let (first, second) = REQUEST.split_at(cut);
        if cut > 0 {
            rig.client().send(first);
            rig.await_events();
        }
        let early = rig.advance();
        assert_eq!(
            word(&early),
            if cut < 3 { "wait" } else { "connect" },
            "cut at {cut}"
        );
        if !second.is_empty() {
            rig.client().send(second);
        }
        if cut < 3 {
            assert_eq!(word(&rig.next()), "connect", "cut at {cut}");
        }
        rig.begin_connecting();
        rig.reach_upstream();
        rig.run_until(|session| session.up.half.moved() == 20);
        rig.upstream().expect(b"the upstream's bytes");
        rig.client().expect(b"ok\n");
    }
}

#[test]
fn a_reply_is_sent_while_the_handshake_goes_on() {
    let mut rig = Rig::new();
    for _ in 0..2 {
        rig.client().send(b"hello\n");
        assert_eq!(word(&rig.next()), "wait");
        rig.client().expect(b"hi\n");
    }
}

/// A handshake of several steps, sent without waiting for the replies.
#[test]
fn what_a_step_leaves_is_shown_to_the_next() {
    let mut rig = Rig::new();
    rig.client().send(b"hello\nhello\ngo\n");
    assert_eq!(word(&rig.next()), "connect");
}

#[test]
fn the_answer_comes_before_the_upstream_s_bytes() {
    let mut rig = Rig::new();
    rig.client().send(b"go\n");
    assert_eq!(word(&rig.next()), "connect");
    rig.begin_connecting();
    rig.reach_upstream();
    rig.upstream().send(b"a greeting");
    rig.await_events();
    rig.run_until(|session| session.down.half.moved() == 13);
    rig.client().expect(b"ok\na greeting");
}

#[test]
fn a_client_that_ends_its_input_with_its_request_is_served() {
    let mut rig = Rig::new();
    rig.client().send(REQUEST);
    rig.client().half_close();
    assert_eq!(word(&rig.next()), "connect");
    rig.begin_connecting();
    rig.reach_upstream();
    rig.run_until(|session| session.up.half.state() == HalfState::Closed);
    assert_eq!(rig.upstream().read_to_end(), b"the upstream's bytes");
    rig.upstream().send(b"an answer");
    rig.run_until(|session| session.down.half.moved() == 12);
    rig.client().expect(b"ok\nan answer");
}

#[test]
fn a_refusal_is_delivered_although_the_client_goes_on_sending() {
    let mut rig = Rig::new();
    rig.client().send(b"no\n");
    let Next::Refuse(reason) = rig.next() else {
        panic!("a refusal was asked for");
    };
    rig.client().send(&[b'x'; 100_000]);
    rig.fail(&reason);
    assert_eq!(word(&rig.advance()), "wait");
    assert_eq!(rig.client().read_to_end(), b"no\n");
    rig.client().send(&[b'x'; 100_000]);
    rig.client().half_close();
    assert_eq!(word(&rig.outcome()), "finished");
    // No reset has overtaken or followed the end.
    rig.close(true).iter().for_each(Peer::expect_eof);
}

#[test]
fn the_refusal_of_a_wrong_password_waits() {
    let mut rig = Rig::new();
    rig.client().send(b"hello\nbad\ngo\n");
    assert_eq!(word(&rig.next()), "wait");
    rig.client().send(b"go\n");
    assert_eq!(word(&rig.next()), "wait");
    rig.client().expect_silence(Duration::from_millis(20));
    let reason = rig.session.phase.unauthorized();
    assert!(matches!(reason, Reason::Unauthorized(Wrong::Name)));
    rig.fail(&reason);
    assert_eq!(word(&rig.advance()), "wait");
    assert_eq!(rig.client().read_to_end(), b"hi\nwrong\n");
}

#[test]
fn a_client_hears_why_its_target_was_not_reached() {
    let mut rig = Rig::new();
    rig.client().send(b"go\n");
    assert_eq!(word(&rig.next()), "connect");
    rig.begin_connecting();
    rig.fail(&Reason::Unreached(ConnectError::Refused));
    assert_eq!(word(&rig.advance()), "wait");
    assert_eq!(rig.client().read_to_end(), b"error: connection refused\n");
}

#[test]
fn a_client_that_has_asked_nothing_is_told_nothing() {
    let mut rig = Rig::relaying();
    rig.forget_handshake();
    let reason = Reason::Unreached(ConnectError::Refused);
    assert!(!rig.session.refused(&reason, rig.now));
    rig.close(false).iter().for_each(Peer::expect_reset);
}

/// Follows a refusal of the session itself, and returns what the client is told.
fn told(mut rig: Rig) -> Vec<u8> {
    let Next::Refuse(reason) = rig.outcome() else {
        panic!("a refusal was expected");
    };
    rig.fail(&reason);
    assert_eq!(word(&rig.advance()), "wait");
    rig.client().read_to_end()
}

#[test]
fn a_handshake_without_end_is_cut_off_and_told_so() {
    let rig = Rig::new();
    rig.client().send(&[b'x'; 5 * MAX_HANDSHAKE]);
    assert_eq!(told(rig), b"error: the handshake is too long\n");
}

#[test]
fn a_handshake_that_takes_everything_is_cut_off_too() {
    let mut rig = Rig::new();
    for _ in 0..100 {
        rig.client().send(b"a line without meaning\n");
        match rig.next() {
            Next::Wait | Next::Again | Next::Answered => {}
            next @ (Next::Identify(_)
            | Next::Connect(_)
            | Next::ConnectUnix(_)
            | Next::Associate(_)
            | Next::Refuse(_)
            | Next::Close(_)) => {
                return assert_eq!(word(&next), "refuse");
            }
        }
    }
    panic!("2,300 bytes were taken");
}

#[test]
fn a_client_that_is_too_slow_is_told_so() {
    let mut rig = Rig::new();
    rig.client().send(b"hel");
    assert_eq!(word(&rig.next()), "wait");
    rig.fail(&Reason::TimedOut(Timeout::Handshake));
    assert_eq!(word(&rig.advance()), "wait");
    assert_eq!(
        rig.client().read_to_end(),
        b"error: the handshake timed out\n"
    );
}
