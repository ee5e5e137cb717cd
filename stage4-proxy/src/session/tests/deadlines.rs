//! Time limits: the clock is an argument, so no test waits.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Limits that no two phases share.
fn limits() -> Limits {
    Limits {
        handshake_timeout: 3 * SECOND,
        connect_timeout: 5 * SECOND,
        idle_timeout: Some(70 * SECOND),
        half_close_timeout: 11 * SECOND,
        linger_timeout: 4 * SECOND,
        ..Limits::default()
    }
}

impl Rig {
    fn with_limits(mut self) -> Self {
        self.limits = limits();
        self
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Returns how much time the session has left now, and the limit that it comes from.
    fn left(&self) -> Option<(Duration, Timeout)> {
        let (deadline, timeout) = self.session.deadline(&self.limits)?;
        Some((deadline - self.now, timeout))
    }
}

#[test]
fn a_byte_now_and_then_buys_no_time_in_a_handshake() {
    let mut rig = Rig::new().with_limits();
    assert_eq!(rig.left(), Some((3 * SECOND, Timeout::Handshake)));
    rig.pass(2 * SECOND);
    rig.client().send(b"hel");
    assert_eq!(word(&rig.next()), "wait");
    assert_eq!(rig.left(), Some((SECOND, Timeout::Handshake)));
}

#[test]
fn resolving_has_its_time_from_its_beginning() {
    let mut rig = Rig::new().with_limits();
    rig.pass(2 * SECOND);
    rig.begin_resolving();
    rig.pass(SECOND);
    rig.client().send(b"bytes buy no time");
    assert_eq!(word(&rig.next()), "wait");
    assert_eq!(rig.left(), Some((4 * SECOND, Timeout::Connect)));
}

#[test]
fn each_address_has_its_time() {
    let mut rig = Rig::new().with_limits();
    rig.begin_connecting();
    rig.pass(4 * SECOND);
    assert_eq!(rig.left(), Some((SECOND, Timeout::Connect)));
    rig.begin_connecting();
    assert_eq!(rig.left(), Some((5 * SECOND, Timeout::Connect)));
}

#[test]
fn a_relay_has_no_deadline_when_idling_is_allowed() {
    let mut rig = Rig::relaying();
    rig.limits.idle_timeout = None;
    assert_eq!(rig.left(), None);
}

#[test]
fn any_byte_renews_the_time_of_an_idle_relay() {
    for side in [Side::Client, Side::Upstream] {
        let mut rig = Rig::relaying().with_limits();
        rig.pass(50 * SECOND);
        assert_eq!(rig.left(), Some((20 * SECOND, Timeout::Idle)));
        rig.peer(side).send(b"!");
        rig.run_until(|session| session.flow(side).half.moved() == 1);
        assert_eq!(rig.left(), Some((70 * SECOND, Timeout::Idle)), "{side:?}");
    }
}

#[test]
fn an_event_without_a_byte_renews_nothing() {
    let mut rig = Rig::relaying().with_limits();
    rig.pass(50 * SECOND);
    assert_eq!(word(&rig.advance()), "wait");
    assert_eq!(rig.left(), Some((20 * SECOND, Timeout::Idle)));
}

#[test]
fn a_half_closed_relay_has_less_time_which_bytes_renew() {
    for side in [Side::Client, Side::Upstream] {
        let mut rig = Rig::relaying().with_limits();
        rig.peer(side).half_close();
        rig.run_until(|session| session.flow(side).half.state() == HalfState::Closed);
        assert_eq!(rig.left(), Some((11 * SECOND, Timeout::HalfClose)));
        rig.pass(10 * SECOND);
        rig.peer(other(side)).send(b"!");
        rig.run_until(|session| session.flow(other(side)).half.moved() == 1);
        assert_eq!(
            rig.left(),
            Some((11 * SECOND, Timeout::HalfClose)),
            "{side:?}"
        );
    }
}

#[test]
fn the_shorter_limit_counts_in_a_half_closed_relay() {
    let mut rig = Rig::relaying().with_limits();
    rig.limits.idle_timeout = Some(2 * SECOND);
    rig.client().half_close();
    assert_eq!(word(&rig.next()), "wait");
    assert_eq!(rig.left(), Some((2 * SECOND, Timeout::Idle)));
}

#[test]
fn a_lingering_close_is_bounded_whatever_the_client_still_sends() {
    let mut rig = Rig::new().with_limits();
    rig.pass(SECOND);
    rig.refuse(b"no\n");
    assert_eq!(rig.left(), Some((4 * SECOND, Timeout::Linger)));
    rig.pass(SECOND);
    rig.client().send(b"bytes that are dropped");
    assert_eq!(word(&rig.next()), "wait");
    assert_eq!(rig.left(), Some((3 * SECOND, Timeout::Linger)));
}
