//! A kept connection that has died without a sign: no FIN and no reset ever says so.

use std::time::{Duration, Instant};

use harness::{Hand, Test, ensure};

use crate::support::{
    Mux, Site, Then, answer, ask, be_busy, expect_served_by, get, ok, post, reply,
};

/// A time for the upstream that leaves the test enough: a second attempt comes long before its end.
const LONG: [&str; 2] = ["--upstream-timeout", "1h"];

#[test]
fn e56_a_connection_that_fell_silent_is_replaced_for_what_may_be_repeated() {
    let _test = Test::begin("A GET without a byte over a kept connection: try a new one.");
    let site = mute_at_the_second();
    let mux = Mux::start(site.addr(), &["--upstream-timeout", "8s"]);
    let client = mux.client();
    for path in ["/first", "/second"] {
        assert_eq!(
            ask(&client, &get(path)).text(),
            path,
            "the body of the response"
        );
    }
    assert_eq!(
        site.paths(),
        ["/first", "/second", "/second"],
        "the requests that the upstream got, in order"
    );
    assert_eq!(site.accepts(), 2, "connections that the site has accepted");
}

/// An upstream that answers the first request of its first connection, and of that one no other.
fn mute_at_the_second() -> Site {
    Site::start(|peer, asked| {
        if asked.number == 0 || peer.number() > 0 {
            peer.send(&ok(asked.path().as_bytes()));
        }
        Then::Next
    })
}

#[test]
fn e56_a_post_on_a_silent_connection_is_not_sent_again() {
    let _test =
        Test::begin("A silent upstream may have acted on the POST: 504, and no repetition.");
    let site = mute_at_the_second();
    let mux = Mux::start(site.addr(), &["--upstream-timeout", "2s"]);
    let client = mux.client();
    assert_eq!(
        ask(&client, &get("/first")).status(),
        "200",
        "the status of the response to /first"
    );
    assert_eq!(
        ask(&client, &post("/order", b"one book")).status(),
        "504",
        "the status of the response to /order"
    );
    assert_eq!(
        site.paths(),
        ["/first", "/order"],
        "the requests that the upstream got, in order"
    );
    assert_eq!(
        ask(&client, &get("/again")).text(),
        "/again",
        "the body of the response to /again"
    );
}

#[test]
fn e56_the_time_counts_from_the_first_attempt() {
    let _test = Test::begin("Two silent attempts share one time limit, and there is no third.");
    let site = Site::start(|peer, asked| {
        if asked.path() == "/first" {
            peer.send(&ok(b""));
        }
        Then::Next
    });
    let limit = Duration::from_secs(4);
    let mux = Mux::start(site.addr(), &["--upstream-timeout", "4s"]);
    let client = mux.client();
    assert_eq!(
        ask(&client, &get("/first")).status(),
        "200",
        "the status of the response to /first"
    );
    let begin = Instant::now();
    assert_eq!(
        ask(&client, &get("/silent")).status(),
        "504",
        "the status of the response to /silent"
    );
    let waited = begin.elapsed();
    ensure(
        waited >= limit && waited < limit + limit / 2,
        format!("504 after {waited:?}"),
    );
    assert_eq!(
        site.paths(),
        ["/first", "/silent", "/silent"],
        "the requests that the upstream got, in order"
    );
}

#[test]
fn e56_a_slow_answer_is_not_asked_for_twice() {
    let _test = Test::begin("A kept connection with a slow upstream is not a silent one.");
    let site = Site::start(|peer, asked| {
        if asked.path() == "/slow" {
            be_busy(Duration::from_millis(2500));
        }
        peer.send(&ok(asked.path().as_bytes()));
        Then::Next
    });
    let mux = Mux::start(site.addr(), &[]);
    let client = mux.client();
    for path in ["/first", "/slow", "/third"] {
        assert_eq!(
            ask(&client, &get(path)).text(),
            path,
            "the body of the response"
        );
    }
    assert_eq!(
        site.paths(),
        ["/first", "/slow", "/third"],
        "the requests that the upstream got, in order"
    );
    assert_eq!(site.accepts(), 1, "the connection is kept");
}

#[test]
fn e56_a_large_request_that_is_read_late_is_not_sent_twice() {
    let _test = Test::begin("Bytes that wait for room in the receive window are no silence.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &LONG);
    let client = mux.client();
    let upstream = expect_served_by(&hand, &client, "/first");
    let body = vec![b'x'; 1_000_000];
    let head = format!(
        "PUT /large HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(&[head.as_bytes(), &body].concat());
    be_busy(Duration::from_secs(4));
    let asked = upstream.read_until(b"\r\n\r\n");
    ensure(
        asked.starts_with(b"PUT /large "),
        format!(
            "The upstream should get PUT /large next, but it got {:?}.",
            String::from_utf8_lossy(&asked)
        ),
    );
    upstream.expect(&body);
    upstream.send(&ok(b"large"));
    assert_eq!(
        reply(&client).text(),
        "large",
        "the body of the response to the client"
    );
}

#[test]
fn e56_an_upstream_that_no_packet_reaches_is_noticed_soon() {
    let _test = Test::begin("Nothing acknowledges the request: the connection is dead, not slow.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &LONG);
    let client = mux.client();
    let vanished = expect_served_by(&hand, &client, "/first");
    vanished.vanish();
    client.send(&get("/second"));
    let upstream = hand.next();
    answer(&upstream, b"second");
    assert_eq!(
        reply(&client).text(),
        "second",
        "the body of the response to the client"
    );
}

#[test]
fn e56_an_idle_connection_is_closed_after_a_while() {
    let _test = Test::begin("Do not keep an idle connection for as long as the upstream likes.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &LONG);
    let client = mux.client();
    let upstream = expect_served_by(&hand, &client, "/first");
    upstream.expect_eof();
    expect_served_by(&hand, &client, "/second").expect_eof();

    let mux = Mux::start(hand.addr(), &["--framing", "line"]);
    let client = mux.client();
    client.send(b"a question\n");
    let upstream = hand.next();
    upstream.expect(b"a question\n");
    upstream.send(b"the answer\n");
    client.expect(b"the answer\n");
    upstream.expect_eof();
}
