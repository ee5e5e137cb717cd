//! The connection to the upstream: when it is used again, and which requests may be sent a second time.

use harness::{Hand, PATIENCE, Test, ensure, eventually, eventually_equal, sockets};

use crate::support::{
    Mux, Site, Then, answer, ask, expect_served_by, expect_service, field, get, ok, post, reply,
};

#[test]
fn e56_a_stale_connection_is_noticed_before_the_request_leaves() {
    let _test = Test::begin("Check a kept connection before you use it.");
    let site = Site::start(|peer, asked| {
        peer.send(&ok(asked.path().as_bytes()));
        // It closes without announcing it.
        Then::Close
    });
    let mux = Mux::start(site.addr(), &[]);
    let client = mux.client();
    for number in 0..20 {
        let path = format!("/{number}");
        let reply = ask(&client, &post(&path, b"must not be lost"));
        ensure(
            reply.text() == path,
            format!("{path} is answered with {:?}", reply.text()),
        );
        // The FIN has arrived by now, and the queue may have seen it or not.
        let ours = site.peers()[number];
        eventually("the upstream has closed its connection", PATIENCE, || {
            !sockets::is_established(ours, site.addr())
        });
    }
    assert_eq!(site.accepts(), 20, "connections that the site has accepted");
}

#[test]
fn e56_a_connection_that_ends_as_the_request_comes_is_not_used() {
    let _test =
        Test::begin("The FIN may arrive before its event: one read before the request finds it.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &[]);
    let client = mux.client();
    let upstream = expect_served_by(&hand, &client, "/first");
    mux.stop();
    // Both have arrived when the queue polls, the request first.
    client.send(&post("/order", b"must not be lost"));
    let ours = upstream.remote();
    upstream.close();
    eventually("the upstream has closed its connection", PATIENCE, || {
        !sockets::is_established(ours, hand.addr())
    });
    mux.cont();
    let upstream = hand.next();
    drop(upstream.read_until(b"must not be lost"));
    upstream.send(&ok(b"ordered"));
    assert_eq!(
        reply(&client).text(),
        "ordered",
        "the body of the response to the client"
    );
}

#[test]
fn e56_a_reset_is_a_lost_connection_at_any_moment() {
    let _test = Test::begin("A reset while idle, and one instead of an answer: only a POST fails.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &[]);
    let client = mux.client();
    expect_served_by(&hand, &client, "/first").reset();
    expect_served_by(&hand, &client, "/idle").half_close();
    let upstream = expect_served_by(&hand, &client, "/half-closed");

    client.send(&get("/again"));
    drop(upstream.read_until(b"\r\n\r\n"));
    upstream.reset();
    let upstream = hand.next();
    let head = answer(&upstream, b"again");
    ensure(
        head.starts_with(b"GET /again "),
        format!(
            "The upstream should get GET /again next, but it got {:?}.",
            String::from_utf8_lossy(&head)
        ),
    );
    assert_eq!(
        reply(&client).text(),
        "again",
        "the body of the response to the client"
    );

    client.send(&post("/order", b"one book"));
    drop(upstream.read_until(b"one book"));
    upstream.reset();
    assert_eq!(
        reply(&client).status(),
        "502",
        "the status of the response to the client"
    );
    expect_served_by(&hand, &client, "/last");
}

/// An upstream that answers the first request of a connection and closes it at the second, without a byte.
fn dies_at_the_second() -> Site {
    Site::start(|peer, asked| {
        if asked.number == 1 {
            return Then::Close;
        }
        peer.send(&ok(asked.path().as_bytes()));
        Then::Next
    })
}

#[test]
fn e56_a_post_is_never_sent_twice() {
    let _test = Test::begin("The upstream may have acted on the request: do not repeat it.");
    let site = dies_at_the_second();
    let mux = Mux::start(site.addr(), &[]);
    let client = mux.client();
    assert_eq!(
        ask(&client, &get("/first")).status(),
        "200",
        "the status of the response to /first"
    );
    assert_eq!(
        ask(&client, &post("/order", b"one book")).status(),
        "502",
        "the status of the response to /order"
    );
    assert_eq!(
        site.paths(),
        ["/first", "/order"],
        "the requests that the upstream got, in order"
    );
    expect_service(&mux);
}

#[test]
fn e56_an_idempotent_request_without_an_answer_is_sent_once_more() {
    let _test = Test::begin("The connection was lost as the request left: try once more.");
    let site = dies_at_the_second();
    let mux = Mux::start(site.addr(), &[]);
    let client = mux.client();
    for path in ["/first", "/again"] {
        assert_eq!(
            ask(&client, &get(path)).text(),
            path,
            "the body of the response"
        );
    }
    assert_eq!(
        site.paths(),
        ["/first", "/again", "/again"],
        "the requests that the upstream got, in order"
    );

    let never = Site::start(|_, _| Then::Close);
    let mux = Mux::start(never.addr(), &[]);
    assert_eq!(
        ask(&mux.client(), &get("/")).status(),
        "502",
        "the status of the response to /"
    );
    assert_eq!(
        never.asked().len(),
        2,
        "one second attempt, and no third one"
    );
}

#[test]
fn e56_nothing_is_repeated_after_the_first_byte_of_an_answer() {
    let _test = Test::begin("A response has begun, so the upstream has got the request.");
    let site = Site::start(|peer, _| {
        peer.send(b"HTTP/1.1 2");
        Then::Close
    });
    let mux = Mux::start(site.addr(), &[]);
    assert_eq!(
        ask(&mux.client(), &get("/")).status(),
        "502",
        "the status of the response to /"
    );
    assert_eq!(
        site.asked().len(),
        1,
        "requests that the upstream got: after the first byte of a response, none is repeated"
    );
}

#[test]
fn e56_bytes_on_an_idle_connection_close_it() {
    let _test = Test::begin("Watch the connection while it is idle, too.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &[]);
    let client = mux.client();
    let upstream = expect_served_by(&hand, &client, "/first");
    upstream.send(&ok(b"early"));
    expect_served_by(&hand, &client, "/second");
    upstream.expect_closed();
}

#[test]
fn e55_one_clients_close_never_closes_the_shared_connection() {
    let _test =
        Test::begin("Connection concerns one connection, and the two sides have different ones.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    for (version, field_line, closes) in [
        ("1.1", "Connection: close\r\n", true),
        ("1.1", "Connection: Keep-Alive, Close\r\n", true),
        ("1.0", "", true),
        ("1.0", "Connection: keep-alive\r\n", false),
        (
            "1.1",
            "Connection: x-own\r\nX-Own: 1\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\nTE: trailers\r\n",
            false,
        ),
    ] {
        let client = mux.client();
        let request = format!("GET / HTTP/{version}\r\nHost: x\r\n{field_line}\r\n");
        let first = ask(&client, request.as_bytes());
        assert_eq!(first.status(), "200", "the status of the first response");
        if closes {
            assert_eq!(
                field(&first.head, "connection"),
                Some("close"),
                "the field connection"
            );
            client.expect_eof();
        } else {
            assert_eq!(
                ask(&client, request.as_bytes()).status(),
                "200",
                "the status of the response"
            );
        }
    }
    assert_eq!(site.accepts(), 1, "connections to the upstream");
    for asked in site.asked() {
        for name in [
            "connection",
            "keep-alive",
            "proxy-connection",
            "te",
            "x-own",
        ] {
            assert_eq!(field(&asked.head, name), None, "{}", asked.head);
        }
        let via = field(&asked.head, "via").unwrap_or_default();
        assert!(via.ends_with(" stage5-mux"), "{}", asked.head);
    }
}

#[test]
fn e55_an_upstream_that_says_close_is_reached_again() {
    let _test = Test::begin("The upstream's `close` ends its own connection, not the client's.");
    let site = Site::start(|peer, asked| {
        let body = asked.path().as_bytes();
        let head = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        peer.send(&[head.as_bytes(), body].concat());
        // It announces the close and leaves it to the queue.
        Then::Next
    });
    let mux = Mux::start(site.addr(), &[]);
    let client = mux.client();
    for path in ["/1", "/2", "/3"] {
        let reply = ask(&client, &get(path));
        assert_eq!(reply.text(), path, "the body of the response");
        assert_eq!(
            field(&reply.head, "connection"),
            None,
            "the field connection"
        );
    }
    assert_eq!(site.accepts(), 3, "connections that the site has accepted");
    eventually_equal("upstream connections", &0, || site.running());
}
