//! Exercise 3.2 through the library: another thread wakes the poll.

use std::sync::Arc;
use std::thread;

use crate::support::{events_now, one_event};
use harness::{Test, in_time};
use stage3_epoll::{Poll, Token, Waker};

#[test]
fn e32_another_thread_wakes_the_poll() {
    let _test = Test::begin(
        "An eventfd that is registered like a socket: writing to it makes it readable.",
    );
    let poll = Poll::new().unwrap();
    let waker = Arc::new(Waker::new(&poll, Token(77)).unwrap());
    assert!(events_now(&poll).is_empty(), "wake was not called yet");
    let other = Arc::clone(&waker);
    let thread = thread::spawn(move || other.wake());
    assert_eq!(
        one_event(&poll).token(),
        Token(77),
        "the token of the waker"
    );
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
    assert_eq!(
        one_event(&poll).token(),
        Token(77),
        "the token of the waker"
    );
    waker.reset().unwrap();
    assert!(
        events_now(&poll).is_empty(),
        "100 calls and one reset, and the waker is still ready: reset must read the whole number"
    );
    waker.wake().unwrap();
    assert_eq!(
        one_event(&poll).token(),
        Token(77),
        "the token of the waker"
    );
}

#[test]
fn e32_reset_without_a_call_does_not_wait() {
    let _test = Test::begin("EAGAIN from an empty eventfd is no error.");
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(77)).unwrap();
    // A blocking eventfd would wait here forever.
    let outcome = in_time("reset", move || waker.reset().and_then(|()| waker.reset()));
    outcome.unwrap();
}
