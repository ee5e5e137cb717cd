//! Exercise 3.2 through the library: another thread wakes the poll.

use std::sync::Arc;
use std::thread;

use crate::support::{no_event, one_event};
use harness::{Test, ensure, expect_value, in_time};
use stage3_epoll::{Poll, Token, Waker};

/// Expects one event, and that it is the waker's.
#[track_caller]
fn woken(poll: &Poll) {
    let event = one_event(poll, "wake was called");
    let cause = "the waker was registered under another token.";
    expect_value("The token of the event", &Token(77), &event.token(), cause);
}

#[test]
fn e32_another_thread_wakes_the_poll() {
    let _test = Test::begin(
        "An eventfd that is registered like a socket: writing to it makes it readable.",
    );
    let poll = Poll::new().unwrap();
    let waker = Arc::new(Waker::new(&poll, Token(77)).unwrap());
    no_event(&poll, "wake was not called yet");
    let other = Arc::clone(&waker);
    let thread = thread::spawn(move || other.wake());
    woken(&poll);
    thread.join().unwrap().unwrap();
}

#[test]
fn e32_many_calls_are_one_event() {
    let _test =
        Test::begin("reset reads the counter: then the poll is silent until the next call.");
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(77)).unwrap();
    for _ in 0..100 {
        waker.wake().unwrap();
    }
    woken(&poll);
    waker.reset().unwrap();
    no_event(
        &poll,
        "reset must read the whole number: after 100 calls and one reset, an event means that the waker is still ready",
    );
    waker.wake().unwrap();
    woken(&poll);
}

#[test]
fn e32_reset_without_a_call_does_not_wait() {
    let _test = Test::begin(
        "An empty eventfd that may block makes read(2) wait: with EFD_NONBLOCK it fails with EAGAIN, which is no error here.",
    );
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(77)).unwrap();
    // A blocking eventfd would wait here forever.
    let outcome = in_time("reset", move || waker.reset().and_then(|()| waker.reset()));
    ensure(
        outcome.is_ok(),
        format!(
            "reset without a call before it returned {outcome:?}. EAGAIN says that the number was 0, and that is success."
        ),
    );
}
