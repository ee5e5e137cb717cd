//! The order in which the addresses of a name are tried.

use super::*;

use crate::race::DELAY;

#[test]
fn the_next_address_is_tried_when_one_refuses() {
    let echo = Scripted::echo();
    let (_refusing, v6) = refusing();
    let lookup = answering(vec![v6, echo.addr()]);
    let proxy = Running::start(by_name(), lookup, Limits::default());
    assert_echoes(&proxy.client());
    assert_eq!(proxy.totals().failures, Default::default());
}

#[test]
fn the_next_address_is_tried_beside_one_that_stays_silent() {
    let echo = Scripted::echo();
    let hole = BlackHole::start();
    let lookup = answering(vec![hole.addr(), echo.addr()]);
    let proxy = Running::start(by_name(), lookup, Limits::default());
    let begin = Instant::now();
    assert_echoes(&proxy.client());
    assert!(begin.elapsed() >= DELAY, "the first address had its time");
    assert_eq!(proxy.totals().failures, Default::default());
}

/// Without a descriptor for a second attempt, the addresses are tried one after the other.
#[test]
fn without_room_for_a_race_the_next_address_waits_for_a_failure() {
    let echo = Scripted::echo();
    let hole = BlackHole::start();
    let limits = Limits {
        connect_timeout: DELAY * 2,
        extra_attempts: 0,
        ..Limits::default()
    };
    let lookup = answering(vec![hole.addr(), echo.addr()]);
    let proxy = Running::start(by_name(), lookup, limits);
    let begin = Instant::now();
    assert_echoes(&proxy.client());
    assert!(begin.elapsed() >= DELAY * 2);
}

#[test]
fn the_last_failure_is_the_client_s_reason() {
    let (_refusing, v6) = refusing();
    let hole = BlackHole::start();
    for addresses in [vec![v6, hole.addr()], vec![hole.addr(), v6]] {
        let limits = Limits {
            connect_timeout: SHORT,
            ..Limits::default()
        };
        let connected = Gate::new("the client is connected");
        let lookup = answering_behind(&connected, answering(addresses));
        let proxy = Running::start(by_name(), lookup, limits);
        let client = proxy.client();
        connected.open();
        client.expect_reset();
        let failures = proxy.totals().failures;
        assert_eq!((failures.timed_out, failures.refused), (1, 0));
    }
}

#[test]
fn a_name_without_an_address_is_a_failure_of_resolving() {
    let answers = [
        answering(Vec::new()),
        Lookup::new(|_| Err(io::Error::other("no such host"))),
    ];
    for answer in answers {
        let connected = Gate::new("the client is connected");
        let lookup = answering_behind(&connected, answer);
        let proxy = Running::start(by_name(), lookup, Limits::default());
        let client = proxy.client();
        connected.open();
        client.expect_reset();
        assert_eq!(proxy.totals().failures.resolve, 1);
    }
}
