//! Every event in every state, and the stories that matter.

use super::*;

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    response: Duration::from_secs(60),
};
const GONE: Refusal = Refusal::BadGateway("the upstream closed the connection");
const NO: Refusal = Refusal::BadGateway("no");
const TURN: Event = Event::Turn { repeatable: true };

/// Brings a machine into a state, with a request that may be repeated.
fn in_state(state: State) -> Upstream {
    let now = Instant::now();
    let mut upstream = Upstream::new(PATIENCE, now);
    let path: &[Event] = match state {
        State::Dead => &[],
        State::Connecting => &[TURN],
        State::Idle => &[
            TURN,
            Event::Connected,
            Event::Sent,
            Event::Head,
            Event::End { keep: true },
        ],
        State::Sending => &[TURN, Event::Connected],
        State::AwaitingHead => &[TURN, Event::Connected, Event::Sent],
        State::Relaying => &[TURN, Event::Connected, Event::Sent, Event::Head],
    };
    for &event in path {
        upstream.on(event, now);
    }
    assert_eq!(upstream.state(), state);
    upstream
}

/// An event, and what becomes of each state.
type Row = (Event, [Option<(State, Action)>; 6]);

#[test]
fn every_event_in_every_state() {
    use Action::{Abort, Close, Connect, NextAddress, Nothing, Refuse, Send};
    use State::{AwaitingHead, Connecting, Dead, Idle, Relaying, Sending};
    let states = [Dead, Connecting, Idle, Sending, AwaitingHead, Relaying];
    let stay = |action| states.map(|state| Some((state, action)));
    let late = Refusal::UpstreamTimeout;
    #[rustfmt::skip]
    let table: [Row; 16] = [
        // A turn while another one lasts is a bug: None.
        (TURN, [Some((Connecting, Connect)), None, Some((Sending, Send)), None, None, None]),
        (Event::Attempt, stay(Nothing)),
        (Event::Connected, [Some((Dead, Nothing)), Some((Sending, Send)), Some((Idle, Nothing)), Some((Sending, Nothing)), Some((AwaitingHead, Nothing)), Some((Relaying, Nothing))]),
        (Event::Unreached(NO), [Some((Dead, Nothing)), Some((Dead, Refuse(NO))), Some((Idle, Nothing)), Some((Sending, Nothing)), Some((AwaitingHead, Nothing)), Some((Relaying, Nothing))]),
        (Event::Progress, stay(Nothing)),
        (Event::Sent, [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Idle, Nothing)), Some((AwaitingHead, Nothing)), Some((AwaitingHead, Nothing)), Some((Relaying, Nothing))]),
        (Event::Bytes, [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Dead, Close)), Some((Sending, Nothing)), Some((AwaitingHead, Nothing)), Some((Relaying, Nothing))]),
        (Event::Head, [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Idle, Nothing)), Some((Relaying, Nothing)), Some((Relaying, Nothing)), Some((Relaying, Nothing))]),
        (Event::End { keep: true }, [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Idle, Nothing)), Some((Sending, Nothing)), Some((AwaitingHead, Nothing)), Some((Idle, Nothing))]),
        (Event::End { keep: false }, [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Idle, Nothing)), Some((Sending, Nothing)), Some((AwaitingHead, Nothing)), Some((Dead, Close))]),
        (Event::Lost, [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Dead, Close)), Some((Connecting, Connect)), Some((Connecting, Connect)), Some((Dead, Abort))]),
        (Event::Invalid(NO), [Some((Dead, Nothing)), Some((Connecting, Nothing)), Some((Dead, Close)), Some((Dead, Refuse(NO))), Some((Dead, Refuse(NO))), Some((Dead, Abort))]),
        (Event::Expired, [Some((Dead, Nothing)), Some((Connecting, NextAddress)), Some((Idle, Nothing)), Some((Dead, Refuse(late))), Some((Dead, Refuse(late))), Some((Dead, Abort))]),
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
fn only_a_repeatable_request_without_an_answer_is_sent_twice() {
    let now = Instant::now();
    let mut upstream = in_state(State::AwaitingHead);
    assert_eq!(upstream.on(Event::Lost, now), Action::Connect);
    upstream.on(Event::Connected, now);
    assert_eq!(upstream.on(Event::Lost, now), Action::Refuse(GONE), "once");

    let mut upstream = in_state(State::AwaitingHead);
    upstream.on(Event::Bytes, now);
    assert_eq!(upstream.on(Event::Lost, now), Action::Refuse(GONE));

    let mut upstream = in_state(State::Idle);
    upstream.on(Event::Turn { repeatable: false }, now);
    assert_eq!(upstream.on(Event::Lost, now), Action::Refuse(GONE));
}

#[test]
fn an_answer_before_the_request_has_left_ends_the_connection() {
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
    assert_eq!(upstream.state(), State::Idle, "the rest has left meanwhile");
}

#[test]
fn a_client_that_has_gone_is_told_nothing() {
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
fn a_connection_begun_for_nobody_serves_the_next() {
    let now = Instant::now();
    let mut upstream = in_state(State::Connecting);
    upstream.on(Event::Abandoned { whole: true }, now);
    assert!(upstream.is_free());
    assert_eq!(upstream.on(TURN, now), Action::Nothing);
    assert_eq!(upstream.on(Event::Connected, now), Action::Send);

    let mut upstream = in_state(State::Connecting);
    upstream.on(Event::Abandoned { whole: true }, now);
    assert_eq!(upstream.on(Event::Connected, now), Action::Nothing);
    assert_eq!(upstream.state(), State::Idle);
}

#[test]
fn every_event_puts_the_deadline_off() {
    let start = Instant::now();
    let later = start + Duration::from_secs(50);
    let mut upstream = Upstream::new(PATIENCE, start);
    assert_eq!(upstream.deadline(), None);
    upstream.on(TURN, start);
    assert_eq!(upstream.deadline(), Some(start + PATIENCE.connect));
    upstream.on(Event::Connected, start);
    assert_eq!(upstream.deadline(), Some(start + PATIENCE.response));
    upstream.on(Event::Bytes, later);
    assert_eq!(upstream.deadline(), Some(later + PATIENCE.response));
    upstream.on(Event::Lost, later);
    assert_eq!(upstream.deadline(), None);
}
