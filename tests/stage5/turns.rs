//! The order of the queue: one connection, one request in flight, first come, first served.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use harness::{Hand, Rng, Test, ensure, fail};

use crate::support::{
    MIB, Mux, Site, Then, answer, ask, be_busy, expect_service, get, ok, post, reply,
};

#[test]
fn e55_32_clients_share_one_connection_and_one_request_is_in_flight() {
    let _test = Test::begin("Send the next request only when the response before it is complete.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    thread::scope(|scope| {
        for number in 0..32 {
            let (mux, mut rng) = (&mux, Rng::from_seed(number));
            scope.spawn(move || {
                let client = mux.client();
                for round in 0..20 {
                    let path = format!("/{number}/{round}");
                    let size = rng.below(3000);
                    let nonce = rng.nonce(size);
                    let reply = ask(&client, &post(&path, &nonce));
                    assert_eq!(reply.status(), "200", "the status of the response");
                    let expected = [path.as_bytes(), b" ", &nonce].concat();
                    assert!(reply.body == expected, "{path} got the response of another");
                }
            });
        }
    });
    assert_eq!(site.accepts(), 1, "connections to the upstream");
    assert_eq!(
        site.asked().len(),
        32 * 20,
        "requests that the upstream got"
    );
    assert_eq!(
        site.paths().iter().collect::<BTreeSet<_>>().len(),
        32 * 20,
        "different requests among them"
    );
}

#[test]
fn e55_50_clients_get_their_own_nonces_after_random_delays_and_of_random_sizes() {
    let _test = Test::begin("Only the client whose request is in flight gets the response.");
    let rng = Arc::new(Mutex::new(Rng::for_test()));
    let site = Site::start(move |peer, asked| {
        let (delay, size, cut) = {
            let mut rng = rng.lock().unwrap_or_else(|_| fail("another script failed"));
            (rng.below(1500), rng.below(100_000), rng.below(200))
        };
        be_busy(Duration::from_micros(delay as u64));
        let mut body = asked.body.repeat(size / asked.body.len().max(1));
        body.extend_from_slice(&asked.body);
        let response = ok(&body);
        peer.send(&response[..cut.min(response.len())]);
        be_busy(Duration::from_micros(delay as u64 / 2));
        peer.send(&response[cut.min(response.len())..]);
        Then::Next
    });
    let mux = Mux::start(site.addr(), &[]);
    let test_rng = Rng::for_test().next_u64();
    thread::scope(|scope| {
        for number in 0..50 {
            let (mux, mut rng) = (&mux, Rng::from_seed(test_rng ^ number));
            scope.spawn(move || {
                let client = mux.client();
                for _ in 0..4 {
                    let nonce = rng.nonce(32);
                    let reply = ask(&client, &post("/", &nonce));
                    let own = reply.body.chunks(32).all(|chunk| chunk == nonce);
                    assert!(
                        own && !reply.body.is_empty(),
                        "client {number} got the bytes of another"
                    );
                }
            });
        }
    });
    assert_eq!(site.accepts(), 1, "connections to the upstream");
}

#[test]
fn e55_requests_are_served_in_the_order_of_their_arrival() {
    let _test = Test::begin("Requests leave the queue in the order in which they arrived.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &[]);
    let clients: Vec<_> = (0..6)
        .map(|number| {
            let client = mux.client();
            client.send(&get(&format!("/{number}")));
            mux.wait_for("in flight", 1);
            mux.wait_for("waiting", number);
            client
        })
        .collect();
    let upstream = hand.next();
    for (number, client) in clients.iter().enumerate() {
        let head = String::from_utf8(upstream.read_until(b"\r\n\r\n")).expect("text");
        assert!(
            head.starts_with(&format!("GET /{number} ")),
            "{head:?} is not next"
        );
        upstream.expect_silence(Duration::from_millis(2));
        let body = format!("answer {number}");
        upstream.send(&ok(body.as_bytes()));
        assert_eq!(
            reply(client).text(),
            body,
            "the body of the response to the client"
        );
    }
    assert_eq!(
        hand.accepts(),
        1,
        "connections that the upstream has accepted"
    );
}

#[test]
fn e55_ten_pipelined_requests_keep_their_order_and_nobody_else_starves() {
    let _test = Test::begin(
        "Bytes after a request are the next request; it joins at the end of the queue.",
    );
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &[]);
    let (many, one) = (mux.client(), mux.client());
    let requests: Vec<u8> = (0..10)
        .flat_map(|number| get(&format!("/many/{number}")))
        .collect();
    many.send(&requests);
    mux.wait_for("in flight", 1);
    one.send(&get("/one"));
    mux.wait_for("waiting", 1);
    let upstream = hand.next();
    let mut order = Vec::new();
    for _ in 0..11 {
        let head = String::from_utf8(upstream.read_until(b"\r\n\r\n")).expect("text");
        let path = head.split(' ').nth(1).expect("a path").to_owned();
        upstream.send(&ok(path.as_bytes()));
        order.push(path);
    }
    assert_eq!(
        order[..3],
        ["/many/0", "/one", "/many/1"],
        "one exchange, then the next client"
    );
    assert_eq!(
        reply(&one).text(),
        "/one",
        "the body of the response to the one client"
    );
    for number in 0..10 {
        assert_eq!(
            reply(&many).text(),
            format!("/many/{number}"),
            "the body of the response to the client"
        );
    }
}

#[test]
fn e55_a_client_that_goes_while_it_waits_is_forgotten() {
    let _test = Test::begin("The client has gone before its request was sent: do not send it.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &[]);
    let (first, gone, last) = (mux.client(), mux.client(), mux.client());
    first.send(&get("/first"));
    mux.wait_for("in flight", 1);
    gone.send(&get("/gone"));
    mux.wait_for("waiting", 1);
    last.send(&get("/last"));
    mux.wait_for("waiting", 2);
    gone.reset();
    mux.wait_for("waiting", 1);
    let upstream = hand.next();
    for (path, client) in [("/first", &first), ("/last", &last)] {
        let head = String::from_utf8(upstream.read_until(b"\r\n\r\n")).expect("text");
        assert!(head.starts_with(&format!("GET {path} ")), "{head:?}");
        upstream.send(&ok(path.as_bytes()));
        assert_eq!(
            reply(client).text(),
            path,
            "the body of the response to the client"
        );
    }
}

#[test]
fn e56_the_late_answer_of_a_client_that_has_gone_reaches_nobody() {
    let _test = Test::begin("Read the response to its end and drop it, or close the connection.");
    for chunked in [false, true] {
        let hand = Hand::start();
        let mux = Mux::start(hand.addr(), &[]);
        let (gone, next) = (mux.client(), mux.client());
        gone.send(&get("/gone"));
        let upstream = hand.next();
        drop(upstream.read_until(b"\r\n\r\n"));
        next.send(&get("/next"));
        mux.wait_for("waiting", 1);
        gone.reset();
        mux.wait_for("in flight", 0);
        if chunked {
            upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlate\r\n");
            upstream.send(b"0\r\n\r\n");
        } else {
            upstream.send(&ok(b"a late answer"));
        }
        let head = String::from_utf8(upstream.read_until(b"\r\n\r\n")).expect("text");
        assert!(head.starts_with("GET /next "), "{head:?}");
        upstream.send(&ok(b"next"));
        assert_eq!(
            reply(&next).text(),
            "next",
            "the body of the response to the next client"
        );
    }
}

#[test]
fn e56_an_endless_answer_for_nobody_is_cut_off() {
    let _test = Test::begin("A response that is read and dropped needs a bound, too.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--max-buffered", "100KiB"]);
    let (gone, next) = (mux.client(), mux.client());
    gone.send(&get("/gone"));
    let upstream = hand.next();
    drop(upstream.read_until(b"\r\n\r\n"));
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
    drop(gone.read_until(b"\r\n\r\n"));
    next.send(&get("/next"));
    mux.wait_for("waiting", 1);
    gone.reset();
    mux.wait_for("in flight", 0);
    let mut sent = 0;
    while upstream.try_send(&[0; 65_536]).is_ok() {
        sent += 65_536;
        ensure(
            sent < 256 * MIB,
            format!("{sent} bytes were read and dropped."),
        );
    }
    let upstream = hand.next();
    answer(&upstream, b"next");
    assert_eq!(
        reply(&next).text(),
        "next",
        "the body of the response to the next client"
    );
}

#[test]
fn e55_a_client_that_ends_its_output_still_gets_all_its_answers() {
    let _test = Test::begin(
        "A FIN means that no further request follows; the client still wants its response.",
    );
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    let client = mux.client();
    client.send(&[get("/1"), get("/2"), post("/3", b"body")].concat());
    client.half_close();
    for expected in ["/1 ", "/2 ", "/3 body"] {
        assert_eq!(
            reply(&client).text(),
            expected,
            "the body of the response to the client"
        );
    }
    client.expect_eof();
    expect_service(&mux);
}
