//! Exercise 4.2 through the library: which limit a state has, when a timer may stay, what it means when it fires.

use std::time::{Duration, Instant};

use harness::{Test, expect_value};
use stage4_proxy::Limits;
use stage4_proxy::deadline::{Alarm, Awaited, Timeout, may_stay};
use stage4_proxy::half::HalfState::{self, Closed, Draining, Open};

/// A limit in seconds, and its name.
type Limit = Option<(u64, Timeout)>;

/// Limits that no two states share.
fn limits() -> Limits {
    let seconds = Duration::from_secs;
    Limits {
        handshake_timeout: seconds(3),
        wrong_password_delay: seconds(2),
        connect_timeout: seconds(5),
        idle_timeout: Some(seconds(70)),
        half_close_timeout: seconds(11),
        linger_timeout: seconds(4),
        ..Limits::default()
    }
}

#[track_caller]
fn expect_limit(limits: &Limits, awaited: Awaited, expected: Limit, cause: &str) {
    let limit = awaited.limit(limits);
    expect_value(
        format!("How many seconds a session may wait for {awaited:?}, and by which limit,"),
        &expected,
        &limit.map(|(time, timeout)| (time.as_secs(), timeout)),
        cause,
    );
}

#[test]
fn e42_each_state_has_its_limit() {
    let _test = Test::begin("What a session waits for decides how long it may.");
    let cases = [
        (Awaited::Handshake, Some((3, Timeout::Handshake))),
        (Awaited::NextRequest, Some((3, Timeout::NextRequest))),
        (Awaited::Delay, Some((2, Timeout::WrongPassword))),
        (Awaited::Connect, Some((5, Timeout::Connect))),
        (Awaited::Hop, Some((10, Timeout::Connect))),
        (Awaited::Departure, Some((4, Timeout::Linger))),
        (Awaited::Datagrams, None),
    ];
    for (awaited, expected) in cases {
        expect_limit(
            &limits(),
            awaited,
            expected,
            "two limits were exchanged; the fields of Limits say what each is for.",
        );
    }
}

/// Every pair of states in which a direction is no longer open.
const ENDED: [[HalfState; 2]; 8] = [
    [Open, Draining],
    [Open, Closed],
    [Draining, Open],
    [Draining, Draining],
    [Draining, Closed],
    [Closed, Open],
    [Closed, Draining],
    [Closed, Closed],
];

#[test]
fn e42_an_open_session_may_be_silent() {
    let _test = Test::begin(
        "A terminal over lunch is silent and well: without --idle-timeout, no limit ends it.",
    );
    let mut limits = limits();
    let open = Awaited::Bytes([Open, Open]);
    let cause = "the half-close limit is for a session of which a direction has ended.";
    expect_limit(&limits, open, Some((70, Timeout::Idle)), cause);
    limits.idle_timeout = None;
    expect_limit(&limits, open, None, cause);
}

#[test]
fn e42_one_end_is_enough_for_the_half_close_limit() {
    let _test = Test::begin(
        "After one FIN the other side may never answer: from then on silence is limited.",
    );
    for idle_timeout in [None, Some(Duration::from_secs(70))] {
        let limits = Limits {
            idle_timeout,
            ..limits()
        };
        for directions in ENDED {
            expect_limit(
                &limits,
                Awaited::Bytes(directions),
                Some((11, Timeout::HalfClose)),
                "one direction that is not open is enough, whichever it is.",
            );
        }
    }
}

#[test]
fn e42_the_shorter_of_two_limits_counts() {
    let _test = Test::begin(
        "A half-closed session is silent by both limits, and the shorter one is reached first.",
    );
    let limits = Limits {
        idle_timeout: Some(Duration::from_secs(1)),
        ..limits()
    };
    for directions in ENDED {
        expect_limit(
            &limits,
            Awaited::Bytes(directions),
            Some((1, Timeout::Idle)),
            "a session that is half closed is still one without a byte.",
        );
    }
}

/// Turns a second of a test into a moment.
fn at(begin: Instant, second: u64) -> Instant {
    begin + Duration::from_secs(second)
}

#[test]
fn e42_a_timer_may_be_early_and_never_late() {
    let _test = Test::begin(
        "Every byte moves a deadline away. A timer that is early costs one look; one that is late breaks the promise.",
    );
    let begin = Instant::now();
    let cases = [
        (None, None, true),
        (None, Some(5), false),
        (Some(5), None, false),
        (Some(3), Some(5), true),
        (Some(5), Some(5), true),
        (Some(7), Some(5), false),
    ];
    for (timer, deadline, expected) in cases {
        let moment = |second: Option<u64>| second.map(|second| at(begin, second));
        let seen = may_stay(moment(timer), moment(deadline));
        expect_value(
            format!(
                "Whether a timer at second {timer:?} may stay for a deadline at second {deadline:?}"
            ),
            &expected,
            &seen,
            "a timer that is due before the deadline, or with it, stays; any other is set anew, or cancelled.",
        );
    }
}

#[test]
fn e42_a_deadline_is_reached_at_its_very_moment() {
    let _test = Test::begin(
        "The poller waits until the deadline: if that were not yet late enough, the loop would spin.",
    );
    let begin = Instant::now();
    let over = Alarm::Over(Timeout::HalfClose);
    let cases = [
        (None, Alarm::Unlimited),
        (Some(1), over),
        (Some(2), over),
        (Some(3), Alarm::Early),
    ];
    for (deadline, expected) in cases {
        let deadline = deadline.map(|second| (at(begin, second), Timeout::HalfClose));
        let seconds = deadline.map(|(moment, _)| (moment - begin).as_secs());
        expect_value(
            format!(
                "What a timer means that fires at second 2 for a deadline at second {seconds:?}"
            ),
            &expected,
            &Alarm::of(deadline, at(begin, 2)),
            "a deadline is reached at its moment and after it; one that has moved away is not.",
        );
    }
}
