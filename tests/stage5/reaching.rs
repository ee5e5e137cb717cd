//! Connecting to the upstream: its name, its addresses, and the time limit of each address.

use std::time::Duration;

use harness::{BlackHole, Hand, PATIENCE, Test, eventually, sockets};

use crate::support::{Mux, Site, Then, ask, get, ok, post, reply};

#[test]
fn e56_an_upstream_with_a_name_is_found_again_after_each_end() {
    let _test = Test::begin("Look the name up on another thread, then try its addresses.");
    let site = Site::start(|peer, asked| {
        peer.send(&ok(asked.path().as_bytes()));
        Then::Close
    });
    let upstream = format!("localhost:{}", site.addr().port());
    let mux = Mux::start(upstream, &["--connect-timeout", "1h"]);
    let client = mux.client();
    for path in ["/1", "/2", "/3"] {
        assert_eq!(
            ask(&client, &get(path)).text(),
            path,
            "the body of the response"
        );
    }
    assert_eq!(site.accepts(), 3, "connections that the site has accepted");
}

#[test]
fn e56_an_upstream_that_takes_no_connection_is_a_504_in_the_time_for_a_connect() {
    let _test =
        Test::begin("A connect has a time limit of its own; after it, try the next address.");
    let hole = BlackHole::start();
    let patient = Mux::start(hole.addr(), &["--connect-timeout", "1h"]);
    let prompt = Mux::start(hole.addr(), &["--connect-timeout", "1s"]);
    let waiting = patient.client();
    waiting.send(&get("/waiting"));
    patient.wait_for("in flight", 1);
    let clients = [prompt.client(), prompt.client()];
    for client in &clients {
        client.send(&get("/told"));
    }
    for client in &clients {
        assert_eq!(
            reply(client).status(),
            "504",
            "the status of the response to the client"
        );
    }
    let failures = prompt.routes()["totals"]["failures"].clone();
    assert_eq!(failures["timed_out"], 2, "{failures}");
    waiting.expect_silence(Duration::from_millis(1));
}

#[test]
fn e56_an_upstream_that_cannot_even_be_tried_is_a_502_for_everybody() {
    let _test = Test::begin("If connect(2) fails at once, no event follows.");
    // To a broadcast address, connect(2) says ENETUNREACH itself.
    let mux = Mux::start("255.255.255.255:9", &[]);
    let clients = [mux.client(), mux.client()];
    for client in &clients {
        client.send(&get("/").repeat(100));
    }
    for client in &clients {
        for _ in 0..100 {
            assert_eq!(
                reply(client).status(),
                "502",
                "the status of the response to the client"
            );
        }
    }
    let failures = mux.routes()["totals"]["failures"].clone();
    assert_eq!(failures["unreachable"], 200, "{failures}");
    mux.wait_for_stderr("cannot connect: unreachable: no route to host");
}

#[test]
fn e56_an_end_behind_an_answer_is_seen_before_the_next_request_leaves() {
    let _test = Test::begin(
        "The response and the FIN arrive together while another request is in the queue.",
    );
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &[]);
    let (first, second) = (mux.client(), mux.client());
    first.send(&get("/first"));
    let upstream = hand.next();
    drop(upstream.read_until(b"\r\n\r\n"));
    second.send(&post("/order", b"must not be lost"));
    mux.wait_for("waiting", 1);
    mux.stop();
    let ours = upstream.remote();
    upstream.send(&ok(b"first"));
    upstream.close();
    eventually("the upstream has closed its connection", PATIENCE, || {
        !sockets::is_established(ours, hand.addr())
    });
    mux.cont();
    assert_eq!(
        reply(&first).text(),
        "first",
        "the body of the response to the first client"
    );
    let upstream = hand.next();
    drop(upstream.read_until(b"must not be lost"));
    upstream.send(&ok(b"ordered"));
    assert_eq!(
        reply(&second).text(),
        "ordered",
        "the body of the response to the second client"
    );
}
