//! Exercise 3.0 through the library: `Interest`, and what a `Poll` does with it.

use std::io::{ErrorKind, Write};

use crate::support::{events_now, no_event, one_event, pair, registered};
use harness::{Test, ensure, expect_value};
use stage3_epoll::{Interest, Poll, Token};

#[test]
fn e30_bytes_make_a_socket_readable() {
    let _test = Test::begin(
        "register adds the descriptor, poll fetches the events: epoll_ctl(2), epoll_wait(2).",
    );
    let (ours, mut theirs) = pair();
    let token = Token(u64::MAX - 7);
    let poll = registered(&ours, token, Interest::READABLE);
    no_event(&poll, "there is nothing to read yet");
    theirs.write_all(b"x").unwrap();
    let event = one_event(&poll, "a byte has come");
    let cause = "the token was cut, or it was not put into the EpollEvent: all 64 bits come back.";
    expect_value("The token of the event", &token, &event.token(), cause);
    ensure(
        event.is_readable() && !event.is_read_closed() && !event.is_error(),
        format!("A byte makes a socket readable and nothing else, but the event is {event:?}."),
    );
    ensure(
        !event.is_writable(),
        format!("EPOLLOUT was not asked for, but the event is {event:?}."),
    );
    one_event(
        &poll,
        "the byte still waits, and a level-triggered interest says so again",
    );
}

#[test]
fn e30_many_descriptors_have_their_own_tokens() {
    let _test =
        Test::begin("Each event carries the token that was registered with its descriptor.");
    let pairs: Vec<_> = (0..8).map(|_| pair()).collect();
    let poll = Poll::new().unwrap();
    for (number, (ours, _)) in (0..).zip(&pairs) {
        poll.register(ours, Token(number << 40 | 5), Interest::READABLE)
            .unwrap();
    }
    for number in [3, 6] {
        (&pairs[number].1).write_all(b"x").unwrap();
    }
    let mut tokens: Vec<_> = events_now(&poll)
        .iter()
        .map(|event| event.token().0 >> 40)
        .collect();
    tokens.sort_unstable();
    expect_value(
        "The tokens of the two sockets with a byte",
        &vec![3, 6],
        &tokens,
        "the token was registered with another descriptor, or lost its upper bits.",
    );
}

#[test]
fn e30_interest_says_what_is_asked_for() {
    let _test = Test::begin("wanting(read, write) is one of four constants.");
    let table = [
        (false, false, Interest::NONE),
        (true, false, Interest::READABLE),
        (false, true, Interest::WRITABLE),
        (true, true, Interest::BOTH),
    ];
    let cause = "each of the four cases has a constant of its own.";
    for (read, write, interest) in table {
        let case = format!("Interest::wanting(read: {read}, write: {write})");
        expect_value(case, &interest, &Interest::wanting(read, write), cause);
    }
    let (ours, mut theirs) = pair();
    theirs.write_all(b"x").unwrap();
    for (read, write, interest) in table {
        let poll = registered(&ours, Token(1), interest);
        let events = events_now(&poll);
        let seen = (
            events.iter().any(|event| event.is_readable()),
            events.iter().any(|event| event.is_writable()),
        );
        expect_value(
            format!(
                "What {interest:?} reports of a socket with a byte and with room (readable, writable)"
            ),
            &(read, write),
            &seen,
            "register passes other flags to the kernel than those of the interest.",
        );
    }
}

#[test]
fn e30_interest_can_be_changed_and_withdrawn() {
    let _test =
        Test::begin("reregister replaces token and interest; deregister takes the descriptor out.");
    let (ours, mut theirs) = pair();
    theirs.write_all(b"x").unwrap();
    let poll = registered(&ours, Token(1), Interest::READABLE);
    poll.reregister(&ours, Token(2), Interest::WRITABLE)
        .unwrap();
    let event = one_event(&poll, "the socket has room");
    ensure(
        event.token() == Token(2) && !event.is_readable() && event.is_writable(),
        format!(
            "After reregister with Token(2) and WRITABLE the event is {event:?}: EPOLL_CTL_MOD replaces the token and the interest, \
             and adds nothing to them."
        ),
    );
    poll.reregister(&ours, Token(3), Interest::NONE).unwrap();
    no_event(&poll, "the interest is NONE, although a byte waits");
    poll.reregister(&ours, Token(4), Interest::BOTH).unwrap();
    let event = one_event(&poll, "the interest is BOTH, and a byte waits");
    ensure(
        event.is_readable() && event.is_writable(),
        format!(
            "A byte waits, there is room, and the interest is BOTH, but the event is {event:?}."
        ),
    );
    poll.deregister(&ours).unwrap();
    no_event(&poll, "the socket is deregistered");
    ensure(
        poll.reregister(&ours, Token(5), Interest::BOTH).is_err(),
        "reregister took a socket that is not registered any more: EPOLL_CTL_MOD fails with ENOENT, and so must it.",
    );
}

#[test]
fn e30_edges_are_reported_once() {
    let _test = Test::begin("Interest::edge adds EPOLLET and keeps the other bits.");
    let (ours, mut theirs) = pair();
    let poll = registered(&ours, Token(1), Interest::READABLE.edge());
    theirs.write_all(b"x").unwrap();
    one_event(&poll, "the first byte is an edge, and edge() keeps EPOLLIN");
    no_event(
        &poll,
        "an edge-triggered interest reports the same byte once: edge() adds EPOLLET",
    );
    theirs.write_all(b"y").unwrap();
    one_event(&poll, "the second byte is another edge");
}

#[test]
fn e30_a_descriptor_is_registered_once() {
    let _test = Test::begin(
        "EEXIST: two parts of a program want the events of one descriptor, and one of them would get none.",
    );
    let (ours, mut theirs) = pair();
    let poll = registered(&ours, Token(1), Interest::READABLE);
    let again = poll.register(&ours, Token(2), Interest::READABLE);
    expect_value(
        "The outcome of a second register for the same descriptor",
        &Err(ErrorKind::AlreadyExists),
        &again.map_err(|error| error.kind()),
        "it replaces the first registration; only reregister does that.",
    );
    theirs.write_all(b"x").unwrap();
    let event = one_event(&poll, "a byte has come");
    let cause = "the first registration has gone, although the second one failed.";
    expect_value("The token of the event", &Token(1), &event.token(), cause);
}

#[test]
fn e30_a_closed_descriptor_leaves_by_itself() {
    let _test = Test::begin("The poll must not keep a copy of the descriptor.");
    let (ours, mut theirs) = pair();
    let poll = registered(&ours, Token(1), Interest::READABLE);
    theirs.write_all(b"x").unwrap();
    drop(ours);
    no_event(
        &poll,
        "the descriptor is closed; if it is still reported, the poll holds a duplicate of it",
    );
}
