//! Exercises 5.3 and 5.6 through the library: the states of the upstream connection.

use std::time::{Duration, Instant};

use harness::{Test, ensure, expect_value};
use stage5_mux::queue::framing::Refusal;
use stage5_mux::queue::upstream::{Action, Event, State, Timeouts, Upstream};

const BEGIN: Event = Event::Begin { repeatable: true };
const UNREPEATABLE: Event = Event::Begin { repeatable: false };
const KEPT: Event = Event::End { keep: true };
const GONE: Event = Event::Abandoned { whole: true };

/// Feeds a list of events to a new machine; returns its last action and its state.
fn after(story: &[Event]) -> (Action, State) {
    let (upstream, action) = played(story);
    (action, upstream.state())
}

/// Checks the last action and the state after a list of events; `cause` is the mistake that another outcome often comes from.
#[track_caller]
fn expect_after(story: &[Event], expected: (Action, State), cause: &str) {
    expect_value(
        format!("The action and the state after {story:?}"),
        &expected,
        &after(story),
        cause,
    );
}

/// Checks whether the next request may begin after a list of events.
#[track_caller]
fn expect_free(story: &[Event], is_free: bool) {
    expect_value(
        format!("is_free after {story:?}"),
        &is_free,
        &played(story).0.is_free(),
        "the request in flight is forgotten too early, or kept for too long.",
    );
}

fn played(story: &[Event]) -> (Upstream, Action) {
    let now = Instant::now();
    let timeouts = Timeouts {
        connect: Duration::from_secs(5),
        response: Duration::from_secs(60),
        kept: Duration::from_secs(4),
    };
    let mut upstream = Upstream::new(timeouts, now);
    let actions = story.iter().map(|&event| upstream.on(event, now));
    let last = actions.last().unwrap_or(Action::Nothing);
    (upstream, last)
}

/// A whole exchange, after which the connection is idle.
const EXCHANGE: [Event; 6] = [
    BEGIN,
    Event::Connected,
    Event::Sent,
    Event::Bytes,
    Event::Head,
    KEPT,
];

#[test]
fn e53_a_request_goes_through_all_states() {
    let _test = Test::begin("One exchange: connect, send, await the head, relay, be idle again.");
    let expected = [
        (Action::Connect, State::Connecting),
        (Action::Nothing, State::Sending),
        (Action::Nothing, State::AwaitingHead),
        (Action::Nothing, State::AwaitingHead),
        (Action::Nothing, State::Relaying),
        (Action::Nothing, State::Idle),
    ];
    for (count, expected) in (1..).zip(expected) {
        let story = &EXCHANGE[..count];
        expect_after(
            story,
            expected,
            "an arrow of the picture in upstream.rs is missing, or leads elsewhere.",
        );
        expect_free(story, count == 6);
    }
    let again = [&EXCHANGE[..], &[BEGIN]].concat();
    let at_once = "an idle connection takes the next request at once.";
    expect_after(&again, (Action::Nothing, State::Sending), at_once);
    let late = [&again[..], &[Event::Connected]].concat();
    let late_cause = "the connection is open already, so a second Connected changes nothing.";
    expect_after(&late, (Action::Nothing, State::Sending), late_cause);
}

#[test]
fn e53_two_requests_are_never_in_flight() {
    let _test = Test::begin("Two requests in flight would be a bug of the queue, so panic.");
    for count in 1..6 {
        let story = [&EXCHANGE[..count], &[BEGIN]].concat();
        let outcome = std::panic::catch_unwind(|| after(&story));
        ensure(
            outcome.is_err(),
            format!(
                "After {story:?} a second request is in flight ({outcome:?}). Its client would get the response of the first one: \
                 panic when a request begins before the last one has ended."
            ),
        );
    }
}

#[test]
fn e53_a_connection_is_kept_when_both_sides_are_through() {
    let _test = Test::begin(
        "Keep the connection only if the upstream keeps it and the whole request has left.",
    );
    let closed = (Action::Close, State::Dead);
    let not_kept = Event::End { keep: false };
    let story = [&EXCHANGE[..5], &[not_kept]].concat();
    expect_after(&story, closed, "the upstream closes it.");
    let story = [BEGIN, Event::Connected, Event::Head, KEPT];
    expect_after(&story, closed, "half a request has left.");
    let story = [BEGIN, Event::Connected, Event::Head, Event::Sent, KEPT];
    expect_after(
        &story,
        (Action::Nothing, State::Idle),
        "the rest of the request may leave while the response comes.",
    );
}

#[test]
fn e53_bytes_that_nobody_asked_for_close_the_connection() {
    let _test =
        Test::begin("Bytes that arrive on an idle connection do not belong to the next response.");
    let story = [&EXCHANGE[..], &[Event::Bytes]].concat();
    let unasked = "these bytes would be taken for the beginning of the next client's response.";
    expect_after(&story, (Action::Close, State::Dead), unasked);
    let next = [&story[..], &[BEGIN]].concat();
    let anew = "the connection was closed, so the next request needs a new one.";
    expect_after(&next, (Action::Connect, State::Connecting), anew);
}

const CLOSED: Action = Action::Refuse(Refusal::BadGateway("the upstream closed the connection"));

#[test]
fn e56_a_lost_request_is_sent_once_more_if_that_does_no_harm() {
    let _test = Test::begin(
        "Repeat a request if nothing came back, it is idempotent, and it is the first attempt.",
    );
    let reuse = [&EXCHANGE[..], &[BEGIN]].concat();
    for (way, story) in [
        ("while it leaves", &reuse[..]),
        ("while it waits", &EXCHANGE[..3]),
    ] {
        let lost = [story, &[Event::Lost]].concat();
        expect_after(
            &lost,
            (Action::Connect, State::Connecting),
            &format!("a request that is lost {way} is not sent once more."),
        );
        expect_free(&lost, false);
        let twice = [&lost[..], &[Event::Connected, Event::Sent, Event::Lost]].concat();
        expect_after(&twice, (CLOSED, State::Dead), "not a third time.");
    }
    let story = [UNREPEATABLE, Event::Connected, Event::Sent, Event::Lost];
    expect_after(&story, (CLOSED, State::Dead), "a POST is never repeated.");
    let story = [&EXCHANGE[..4], &[Event::Lost]].concat();
    expect_after(&story, (CLOSED, State::Dead), "its answer had begun.");
    let story = [&EXCHANGE[..3], &[GONE, Event::Lost]].concat();
    expect_after(&story, (Action::Close, State::Dead), "its client has gone.");
}

#[test]
fn e56_a_request_that_is_sent_again_has_not_left_yet() {
    let _test = Test::begin(
        "A second attempt begins anew: what was sent over the lost connection says nothing about the new one.",
    );
    let lost = [&EXCHANGE[..3], &[Event::Lost, Event::Connected]].concat();
    let early = [&lost[..], &[Event::Bytes, Event::Head, KEPT]].concat();
    expect_after(
        &early,
        (Action::Close, State::Dead),
        "the response ended while the request was still being sent over the second connection. Kept, that connection would take \
         the next request for the missing rest of this one: whether all was sent has to be asked anew.",
    );
    let whole = [&lost[..], &EXCHANGE[2..]].concat();
    expect_after(
        &whole,
        (Action::Nothing, State::Idle),
        "all of the request has left over the second connection, which can be kept.",
    );
}

#[test]
fn e56_every_end_has_its_own_words() {
    let _test = Test::begin(
        "Before the head: 502 or 504; after it: abort, so that the client sees the break.",
    );
    let late = Action::Refuse(Refusal::UpstreamTimeout);
    let table = [
        (
            &EXCHANGE[..1],
            Event::Expired,
            Action::NextAddress,
            State::Connecting,
        ),
        (&EXCHANGE[..2], Event::Expired, late, State::Dead),
        (&EXCHANGE[..3], Event::Expired, late, State::Dead),
        (&EXCHANGE[..5], Event::Expired, Action::Abort, State::Dead),
        (&EXCHANGE[..6], Event::Expired, Action::Close, State::Dead),
        (&EXCHANGE[..5], Event::Lost, Action::Abort, State::Dead),
        (&EXCHANGE[..6], Event::Lost, Action::Close, State::Dead),
        (
            &EXCHANGE[..1],
            Event::Lost,
            Action::Nothing,
            State::Connecting,
        ),
    ];
    for (story, event, action, state) in table {
        let whole = [story, &[event]].concat();
        expect_after(
            &whole,
            (action, state),
            "before the head the client gets 502 or 504; after it only an aborted connection shows that bytes are missing.",
        );
    }
}

#[test]
fn e56_the_answer_for_a_client_that_has_gone_is_read_and_dropped() {
    let _test = Test::begin(
        "An abandoned response must not reach the next client: read it to its end, or close.",
    );
    for count in 2..6 {
        let gone = [&EXCHANGE[..count], &[GONE]].concat();
        let (_, state) = after(&EXCHANGE[..count]);
        expect_after(
            &gone,
            (Action::Nothing, state),
            "the exchange goes on without its client.",
        );
        expect_free(&gone, false);
        let end = [&gone[..], &EXCHANGE[count..]].concat();
        expect_after(
            &end,
            (Action::Nothing, State::Idle),
            "the response was read to its end, so the connection serves the next client.",
        );
        let late = [&gone[..], &[Event::Expired]].concat();
        expect_after(
            &late,
            (Action::Close, State::Dead),
            "no client is left to tell.",
        );
        let partial = Event::Abandoned { whole: false };
        let cut = [&EXCHANGE[..count], &[partial]].concat();
        expect_after(
            &cut,
            (Action::Close, State::Dead),
            "the rest of the request never arrives.",
        );
    }
}

#[test]
fn e56_a_connection_begun_for_somebody_who_has_gone_serves_the_next() {
    let _test =
        Test::begin("No byte has been sent, so the new connection can serve the next request.");
    let gone = [BEGIN, GONE];
    let connecting = (Action::Nothing, State::Connecting);
    let goes_on = "the connect goes on: no byte of the lost client has gone into it.";
    expect_after(&gone, connecting, goes_on);
    expect_free(&gone, true);
    let idle = [BEGIN, GONE, Event::Connected];
    let kept = "without a request the new connection is idle, and waits for the next one.";
    expect_after(&idle, (Action::Nothing, State::Idle), kept);
    let next = [BEGIN, GONE, BEGIN];
    let under_way = "a connect is in progress already; a second one would be a second connection.";
    expect_after(&next, connecting, under_way);
    let next = [BEGIN, GONE, BEGIN, Event::Connected];
    let sent = "the new connection is open, and a request waits for it.";
    expect_after(&next, (Action::Nothing, State::Sending), sent);
}
