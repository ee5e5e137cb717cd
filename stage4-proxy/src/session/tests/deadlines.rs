//! Time limits: the clock is an argument, so no test waits.

use harness::expect_value;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Limits that no two phases share.
fn limits() -> Limits {
    Limits {
        handshake_timeout: 3 * SECOND,
        wrong_password_delay: 2 * SECOND,
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

    /// Checks how many seconds the session has left, and the limit that they come from.
    #[track_caller]
    fn expect_left(&self, when: &str, seconds: u32, timeout: Timeout, cause: &str) {
        expect_value(
            format!("The time that a session has left {when}"),
            &Some((seconds * SECOND, timeout)),
            &self.left(),
            cause,
        );
    }
}

#[test]
fn a_byte_now_and_then_buys_no_time_in_a_handshake() {
    let mut rig = Rig::new().with_limits();
    let cause = "a handshake has the handshake timeout, from accept(2) on: no byte renews it.";
    rig.expect_left("after accept(2)", 3, Timeout::Handshake, cause);
    rig.pass(2 * SECOND);
    rig.client().send(b"hel");
    assert_eq!(word(&rig.next()), "wait");
    let when = "2 s after accept(2), when the first bytes of its request have come";
    rig.expect_left(when, 1, Timeout::Handshake, cause);
}

#[test]
fn a_wrong_password_costs_time_and_bytes_change_nothing() {
    let mut rig = Rig::new().with_limits();
    rig.pass(2 * SECOND);
    rig.give_a_wrong_password();
    let cause = "Awaited::Delay has the delay of wrong passwords, whatever the client still sends.";
    rig.expect_left("after a wrong password", 2, Timeout::WrongPassword, cause);
    rig.pass(SECOND);
    rig.client().send(b"go\n");
    assert_eq!(word(&rig.next()), "wait");
    let when = "1 s after a wrong password, when more bytes have come";
    rig.expect_left(when, 1, Timeout::WrongPassword, cause);
}

#[test]
fn resolving_has_its_time_from_its_beginning() {
    let mut rig = Rig::new().with_limits();
    rig.pass(2 * SECOND);
    rig.begin_resolving();
    rig.pass(SECOND);
    rig.client().send(b"bytes buy no time");
    assert_eq!(word(&rig.next()), "wait");
    rig.expect_left(
        "1 s after the resolver was asked",
        4,
        Timeout::Connect,
        "resolving a name has the connect timeout, from its own beginning.",
    );
}

#[test]
fn each_address_has_its_time() {
    let mut rig = Rig::new().with_limits();
    rig.begin_connecting();
    let cause = "Awaited::Connect has the connect timeout, anew for each address.";
    rig.pass(4 * SECOND);
    rig.expect_left("4 s after its connect began", 1, Timeout::Connect, cause);
    rig.begin_connecting();
    rig.expect_left("when the next address is tried", 5, Timeout::Connect, cause);
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
    assert_eq!(word(&rig.advance()), "wait");
    assert_eq!(rig.left(), Some((4 * SECOND, Timeout::Linger)));
    rig.pass(SECOND);
    rig.client().send(b"bytes that are dropped");
    assert_eq!(word(&rig.next()), "wait");
    assert_eq!(rig.left(), Some((3 * SECOND, Timeout::Linger)));
}

impl Rig {
    /// Returns how much time passes until the session is looked at again.
    fn next_look(&self) -> Option<Duration> {
        let look = self.session.next_look(&self.limits, Some(self.now))?;
        Some(look - self.now)
    }

    /// Lets `time` pass and looks at the session, as a worker does.
    fn look_after(&mut self, time: Duration) {
        self.pass(time);
        self.session.note_departures(self.now);
    }

    /// Waits until the memory of the client's send queue is no longer `before`.
    fn await_departure(&self, before: u32) {
        let client = &self.session.client;
        eventually("bytes have left for the client", PATIENCE, || {
            client.on_its_way() != before
        });
    }
}

/// More than the buffers of a client with a small receive buffer take at once.
const MUCH: usize = 512 * 1024;

/// A relay in whose send queue there are bytes for a client that does not read yet.
fn with_a_slow_reader() -> Rig {
    let mut rig = Rig::relaying_with(&Connect::new().receive_buffer(4096)).with_limits();
    rig.upstream().send(&vec![7; MUCH]);
    rig.upstream().half_close();
    rig.run_until(|session| session.down.half.moved() == MUCH as u64);
    rig.run_until(|session| session.down.half.state() == HalfState::Closed);
    rig
}

#[test]
fn a_session_is_looked_at_four_times_in_a_limit_and_never_after_its_end() {
    let mut rig = Rig::relaying().with_limits();
    rig.limits.idle_timeout = Some(8 * SECOND);
    assert_eq!(rig.next_look(), Some(2 * SECOND));
    for _ in 0..3 {
        rig.look_after(2 * SECOND);
    }
    assert_eq!(rig.left(), Some((2 * SECOND, Timeout::Idle)));
    rig.look_after(SECOND);
    assert_eq!(rig.next_look(), Some(SECOND), "the deadline itself");
    let mut rig = Rig::new().with_limits();
    assert_eq!(rig.next_look(), Some(3 * SECOND), "no byte buys time");
    rig.begin_connecting();
    assert_eq!(rig.next_look(), Some(5 * SECOND));
}

#[test]
fn bytes_that_leave_the_kernel_renew_the_time_of_a_slow_reader() {
    let mut rig = with_a_slow_reader();
    let whole = Some((11 * SECOND, Timeout::HalfClose));
    rig.look_after(3 * SECOND);
    assert_eq!(rig.left(), whole, "some may have left until now");
    rig.look_after(3 * SECOND);
    assert_eq!(rig.left(), Some((8 * SECOND, Timeout::HalfClose)));
    let before = rig.session.client.on_its_way();
    rig.client().expect(&vec![7; MUCH / 2]);
    rig.await_departure(before);
    rig.look_after(SECOND);
    assert_eq!(rig.left(), whole, "half of them have left");
    rig.look_after(10 * SECOND);
    assert_eq!(rig.left(), Some((SECOND, Timeout::HalfClose)), "it stalls");
    rig.client().expect(&vec![7; MUCH / 2]);
    eventually("all bytes have left", PATIENCE, || {
        rig.session.client.on_its_way() == 0
    });
    rig.look_after(SECOND / 2);
    assert_eq!(rig.left(), whole, "the rest has left");
    rig.look_after(4 * SECOND);
    assert_eq!(rig.left(), Some((7 * SECOND, Timeout::HalfClose)));
}

#[test]
fn an_abort_has_time_as_long_as_bytes_leave() {
    let slow = Connect::new().receive_buffer(4096);
    let mut rig = Rig::relaying_with(&slow).with_limits();
    rig.upstream().send(&vec![7; MUCH]);
    rig.run_until(|session| session.down.half.moved() == MUCH as u64);
    rig.upstream.take().unwrap().reset();
    rig.run_until(|session| matches!(session.phase, Phase::Aborting(Side::Client)));
    rig.look_after(SECOND);
    let before = rig.session.client.on_its_way();
    rig.look_after(3 * SECOND);
    assert_eq!(rig.left(), Some((SECOND, Timeout::Linger)), "it stalls");
    rig.client().expect(&vec![7; MUCH / 2]);
    rig.await_departure(before);
    rig.look_after(SECOND / 2);
    assert_eq!(rig.left(), Some((4 * SECOND, Timeout::Linger)));
}

#[test]
fn a_lingering_close_has_time_as_long_as_its_bytes_leave() {
    let slow = Connect::new().receive_buffer(4096);
    let mut rig = Rig::with_handshake(Lines, &slow).with_limits();
    // More than the send queue takes, so that some of them wait in the session.
    let reply = vec![7; 16 * MUCH];
    rig.refuse(&reply);
    assert_eq!(word(&rig.advance()), "wait");
    rig.pass(3 * SECOND);
    let sent = rig.session.down.half.moved();
    assert!(sent < reply.len() as u64, "the send queue has no room");
    rig.client().expect(&reply[..MUCH]);
    while rig.session.down.half.moved() == sent {
        rig.client().expect(&reply[..MUCH]);
        rig.note_events();
        assert_eq!(word(&rig.advance()), "wait");
    }
    assert_eq!(rig.left(), Some((4 * SECOND, Timeout::Linger)));
}
