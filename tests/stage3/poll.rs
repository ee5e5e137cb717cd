//! Exercise 3.1 through the library: ends, time limits and signals.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{HALF_A_SECOND, events_within, one_event, pair, registered};
use harness::{Deadline, PATIENCE, Test, ensure, expect_value, scaled};
use nix::sys::pthread::{pthread_kill, pthread_self};
use nix::sys::signal::Signal;
use signal_hook::consts::SIGUSR1;
use stage3_epoll::{Event, Events, Interest, Readiness, Token};

#[test]
fn e31_the_ends_of_a_connection_can_be_told_apart() {
    let _test = Test::begin(
        "EPOLLRDHUP: no more comes. EPOLLHUP: both directions are over. Ask for RDHUP with READABLE.",
    );
    let (ours, theirs) = pair();
    let poll = registered(&ours, Token(1), Interest::READABLE);
    theirs.shutdown(std::net::Shutdown::Write).unwrap();
    let event = one_event(&poll, "the other side has ended its output");
    ensure(
        event.is_read_closed() && !event.is_write_closed() && !event.is_error(),
        format!(
            "The other side has ended its output, and nothing else: is_read_closed should be true, is_write_closed and is_error \
             false, but they are {}, {} and {} for {event:?}.",
            event.is_read_closed(),
            event.is_write_closed(),
            event.is_error(),
        ),
    );
    drop(theirs);
    let event = one_event(&poll, "the other side is gone");
    ensure(
        event.is_read_closed() && event.is_write_closed(),
        format!(
            "The other side is gone, so is_read_closed and is_write_closed should be true, but they are {} and {} for {event:?}. \
             One flag of several is enough: intersects, not contains.",
            event.is_read_closed(),
            event.is_write_closed(),
        ),
    );
    let table = [
        (Readiness::EPOLLIN, [true, false, false, false, false]),
        (Readiness::EPOLLOUT, [false, true, false, false, false]),
        (Readiness::EPOLLRDHUP, [false, false, true, false, false]),
        (Readiness::EPOLLHUP, [false, false, true, true, false]),
        (Readiness::EPOLLERR, [false, false, false, true, true]),
    ];
    for (readiness, expected) in table {
        let event = Event::new(Token(9), readiness);
        let seen = [
            ("is_readable", event.is_readable()),
            ("is_writable", event.is_writable()),
            ("is_read_closed", event.is_read_closed()),
            ("is_write_closed", event.is_write_closed()),
            ("is_error", event.is_error()),
        ];
        for ((method, seen), expected) in seen.into_iter().zip(expected) {
            ensure(
                seen == expected,
                format!(
                    "{method} is {seen} for an event with {readiness:?}, but it should be {expected}. EPOLLHUP means that both \
                     directions are over, EPOLLERR that writing can only fail."
                ),
            );
        }
    }
}

#[test]
fn e31_a_time_limit_is_never_too_short() {
    let _test =
        Test::begin("epoll counts milliseconds: round up, or 300 microseconds become a busy loop.");
    let (ours, _theirs) = pair();
    let poll = registered(&ours, Token(1), Interest::READABLE);
    for limit in [Duration::from_micros(300), Duration::from_micros(20_500)] {
        let before = Instant::now();
        let events = events_within(&poll, limit);
        ensure(
            events.is_empty(),
            format!("Nothing has happened, but a wait of {limit:?} returned {events:?}."),
        );
        let took = before.elapsed();
        ensure(
            took >= limit,
            format!(
                "A wait of {limit:?} took only {took:?}: the time limit was rounded down to whole milliseconds. A loop that waits \
                 for the rest of a millisecond then spins."
            ),
        );
    }
}

#[test]
fn e31_a_time_limit_of_zero_does_not_wait() {
    let _test = Test::begin("Round up what is no whole millisecond, and nothing else.");
    let (ours, _theirs) = pair();
    let poll = registered(&ours, Token(1), Interest::READABLE);
    let (looks, limit) = (5000, scaled(Duration::from_secs(3)));
    let begun = Instant::now();
    for _ in 0..looks {
        let _ = events_within(&poll, Duration::ZERO);
    }
    let took = begun.elapsed();
    ensure(
        took < limit,
        format!(
            "{looks} calls with a time limit of zero took {took:?}. A likely cause: a millisecond is added to each time limit."
        ),
    );
}

#[test]
fn e31_a_wait_without_end_waits() {
    let _test = Test::begin(
        "None waits forever, and so does a limit beyond 24 days, which epoll_wait(2) cannot count in milliseconds.",
    );
    for limit in [
        None,
        Some(Duration::from_secs(100 * 86_400)),
        Some(Duration::MAX),
    ] {
        let (ours, mut theirs) = pair();
        let poll = registered(&ours, Token(1), Interest::READABLE);
        let (done, count) = mpsc::channel();
        thread::spawn(move || {
            let mut events = Events::with_capacity(4);
            let result = poll.poll(&mut events, limit);
            // This fails only if the test has failed already.
            let _ = done.send((result.is_ok(), events.iter().count()));
        });
        if let Ok((is_ok, count)) = count.recv_timeout(HALF_A_SECOND) {
            harness::fail(format!(
                "With the time limit {limit:?} poll came back at once (Ok: {is_ok}, {count} events), although nothing had \
                 happened. A loop around it would never sleep."
            ));
        }
        theirs.write_all(b"x").unwrap();
        let seen = Deadline::patience().receive(&count);
        expect_value(
            format!(
                "What poll with the time limit {limit:?} returned when a byte came (Ok, events)"
            ),
            &Ok((true, 1)),
            &seen,
            "the event was not waited for, or it was not put into the batch.",
        );
    }
}

/// Calls `wait` again and again while signals reach this thread.
fn while_interrupted(mut wait: impl FnMut()) {
    signal_hook::flag::register(SIGUSR1, Arc::new(AtomicBool::new(false))).expect("a handler");
    let waiter = pthread_self();
    thread::scope(|scope| {
        let signals = scope.spawn(|| {
            for _ in 0..50 {
                pthread_kill(waiter, Signal::SIGUSR1).expect("a signal");
                // Spread over many waits: a signal between two of them interrupts nothing.
                thread::sleep(Duration::from_millis(2));
            }
        });
        while !signals.is_finished() {
            wait();
        }
    });
}

#[test]
fn e31_a_signal_is_no_error() {
    let _test = Test::begin(
        "A signal ends epoll_wait(2) early, with EINTR. That is no error: the wait has brought no events.",
    );
    let (ours, _theirs) = pair();
    let poll = registered(&ours, Token(1), Interest::READABLE);
    while_interrupted(|| {
        let events = events_within(&poll, Duration::from_millis(20));
        ensure(
            events.is_empty(),
            format!("Nothing has happened but a signal, and poll returned {events:?}."),
        );
    });
}

#[test]
fn e31_a_signal_ends_a_wait() {
    let _test = Test::begin(
        "EINTR ends the wait: one that begins anew has its whole limit again, and a caller with a deadline misses it.",
    );
    signal_hook::flag::register(SIGUSR1, Arc::new(AtomicBool::new(false))).expect("a handler");
    let (ours, _theirs) = pair();
    let poll = registered(&ours, Token(1), Interest::READABLE);
    let (done, back) = mpsc::channel();
    let waiter = pthread_self();
    let is_back = thread::scope(|scope| {
        let signals = scope.spawn(move || {
            let enough = Deadline::after(Duration::from_secs(3));
            let mut is_back = false;
            while !is_back && !enough.passed() {
                pthread_kill(waiter, Signal::SIGUSR1).expect("a signal");
                is_back = back.recv_timeout(Duration::from_millis(2)).is_ok();
            }
            is_back
        });
        events_within(&poll, HALF_A_SECOND);
        // This fails only if the signals have ended already.
        let _ = done.send(());
        signals.join().expect("the thread that sends signals")
    });
    ensure(
        is_back,
        "A wait of half a second was interrupted again and again, and did not end for three seconds: it begins anew after \
         EINTR, with the whole time limit.",
    );
}

#[test]
fn e31_an_interrupted_wait_leaves_no_old_events() {
    let _test = Test::begin(
        "Clear the events before the wait: a wait that a signal ends early puts nothing in their place.",
    );
    let (mut ours, mut theirs) = pair();
    let poll = registered(&ours, Token(1), Interest::READABLE);
    let mut events = Events::with_capacity(4);
    while_interrupted(|| {
        theirs.write_all(b"x").unwrap();
        poll.poll(&mut events, Some(PATIENCE))
            .expect("a wait for a byte");
        ours.read_exact(&mut [0]).unwrap();
        let limit = Some(Duration::from_millis(20));
        poll.poll(&mut events, limit).expect("a wait for nothing");
        let old: Vec<_> = events.iter().collect();
        ensure(
            old.is_empty(),
            format!(
                "The byte was read before this wait, and a signal ended it, but the batch still has {old:?}. A loop would serve \
                 this client a second time."
            ),
        );
    });
}
