//! Uploads: requests that are too large to be held, or that stop halfway.

use std::time::{Duration, Instant};

use harness::{Client, Digest, Hand, PATIENCE, Rng, Test, ensure, eventually, proc, scaled};

use crate::support::{MIB, Mux, Site, Then, expect_served_by, expect_service, get, ok, reply};

/// Begins an upload of which only the first `sent` bytes are sent.
fn begin_upload(mux: &Mux, length: usize, sent: usize) -> Client {
    let client = mux.client();
    let head = format!("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    client.send(head.as_bytes());
    client.send(&vec![b'x'; sent]);
    client
}

#[test]
fn e56_an_upload_that_stops_half_way_holds_nobody() {
    let _test = Test::begin("Queue a request when it is complete, not when it begins.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &["--client-timeout", "1s"]);
    // The second one is too large to be held, but the bytes sent so far are not.
    let stuck = [100_000, 100_000_000].map(|length| {
        let stuck = mux.client();
        let head = format!("POST /stuck HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        stuck.send(head.as_bytes());
        stuck.send(&[b'x'; 50_000]);
        stuck.wait_until_read();
        stuck
    });
    for _ in 0..10 {
        expect_service(&mux);
    }
    for stuck in &stuck {
        assert_eq!(
            reply(stuck).status(),
            "408",
            "the status of the response to the stuck client"
        );
        stuck.expect_eof();
    }
    let paths = site.paths();
    assert!(
        paths.iter().all(|path| path == "/still-served"),
        "half an upload reached the upstream: {paths:?}"
    );
    assert_eq!(site.accepts(), 1, "half a request would end a connection");
}

#[test]
fn e56_a_large_upload_that_stops_half_way_has_a_deadline() {
    let _test =
        Test::begin("A streaming upload holds the upstream: give it a deadline, then close both.");
    let hand = Hand::start();
    let mux = Mux::start(
        hand.addr(),
        &["--max-body", "64KiB", "--client-timeout", "1s"],
    );
    let stuck = begin_upload(&mux, 100_000_000, 100_000);
    let upstream = hand.next();
    drop(upstream.read_until(b"\r\n\r\n"));
    let other = mux.client();
    other.send(&get("/other"));
    assert_eq!(
        reply(&stuck).status(),
        "408",
        "the status of the response to the stuck client"
    );
    stuck.expect_eof();
    upstream.drain();
    let upstream = hand.next();
    let head = upstream.read_until(b"\r\n\r\n");
    ensure(
        head.starts_with(b"GET /other "),
        format!(
            "The upstream should get GET /other next, but it got {:?}.",
            String::from_utf8_lossy(&head)
        ),
    );
    upstream.send(&ok(b"other"));
    assert_eq!(
        reply(&other).text(),
        "other",
        "the body of the response to the other client"
    );
}

#[test]
fn e56_a_large_upload_streams_and_arrives_whole() {
    let _test =
        Test::begin("A body that is too large to be held streams once its request is in flight.");
    let site = Site::start(|peer, asked| {
        peer.send(&ok(format!("{:?}", Digest::of(&asked.body)).as_bytes()));
        Then::Next
    });
    let mux = Mux::start(site.addr(), &["--max-body", "64KiB"]);
    let body = Rng::for_test().bytes(16 * MIB + 3);
    let expected = format!("{:?}", Digest::of(&body));
    let before = proc::private_kib(mux.pid());
    let client = mux.client();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(head.as_bytes());
    client.send(&body);
    assert_eq!(
        reply(&client).text(),
        expected,
        "the body of the response to the client"
    );

    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in body.chunks(100_000) {
        client.send(format!("{:x};ext=1\r\n", piece.len()).as_bytes());
        client.send(piece);
        client.send(b"\r\n");
    }
    client.send(b"0\r\nTrailer: t\r\n\r\n");
    assert_eq!(
        reply(&client).text(),
        expected,
        "the body of the response to the client"
    );
    assert_eq!(site.accepts(), 1, "connections that the site has accepted");
    let grown = proc::private_kib(mux.pid()).saturating_sub(before);
    ensure(grown < 6144, format!("The queue has grown by {grown} KiB."));
}

#[test]
fn e56_a_stalled_upload_has_its_deadline_even_when_the_answer_has_begun() {
    let _test = Test::begin("An upload and its response may overlap; each has an end of its own.");
    let hand = Hand::start();
    let mux = Mux::start(
        hand.addr(),
        &["--max-body", "1KiB", "--client-timeout", "1s"],
    );
    let stuck = begin_upload(&mux, 100_000, 5000);
    let upstream = hand.next();
    drop(upstream.read_until(b"\r\n\r\n"));
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    let seen = stuck.read_to_end();
    ensure(
        seen.ends_with(b"half"),
        format!(
            "The client should get the half of the response that came, but it got {:?}.",
            String::from_utf8_lossy(&seen)
        ),
    );
    upstream.drain();
    expect_served_by(&hand, &mux.client(), "/other");
}

#[test]
fn e56_an_upload_and_its_answer_may_overlap() {
    let _test = Test::begin("Read from the upstream while you send to it, or both sides block.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--max-body", "1KiB"]);
    let client = begin_upload(&mux, 400_000, 2000);
    let upstream = hand.next();
    drop(upstream.read_until(b"\r\n\r\n"));
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n");
    drop(client.read_until(b"\r\n\r\n"));
    drop(upstream.read_exact(2000));
    upstream.send(&[b'y'; 2000]);
    drop(client.read_exact(2000));
    for _ in 0..3 {
        client.send(&[b'x'; 1000]);
        drop(upstream.read_exact(1000));
    }
    client.send(&[b'x'; 395_000]);
    drop(upstream.read_exact(395_000));
    upstream.send(&[b'y'; 398_000]);
    drop(client.read_exact(398_000));
    client.expect_eof();
}

#[test]
fn e56_an_upload_whose_client_dies_closes_the_upstream_connection() {
    let _test = Test::begin("The upstream must not read the next request as the rest of this one.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--max-body", "1KiB"]);
    let dying = begin_upload(&mux, 100_000, 5000);
    let upstream = hand.next();
    drop(upstream.read_until(b"\r\n\r\n"));
    dying.reset();
    upstream.drain();
    expect_served_by(&hand, &mux.client(), "/other");
}

#[test]
fn e56_an_upload_that_stalls_is_not_the_upstreams_fault() {
    let _test = Test::begin("While the client owes bytes of its upload, the upstream is not late.");
    let hand = Hand::start();
    let mux = Mux::start(
        hand.addr(),
        &[
            "--max-body",
            "64KiB",
            "--client-timeout",
            "1s",
            "--upstream-timeout",
            "200ms",
        ],
    );
    let stuck = begin_upload(&mux, 100_000_000, 100_000);
    let upstream = hand.next();
    assert_eq!(
        reply(&stuck).status(),
        "408",
        "the status of the response to the stuck client"
    );
    upstream.drain();
}

#[test]
fn e56_an_upstream_that_takes_nothing_is_late_and_not_its_client() {
    let _test = Test::begin(
        "While the upstream reads nothing, the client cannot go on, so it is not late.",
    );
    let hand = Hand::start();
    let [client_limit, upstream_limit] =
        [1, 3].map(|seconds| harness::option(Duration::from_secs(seconds)));
    let mux = Mux::start(
        hand.addr(),
        &[
            "--max-body",
            "64KiB",
            "--client-timeout",
            &client_limit,
            "--upstream-timeout",
            &upstream_limit,
        ],
    );
    let client = mux.client();
    client.send(b"POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n");
    client.send_until_blocked(&[b'x'; 65_536], Duration::from_millis(100), 64 * MIB);
    assert_eq!(
        reply(&client).status(),
        "504",
        "the status of the response to the client"
    );
    drop(hand.next());
}

#[test]
fn e56_a_broken_upload_is_a_400_and_ends_both_connections() {
    let _test = Test::begin(
        "A streaming body may turn out to be invalid: refuse it, and close the upstream.",
    );
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--max-body", "1KiB"]);
    let broken = mux.client();
    let head = b"POST /broken HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n";
    // The bound is reached where the chunk ends, and the error follows it.
    broken.send(&[&head[..], &[b'x'; 1024], b"\r\nnot a size\r\n"].concat());
    assert_eq!(
        reply(&broken).status(),
        "400",
        "the status of the response to the broken client"
    );
    broken.expect_eof();
    hand.next().drain();
    expect_served_by(&hand, &mux.client(), "/other");
}

#[test]
fn e56_a_refusal_reaches_a_client_that_is_still_sending() {
    let _test = Test::begin("A close with unread bytes is a reset, and it overtakes the reply.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    let client = mux.client();
    let rest = vec![b'x'; 4 * MIB];
    client.send(&[&b"no request\r\n\r\n"[..], &rest].concat());
    assert_eq!(
        reply(&client).status(),
        "400",
        "the status of the response to the client"
    );
    client.expect_eof();
    client.half_close();
    mux.wait_for("lingering", 0);
}

#[test]
fn e56_an_upload_that_has_waited_for_its_turn_still_has_a_deadline() {
    let _test = Test::begin("A client's time limit pauses while its request is in the queue.");
    let hand = Hand::start();
    let mux = Mux::start(
        hand.addr(),
        &["--max-body", "1KiB", "--client-timeout", "1s"],
    );
    let (first, stuck) = (mux.client(), mux.client());
    first.send(&get("/first"));
    let upstream = hand.next();
    drop(upstream.read_until(b"\r\n\r\n"));
    stuck.send(b"POST /stuck HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    stuck.send(&[b'x'; 5000]);
    mux.wait_for("waiting", 1);
    // It came later than the others, so their time has passed when its own has.
    mux.client().expect_eof();
    upstream.send(&ok(b"first"));
    assert_eq!(
        reply(&first).text(),
        "first",
        "the body of the response to the first client"
    );
    drop(upstream.read_until(b"\r\n\r\n"));
    assert_eq!(
        reply(&stuck).status(),
        "408",
        "the status of the response to the stuck client"
    );
    upstream.drain();
    expect_served_by(&hand, &mux.client(), "/other");
}

#[test]
fn e56_a_body_that_comes_steadily_is_not_late() {
    let _test = Test::begin(
        "The time limit of a head starts at its first byte, that of a body at its latest byte.",
    );
    let site = Site::echo();
    let mux = Mux::start(
        site.addr(),
        &["--client-timeout", &harness::option(Duration::from_secs(2))],
    );
    let client = mux.client();
    client.send(b"POST /steady HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n");
    let (begin, time) = (Instant::now(), scaled(Duration::from_secs(3)));
    for part in 1..=30 {
        eventually("the next byte is due", PATIENCE, || {
            begin.elapsed() >= time * part / 30
        });
        client.send(b"x");
    }
    assert_eq!(
        reply(&client).status(),
        "200",
        "the status of the response to the client"
    );
}
