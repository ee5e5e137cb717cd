//! Interim responses, and responses that no client gets: both have bounds of time and of bytes.

use std::time::Duration;

use harness::{Deadline, Hand, Peer, Test, ensure};

use crate::support::{MIB, Mux, answer, be_busy, field, get, reply};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Sends these bytes again and again, with a pause after each, until the queue closes the connection.
#[track_caller]
fn trickle(upstream: &Peer, bytes: &[u8]) {
    let deadline = Deadline::patience();
    while upstream.try_send(bytes).is_ok() {
        ensure(!deadline.passed(), "The queue still reads.");
        be_busy(Duration::from_millis(50));
    }
}

/// Sends these bytes again and again, without a pause, until the queue closes the connection.
#[track_caller]
fn flood(upstream: &Peer, bytes: &[u8]) {
    let bytes = bytes.repeat(1000);
    let mut sent = 0;
    while upstream.try_send(&bytes).is_ok() {
        sent += bytes.len();
        ensure(
            sent < 256 * MIB,
            format!("{sent} bytes were read and dropped."),
        );
    }
}

/// Lets a client ask and, if `stays` is not set, break off; behind it, another client waits.
#[track_caller]
fn asked(hand: &Hand, mux: &Mux, stays: bool) -> (Option<Peer>, Peer, Peer) {
    let (first, next) = (mux.client(), mux.client());
    first.send(&get("/first"));
    let upstream = hand.next();
    drop(upstream.read_until(b"\r\n\r\n"));
    next.send(&get("/next"));
    mux.wait_for("waiting", 1);
    if stays {
        return (Some(first), next, upstream);
    }
    first.reset();
    mux.wait_for("in flight", 0);
    (None, next, upstream)
}

/// Checks that the next request gets a new connection and its own response.
#[track_caller]
fn expect_next(hand: &Hand, next: &Peer) {
    let upstream = hand.next();
    answer(&upstream, b"next");
    assert_eq!(
        reply(next).text(),
        "next",
        "the body of the response to the next client"
    );
}

#[test]
fn e56_bytes_that_no_client_gets_buy_no_time() {
    let _test = Test::begin(
        "A byte now and then must not hold the queue: only bytes that a client gets are progress.",
    );
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--upstream-timeout", "1s"]);
    for stays in [true, false] {
        let (first, next, upstream) = asked(&hand, &mux, stays);
        trickle(&upstream, CONTINUE);
        if let Some(first) = first {
            assert_eq!(
                reply(&first).status(),
                "504",
                "the status of the response to the first client"
            );
        }
        expect_next(&hand, &next);
    }
    let (_, next, upstream) = asked(&hand, &mux, false);
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    trickle(&upstream, b"x");
    expect_next(&hand, &next);
}

#[test]
fn e56_interim_responses_that_a_client_gets_buy_time() {
    let _test = Test::begin("102 Processing says that the upstream is at work: pass it on.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--upstream-timeout", "2s"]);
    let (first, next, upstream) = asked(&hand, &mux, true);
    let first = first.expect("the client has stayed");
    let processing = b"HTTP/1.1 102 Processing\r\n\r\n";
    for _ in 0..50 {
        upstream.send(processing);
        first.expect(processing);
        be_busy(Duration::from_millis(50));
    }
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(
        reply(&first).text(),
        "ok",
        "the body of the response to the first client"
    );
    answer(&upstream, b"next");
    assert_eq!(
        reply(&next).text(),
        "next",
        "the body of the response to the next client"
    );
    assert_eq!(
        hand.accepts(),
        1,
        "connections that the upstream has accepted"
    );
}

#[test]
fn e56_a_flood_of_interim_responses_has_a_bound() {
    let _test = Test::begin("Count the bytes that were read, not those that a client would get.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--max-buffered", "100KiB"]);
    for stays in [true, false] {
        let (first, next, upstream) = asked(&hand, &mux, stays);
        flood(&upstream, CONTINUE);
        if let Some(first) = first {
            let reply = reply(&first);
            assert_eq!(reply.status(), "502", "the status of the response");
            assert_eq!(field(&reply.head, "connection"), None, "it is kept");
        }
        expect_next(&hand, &next);
    }
}

#[test]
fn e56_an_endless_answer_in_small_chunks_for_an_old_client_has_a_bound() {
    let _test =
        Test::begin("HTTP/1.0 gets no chunks; the bytes around them are read all the same.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--max-buffered", "1MiB"]);
    let (gone, next) = (mux.client(), mux.client());
    gone.send(b"GET / HTTP/1.0\r\n\r\n");
    let upstream = hand.next();
    drop(upstream.read_until(b"\r\n\r\n"));
    next.send(&get("/next"));
    mux.wait_for("waiting", 1);
    gone.reset();
    mux.wait_for("in flight", 0);
    upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("1;{}\r\nx\r\n", "x".repeat(1000));
    let mut sent = 0;
    while upstream.try_send(chunk.repeat(100).as_bytes()).is_ok() {
        sent += 100 * chunk.len();
        ensure(
            sent < 64 * MIB,
            format!("{sent} bytes were read and dropped."),
        );
    }
    expect_next(&hand, &next);
}
