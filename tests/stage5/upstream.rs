//! An upstream that misbehaves: the reply to the client, and what must never reach the wrong client.

use std::time::{Duration, Instant};

use harness::{ClosedPort, Hand, PATIENCE, Program, Scripted, Test, strace};

use crate::support::{
    Mux, Site, Then, answer, ask, expect_service, field, get, ok, post, program, reply,
};

/// Long enough for a busy machine, and short enough to be prompt.
const PROMPT: Duration = Duration::from_secs(3);

#[test]
fn e56_a_refused_upstream_is_a_prompt_502_and_the_queue_lives() {
    let _test = Test::begin("A failed connect ends the request, not the queue.");
    let closed = ClosedPort::start();
    let mux = Mux::start(closed.addr(), &[]);
    let client = mux.client();
    let begin = Instant::now();
    for _ in 0..3 {
        let reply = ask(&client, &get("/"));
        assert_eq!(reply.status(), "502", "the status of the response");
        assert_eq!(
            field(&reply.head, "connection"),
            None,
            "the client's connection is kept"
        );
    }
    assert!(begin.elapsed() < PROMPT, "{:?}", begin.elapsed());
    client.send(&get("/").repeat(3000));
    for _ in 0..3000 {
        assert_eq!(
            reply(&client).status(),
            "502",
            "the status of the response to the client"
        );
    }
    let failures = mux.routes()["totals"]["failures"].clone();
    assert_eq!(failures["refused"], 3003, "{failures}");
    let old = ask(
        &mux.client(),
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    );
    assert_eq!(
        field(&old.head, "connection"),
        Some("keep-alive"),
        "the field connection"
    );
}

#[test]
fn e56_an_upstream_that_is_down_does_not_fill_the_disk() {
    let _test = Test::begin("The log has a quota for each kind of line; the counters have none.");
    let closed = ClosedPort::start();
    let mux = Mux::start(closed.addr(), &[]);
    let refused = mux.client();
    refused.send(&get("/").repeat(1000));
    for _ in 0..1000 {
        assert_eq!(
            reply(&refused).status(),
            "502",
            "the status of the response to the refused client"
        );
    }
    for _ in 0..300 {
        let client = mux.client();
        client.send(b"no request at all\r\n\r\n");
        assert_eq!(
            reply(&client).status(),
            "400",
            "the status of the response to the client"
        );
    }
    let totals = mux.routes()["totals"].clone();
    assert_eq!(totals["refusals"], 1300, "{totals}");
    let log = mux.stderr();
    let lines = log.lines().count();
    assert!((1..400).contains(&lines), "{lines} lines in the log");
    assert!(log.contains("connection refused"), "{log}");
}

#[test]
fn e56_a_name_without_address_is_a_502() {
    let _test = Test::begin("Resolve on another thread, and tell the client when it fails.");
    // RFC 6761 section 6.4: no name under "invalid" ever exists.
    let mux = Mux::start("no-such-host.invalid:80", &["--connect-timeout", "2s"]);
    for _ in 0..2 {
        let status = ask(&mux.client(), &get("/")).status().to_owned();
        // Without a name server, the lookup runs into its time limit.
        assert!(["502", "504"].contains(&status.as_str()), "{status}");
    }
}

#[test]
fn e56_a_silent_upstream_is_a_504_and_the_next_request_gets_a_new_connection() {
    let _test = Test::begin("A response that arrives too late must not answer the next request.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--upstream-timeout", "2s"]);
    let (first, second) = (mux.client(), mux.client());
    first.send(&get("/first"));
    let silent = hand.next();
    drop(silent.read_until(b"\r\n\r\n"));
    second.send(&get("/second"));
    assert_eq!(
        reply(&first).status(),
        "504",
        "the status of the response to the first client"
    );
    let upstream = hand.next();
    answer(&upstream, b"second");
    assert_eq!(
        reply(&second).text(),
        "second",
        "the body of the response to the second client"
    );
    silent.expect_eof();
}

#[test]
fn e55_surplus_bytes_never_become_the_next_answer() {
    let _test = Test::begin("Bytes without a request: close the connection.");
    let site = Site::start(|peer, asked| {
        let twice = [ok(asked.path().as_bytes()), ok(b"poison")].concat();
        peer.send(&twice);
        Then::Next
    });
    let mux = Mux::start(site.addr(), &[]);
    let (one, two) = (mux.client(), mux.client());
    for round in 0..10 {
        for client in [&one, &two] {
            let path = format!("/{round}");
            assert_eq!(
                ask(client, &get(&path)).text(),
                path,
                "the body of the response"
            );
        }
    }
    assert_eq!(site.accepts(), 20, "a new connection after each");
}

#[test]
fn e56_what_is_no_response_is_a_502() {
    let _test = Test::begin("Do not pass on a response that you cannot parse.");
    for response in [
        "SSH-2.0-x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 099 Odd\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 000 Odd\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 600 Odd\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    ] {
        let site = Site::start(move |peer, asked| {
            let sane = asked.path() == "/still-served";
            peer.send(&if sane { ok(b"") } else { response.into() });
            Then::Next
        });
        let mux = Mux::start(site.addr(), &[]);
        let client = mux.client();
        assert_eq!(ask(&client, &get("/")).status(), "502", "{response:?}");
        let next = ask(&client, &get("/still-served"));
        assert_eq!(next.status(), "200", "the next request of the same client");
        assert_eq!(site.accepts(), 2, "the connection is closed: {response:?}");
        expect_service(&mux);
    }
}

#[test]
fn e55_a_later_minor_version_is_http_1_1() {
    let _test = Test::begin("RFC 9110 section 2.5: HTTP/1.2 is processed as HTTP/1.1.");
    let site = Site::start(|peer, asked| {
        assert!(asked.head.contains(" HTTP/1.1\r\n"), "{}", asked.head);
        peer.send(b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok");
        Then::Next
    });
    let mux = Mux::start(site.addr(), &[]);
    let client = mux.client();
    for version in ["1.1", "1.2", "1.9"] {
        let reply = ask(
            &client,
            format!("GET / HTTP/{version}\r\nHost: x\r\n\r\n").as_bytes(),
        );
        assert!(reply.head.starts_with("HTTP/1.1 200 "), "{}", reply.head);
        assert_eq!(field(&reply.head, "connection"), None, "it is kept");
    }
    assert_eq!(site.accepts(), 1, "the upstream connection is kept");
    let late = ask(&client, b"GET / HTTP/2.0\r\nHost: x\r\n\r\n");
    assert_eq!(late.status(), "505", "the status of the late response");
}

#[test]
fn e55_blanks_after_the_size_of_a_chunk_are_skipped() {
    let _test = Test::begin("Small servers send blanks after a chunk's size; clients skip them.");
    let site = Site::start(|peer, _| {
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        peer.send(b"5  \t\r\nhello\r\n0000000000000001\r\n!\r\n0  \r\n\r\n");
        Then::Next
    });
    let mux = Mux::start(site.addr(), &[]);
    let old = mux.client();
    old.send(b"GET / HTTP/1.0\r\n\r\n");
    let answer = String::from_utf8_lossy(&old.read_to_end()).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello!"), "{answer}");
}

#[test]
fn e56_a_broken_off_response_is_no_complete_one() {
    let _test = Test::begin("The client must be able to see that bytes are missing.");
    let site = Site::start(|peer, asked| {
        match asked.path() {
            "/length" => peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
            _ => peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"),
        }
        Then::Close
    });
    let mux = Mux::start(site.addr(), &[]);
    for path in ["/length", "/chunked"] {
        let client = mux.client();
        client.send(&get(path));
        let seen = client.read_to_end();
        assert!(seen.ends_with(b"half"), "{}", seen.escape_ascii());
    }
    // An HTTP/1.0 client knows no chunks: only a reset shows that bytes are missing.
    let client = mux.client();
    client.send(b"GET /chunked HTTP/1.0\r\n\r\n");
    client.expect_reset();
}

#[test]
fn e55_a_full_queue_is_a_503_with_retry_after() {
    let _test = Test::begin("A queue without a bound hides the overload: refuse with 503.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--max-queue", "1"]);
    let (first, second, third) = (mux.client(), mux.client(), mux.client());
    first.send(&get("/first"));
    mux.wait_for("in flight", 1);
    second.send(&get("/second"));
    mux.wait_for("waiting", 1);
    let refused = ask(&third, &get("/third"));
    assert_eq!(
        refused.status(),
        "503",
        "the status of the refused response"
    );
    assert!(
        field(&refused.head, "retry-after").is_some(),
        "{}",
        refused.head
    );
    let upstream = hand.next();
    for (client, body) in [(&first, "first"), (&second, "second")] {
        answer(&upstream, body.as_bytes());
        assert_eq!(
            reply(client).text(),
            body,
            "the body of the response to the client"
        );
    }
    third.send(&get("/again"));
    let head = upstream.read_until(b"\r\n\r\n");
    assert!(
        head.starts_with(b"GET /again "),
        "the refused request is not sent"
    );
    upstream.send(&ok(b"again"));
    assert_eq!(reply(&third).text(), "again", "its connection was kept");
}

#[test]
fn e56_an_answer_before_the_end_of_the_upload_arrives() {
    let _test = Test::begin("An upstream may refuse early: read while you send.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &["--max-body", "1KiB"]);
    let client = mux.client();
    client.send(b"POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n");
    client.send(&[b'x'; 4096]);
    let upstream = hand.next();
    drop(upstream.read_until(b"\r\n\r\n"));
    upstream.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n");
    let refused = reply(&client);
    assert_eq!(
        (refused.status(), refused.text().as_str()),
        ("413", "no\n"),
        "the response that came before the end of the upload"
    );
    client.expect_eof();
    upstream.with_patience(PATIENCE).drain();
    let other = mux.client();
    other.send(&get("/other"));
    let upstream = hand.next();
    answer(&upstream, b"other");
    assert_eq!(
        reply(&other).text(),
        "other",
        "the body of the response to the other client"
    );
}

/// `ENOBUFS` leaves the connection open, unlike the errors of a connection that has ended.
#[test]
fn e56_a_request_that_a_send_has_lost_is_not_waited_for() {
    let _test = Test::begin("A send that fails has lost bytes: no answer will come.");
    let fault = "error=ENOBUFS:when=1";
    let Some(program) = strace::inject(&Program::new(program()), "sendto", fault) else {
        return;
    };
    let site = Site::echo();
    let mux = Mux::from_program(&program, site.addr(), &[]);
    let begin = Instant::now();
    let client = mux.client();
    let status = ask(&client, &post("/lost", b"x")).status().to_owned();
    assert!(["200", "502"].contains(&status.as_str()), "{status}");
    assert!(begin.elapsed() < PROMPT, "{:?}", begin.elapsed());
    expect_service(&mux);
}

#[test]
fn e56_a_client_whose_answer_a_send_has_lost_is_reset() {
    let _test = Test::begin("A FIN would say that the answer was whole.");
    let fault = "error=ENOBUFS:when=2";
    let Some(program) = strace::inject(&Program::new(program()), "sendto", fault) else {
        return;
    };
    let echo = Scripted::echo();
    let mux = Mux::from_program(&program, echo.addr(), &["--framing", "line"]);
    let client = mux.client();
    client.send(b"lost\n");
    client.expect_reset();
    let next = mux.client();
    next.send(b"next\n");
    next.expect(b"next\n");
}
