//! Every event in every state, and the stories that matter.

use super::*;

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    response: Duration::from_secs(60),
    kept: Duration::from_secs(4),
};
const LOST: Refusal = Refusal::BadGateway("the upstream closed the connection");
const NO: Refusal = Refusal::BadGateway("no");
const BEGIN: Event = Event::Begin { repeatable: true };

/// Creates a machine in a state, with a request that may be repeated.
fn in_state(state: State) -> Upstream {
    let now = Instant::now();
    let mut upstream = Upstream::new(TIMEOUTS, now);
    let path: &[Event] = match state {
        State::Dead => &[],
        State::Connecting => &[BEGIN],
        State::Idle => &[
            BEGIN,
            Event::Connected,
            Event::Sent,
            Event::Head,
            Event::End { keep: true },
        ],
        State::Sending => &[BEGIN, Event::Connected],
        State::AwaitingHead => &[BEGIN, Event::Connected, Event::Sent],
        State::Relaying => &[BEGIN, Event::Connected, Event::Sent, Event::Head],
    };
    for &event in path {
        upstream.on(event, now);
    }
    assert_eq!(upstream.state(), state);
    upstream
}

/// An event, and the next state and the action for each state.
type Row = (Event, [Option<(State, Action)>; 6]);

#[test]
fn every_event_in_every_state() {
    use Action::{Abort, Close, Connect, NextAddress, Nothing, Refuse};
    use State::{AwaitingHead, Connecting, Dead, Idle, Relaying, Sending};
    let states = [Dead, Connecting, Idle, Sending, AwaitingHead, Relaying];
    let stay = |action| states.map(|state| Some((state, action)));
    let late = Refusal::UpstreamTimeout;
    #[rustfmt::skip]
    let table: [Row; 16] = [
        // A second request in flight is a bug: None.
        (BEGIN, [Some((Connecting, Connect)), None, Some((Sending, Nothing)), None, None, None]),
        (Event::Attempt, stay(Nothing)),
        (Event::Connected, [Some((Dead, Nothing)), Some((Sending, Nothing)), Some((Idle, Nothing)), Some((Sending, Nothing)), Some((AwaitingHead, Nothing)), Some((Relaying, Nothing))]),
        (Event::Unreached(NO), [Some((Dead, Nothing)), Some((Dead, Refuse(NO))), Some((Idle, Nothing)), Some((Sending, Nothing)), Some((AwaitingHead, Nothing)), Some((Relaying, Nothing))]),
        (Event::Progress, stay(Nothing)),
        (Event::Sent, [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Idle, Nothing)), Some((AwaitingHead, Nothing)), Some((AwaitingHead, Nothing)), Some((Relaying, Nothing))]),
        (Event::Bytes, [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Dead, Close)), Some((Sending, Nothing)), Some((AwaitingHead, Nothing)), Some((Relaying, Nothing))]),
        (Event::Head, [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Idle, Nothing)), Some((Relaying, Nothing)), Some((Relaying, Nothing)), Some((Relaying, Nothing))]),
        (Event::End { keep: true }, [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Idle, Nothing)), Some((Sending, Nothing)), Some((AwaitingHead, Nothing)), Some((Idle, Nothing))]),
        (Event::End { keep: false }, [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Idle, Nothing)), Some((Sending, Nothing)), Some((AwaitingHead, Nothing)), Some((Dead, Close))]),
        (Event::Lost, [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Dead, Close)), Some((Connecting, Connect)), Some((Connecting, Connect)), Some((Dead, Abort))]),
        (Event::Invalid(NO), [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Dead, Close)), Some((Dead, Refuse(NO))), Some((Dead, Refuse(NO))), Some((Dead, Abort))]),
        (Event::Expired, [Some((Dead, Nothing)), Some((Connecting, NextAddress)), Some((Dead, Close)), Some((Dead, Refuse(late))), Some((Dead, Refuse(late))), Some((Dead, Abort))]),
        (Event::Abandoned { whole: true }, [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Idle, Nothing)), Some((Sending, Nothing)), Some((AwaitingHead, Nothing)), Some((Relaying, Nothing))]),
        (Event::Abandoned { whole: false }, [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Idle, Nothing)), Some((Dead, Close)), Some((Dead, Close)), Some((Dead, Close))]),
        (Event::Flooded, [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Idle, Nothing)), Some((Dead, Close)), Some((Dead, Close)), Some((Dead, Close))]),
    ];
    for (event, row) in table {
        for (state, expected) in states.into_iter().zip(row) {
            let got = std::panic::catch_unwind(|| {
                let mut upstream = in_state(state);
                let action = upstream.on(event, Instant::now());
                (upstream.state(), action)
            });
            assert_eq!(got.ok(), expected, "{event:?} in {state:?}");
        }
    }
}

#[test]
fn only_a_repeatable_request_without_a_response_is_sent_twice() {
    let now = Instant::now();
    let mut upstream = in_state(State::AwaitingHead);
    assert_eq!(upstream.on(Event::Lost, now), Action::Connect);
    upstream.on(Event::Connected, now);
    assert_eq!(upstream.on(Event::Lost, now), Action::Refuse(LOST), "once");

    let mut upstream = in_state(State::AwaitingHead);
    upstream.on(Event::Bytes, now);
    assert_eq!(upstream.on(Event::Lost, now), Action::Refuse(LOST));

    let mut upstream = in_state(State::Idle);
    upstream.on(Event::Begin { repeatable: false }, now);
    assert_eq!(upstream.on(Event::Lost, now), Action::Refuse(LOST));
}

#[test]
fn a_response_before_the_request_was_sent_ends_the_connection() {
    let now = Instant::now();
    let mut upstream = in_state(State::Sending);
    upstream.on(Event::Head, now);
    assert!(!upstream.has_sent());
    assert_eq!(upstream.on(Event::End { keep: true }, now), Action::Close);
    assert_eq!(upstream.state(), State::Dead);

    let mut upstream = in_state(State::Sending);
    upstream.on(Event::Head, now);
    upstream.on(Event::Sent, now);
    assert_eq!(upstream.on(Event::End { keep: true }, now), Action::Nothing);
    assert_eq!(upstream.state(), State::Idle, "the rest was sent meanwhile");
}

/// Gives it a connect that was begun for a client that has closed meanwhile.
fn connecting_for_none() -> Upstream {
    let mut upstream = in_state(State::Connecting);
    upstream.request = None;
    upstream
}

#[test]
fn a_connect_in_progress_is_not_begun_again() {
    let outcome = connecting_for_none().on_begin(true);
    assert_eq!(
        outcome,
        (State::Connecting, Action::Nothing),
        "a request begins while a connect is in progress, which was for a client that has closed. No byte has gone into that \
         connection, so it serves this request. A second connect would throw the first one away, and with clients that leave \
         early no connect would ever end"
    );
}

#[test]
fn the_first_byte_of_a_response_forbids_a_second_attempt() {
    for state in [State::Sending, State::AwaitingHead] {
        let mut upstream = in_state(state);
        let outcome = upstream.on_bytes();
        assert_eq!(
            outcome,
            (state, Action::Nothing),
            "bytes of a response came in {state:?}: they are passed on when its head is complete, and only then the state changes"
        );
        let request = upstream.request.as_ref();
        let repeatable = request.map(|request| request.repeatable);
        assert_eq!(
            repeatable,
            Some(false),
            "a byte of the response has come in {state:?}, so the upstream has read enough of the request to act: the request in \
             flight stays, and is not repeatable any more, also if a part of it was not sent yet"
        );
    }
}

#[test]
fn a_client_that_has_closed_is_told_nothing() {
    let now = Instant::now();
    let gone = Event::Abandoned { whole: true };
    for (state, event) in [
        (State::Sending, Event::Lost),
        (State::AwaitingHead, Event::Lost),
        (State::AwaitingHead, Event::Expired),
        (State::AwaitingHead, Event::Invalid(NO)),
        (State::Relaying, Event::Lost),
        (State::Relaying, Event::Expired),
    ] {
        let mut upstream = in_state(state);
        upstream.on(gone, now);
        assert_eq!(
            upstream.on(event, now),
            Action::Close,
            "{event:?} in {state:?}"
        );
        assert_eq!(upstream.state(), State::Dead);
        assert!(upstream.is_free());
    }
}

#[test]
fn a_drained_response_frees_the_connection() {
    let now = Instant::now();
    let mut upstream = in_state(State::Relaying);
    upstream.on(Event::Abandoned { whole: true }, now);
    assert!(!upstream.is_free(), "its response still comes");
    upstream.on(Event::End { keep: true }, now);
    assert_eq!(upstream.state(), State::Idle);
    assert!(upstream.is_free());
}

#[test]
fn a_connect_without_its_client_serves_the_next() {
    let now = Instant::now();
    let mut upstream = in_state(State::Connecting);
    upstream.on(Event::Abandoned { whole: true }, now);
    assert!(upstream.is_free());
    assert_eq!(upstream.on(BEGIN, now), Action::Nothing);
    assert_eq!(upstream.on(Event::Connected, now), Action::Nothing);

    let mut upstream = in_state(State::Connecting);
    upstream.on(Event::Abandoned { whole: true }, now);
    assert_eq!(upstream.on(Event::Connected, now), Action::Nothing);
    assert_eq!(upstream.state(), State::Idle);
}

#[test]
fn every_event_but_bytes_puts_the_deadline_off() {
    let start = Instant::now();
    let later = start + Duration::from_secs(50);
    let mut upstream = Upstream::new(TIMEOUTS, start);
    assert_eq!(upstream.deadline(), None);
    upstream.on(BEGIN, start);
    assert_eq!(upstream.deadline(), Some(start + TIMEOUTS.connect));
    upstream.on(Event::Connected, start);
    assert_eq!(upstream.deadline(), Some(start + TIMEOUTS.response));
    upstream.on(Event::Bytes, later);
    let deadline = Some(start + TIMEOUTS.response);
    assert_eq!(
        upstream.deadline(),
        deadline,
        "the client may get none of them"
    );
    upstream.on(Event::Progress, later);
    assert_eq!(upstream.deadline(), Some(later + TIMEOUTS.response));
    upstream.on(Event::Lost, later);
    assert_eq!(upstream.deadline(), None);
}

#[test]
fn an_idle_connection_is_kept_for_a_while() {
    let start = Instant::now();
    let mut upstream = in_state(State::Relaying);
    upstream.on(Event::End { keep: true }, start);
    assert_eq!(upstream.deadline(), Some(start + TIMEOUTS.kept));
    assert_eq!(upstream.on(Event::Expired, start), Action::Close);
    assert_eq!(upstream.deadline(), None);
}

/// Creates a machine that waits for a response over a kept connection since `start`.
fn over_a_kept_connection(begin: Event, start: Instant) -> Upstream {
    let mut upstream = in_state(State::Idle);
    upstream.on(begin, start);
    upstream.on(Event::Sent, start);
    assert_eq!(upstream.state(), State::AwaitingHead);
    upstream
}

#[test]
fn a_silent_kept_connection_is_doubted_and_then_replaced() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut upstream = over_a_kept_connection(BEGIN, start);
    assert_eq!(upstream.deadline(), Some(at(1)));
    assert_eq!(upstream.on(Event::Expired, at(1)), Action::Doubt);
    assert_eq!(upstream.deadline(), Some(at(15)), "a quarter of the time");
    assert_eq!(upstream.on(Event::Expired, at(15)), Action::Connect);
    assert_eq!(upstream.deadline(), Some(at(20)), "time for the connect");
    upstream.on(Event::Connected, at(16));
    upstream.on(Event::Sent, at(17));
    assert_eq!(
        upstream.deadline(),
        Some(at(60)),
        "the first attempt counts"
    );
    let late = Action::Refuse(Refusal::UpstreamTimeout);
    assert_eq!(
        upstream.on(Event::Expired, at(60)),
        late,
        "no third attempt"
    );
}

#[test]
fn the_second_attempt_has_what_the_first_has_left() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut upstream = over_a_kept_connection(BEGIN, start);
    upstream.on(Event::Expired, at(1));
    // The kernel has given up on a connection whose request was not acknowledged.
    assert_eq!(upstream.on(Event::Lost, at(2)), Action::Connect);
    upstream.on(Event::Attempt, at(58));
    assert_eq!(upstream.deadline(), Some(at(60)));
    assert_eq!(upstream.on(Event::Expired, at(59)), Action::NextAddress);
    let late = Action::Refuse(Refusal::UpstreamTimeout);
    assert_eq!(upstream.on(Event::Expired, at(60)), late, "no further one");
    assert_eq!(upstream.state(), State::Dead);
}

#[test]
fn a_second_attempt_that_brings_bytes_has_the_whole_time() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    for event in [Event::Bytes, Event::Progress] {
        let mut upstream = over_a_kept_connection(BEGIN, start);
        upstream.on(Event::Lost, at(15));
        upstream.on(Event::Connected, at(15));
        upstream.on(Event::Progress, at(16));
        upstream.on(Event::Sent, at(17));
        assert_eq!(upstream.deadline(), Some(at(60)), "to be sent is no sign");
        upstream.on(event, at(18));
        assert!(upstream.deadline() > Some(at(60)), "{event:?}");
        upstream.on(Event::Progress, at(90));
        assert_eq!(upstream.deadline(), Some(at(150)), "no time in the past");
    }
}

#[test]
fn only_a_repeatable_request_over_a_kept_connection_is_on_trial() {
    let start = Instant::now();
    let whole = Some(start + TIMEOUTS.response);
    let post = Event::Begin { repeatable: false };
    let upstream = over_a_kept_connection(post, start);
    assert_eq!(upstream.deadline(), whole, "it is sent once");

    let mut upstream = in_state(State::Sending);
    upstream.on(Event::Sent, start);
    assert_eq!(upstream.deadline(), whole, "the connection is new");

    for event in [Event::Bytes, Event::Abandoned { whole: true }] {
        let mut upstream = over_a_kept_connection(BEGIN, start);
        upstream.on(Event::Expired, start);
        upstream.on(event, start);
        assert_eq!(upstream.deadline(), whole, "{event:?}");
        assert_ne!(upstream.on(Event::Expired, start), Action::Connect);
    }
}
