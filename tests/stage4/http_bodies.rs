//! Bodies of requests and of responses: where they end, whole and in pieces, and what becomes of half a message.

use std::fmt::Write as _;
use std::time::Duration;

use harness::{Client, Hand, Peer, Rng, Test, proc};

use crate::http_ingress::{ask, get};
use crate::support::{MIB, Proxy, wait_until_still};

const VIA: &str = "Via: 1.1 stage4-proxy\r\n";
const CLOSE: &str = "Connection: close\r\n";

/// Starts a proxy and a target.
#[track_caller]
fn proxy_and_target() -> (Proxy, Hand) {
    (Proxy::choosing("http", &[]), Hand::start())
}

/// Has a client send a request, and takes it at the target.
#[track_caller]
fn begin(client: &Client, target: &Hand, method: &str) -> Peer {
    let url = format!("http://{}/", target.addr());
    client.send(format!("{method} {url} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    let upstream = target.next();
    let _ = upstream.read_until(b"\r\n\r\n");
    upstream
}

/// The head of a request with a body.
fn post(target: &Hand, fields: &str) -> String {
    let url = format!("http://{}/", target.addr());
    format!("POST {url} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
}

/// Returns bytes in chunks of the sizes that a client might choose.
fn in_chunks(bytes: &[u8], mut rng: Rng) -> Vec<u8> {
    let mut all = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let most = [1, 100, 10_000, 200_000][rng.below(4)];
        let (chunk, behind) = rest.split_at(rest.len().min(1 + rng.below(most)));
        all.extend(format!("{:x};n=\"v\"\r\n", chunk.len()).into_bytes());
        all.extend_from_slice(chunk);
        all.extend_from_slice(b"\r\n");
        rest = behind;
    }
    all.extend_from_slice(b"0\r\nX-Sum: 1\r\n\r\n");
    all
}

#[test]
fn http_a_response_may_be_cut_at_every_byte() {
    let _test = Test::begin(
        "Cuts between two reads change nothing: each response ends at its own last byte.",
    );
    let (proxy, target) = proxy_and_target();
    let client = ask(&proxy, "");
    let chunks = "3\r\nabc\r\n1;x\r\n\r\r\n0\r\nA: b\r\n\r\n";
    let table = [
        ("GET", "200 OK", "Content-Length: 3\r\n", "abc"),
        ("GET", "200 OK", "Transfer-Encoding: chunked\r\n", chunks),
        ("HEAD", "200 OK", "Content-Length: 3\r\n", ""),
        ("GET", "204 No Content", "", ""),
        ("GET", "304 Not Modified", "Content-Length: 3\r\n", ""),
    ];
    for (method, status, fields, body) in table {
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n";
        let last = format!("HTTP/1.1 {status}\r\n{fields}");
        let response = format!("{interim}\r\n{last}\r\n{body}");
        let expected = format!("{interim}{VIA}\r\n{last}{VIA}\r\n{body}");
        for cut in 0..response.len() {
            let upstream = begin(&client, &target, method);
            let (first, second) = response.split_at(cut);
            upstream.send(first.as_bytes());
            upstream.wait_until_read();
            upstream.send(second.as_bytes());
            client.expect(expected.as_bytes());
        }
    }
}

#[test]
fn http_a_body_without_a_length_ends_with_the_connection() {
    let _test = Test::begin(
        "Its end is the target's FIN, and therefore the client's connection ends, too.",
    );
    let (proxy, target) = proxy_and_target();
    let body = Rng::for_test().bytes(3 * MIB);
    let client = ask(&proxy, "");
    let upstream = begin(&client, &target, "GET");
    upstream.send(b"HTTP/1.1 200 OK\r\n\r\n");
    let sending = upstream.send_in_background(body.clone());
    client.expect(format!("HTTP/1.1 200 OK\r\n{VIA}{CLOSE}\r\n").as_bytes());
    client.expect(&body);
    sending.join();
    upstream.close();
    client.expect_eof();
}

#[test]
fn http_a_large_response_with_a_length_keeps_the_client() {
    let _test = Test::begin("Its bytes are counted, also while they are spliced.");
    let (proxy, target) = proxy_and_target();
    let body = Rng::for_test().bytes(8 * MIB + 1);
    let client = ask(&proxy, "");
    for framing in ["length", "chunks", "one chunk"] {
        let upstream = begin(&client, &target, "GET");
        let (field, sent) = match framing {
            "length" => (format!("Content-Length: {}\r\n", body.len()), body.clone()),
            "chunks" => (
                "Transfer-Encoding: chunked\r\n".to_owned(),
                in_chunks(&body, Rng::for_test()),
            ),
            _ => {
                let mut sent = format!("{:x}\r\n", body.len()).into_bytes();
                sent.extend_from_slice(&body);
                sent.extend_from_slice(b"\r\n0\r\n\r\n");
                ("Transfer-Encoding: chunked\r\n".to_owned(), sent)
            }
        };
        let surplus = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong";
        upstream.send(format!("HTTP/1.1 200 OK\r\n{field}\r\n").as_bytes());
        let sending = upstream.send_in_background([&sent[..], surplus].concat());
        client.expect(format!("HTTP/1.1 200 OK\r\n{field}{VIA}\r\n").as_bytes());
        client.expect(&sent);
        sending.join();
    }
    client.expect_silence(Duration::from_millis(50));
}

#[test]
fn http_an_upload_in_chunks_arrives_byte_for_byte() {
    let _test = Test::begin(
        "8 MiB in chunks of any size, with extensions and a trailer; the next request is behind them.",
    );
    let (proxy, target) = proxy_and_target();
    let chunks = in_chunks(&Rng::for_test().bytes(8 * MIB), Rng::for_test());
    let client = ask(&proxy, post(&target, "Transfer-Encoding: chunked\r\n"));
    let next = get(format!("http://{}/next", target.addr()));
    let sending = client.send_in_background([&chunks[..], next.as_bytes()].concat());
    let upstream = target.next();
    let head = upstream.read_until(b"\r\n\r\n");
    let head = String::from_utf8_lossy(&head).into_owned();
    assert!(
        head.contains("\r\nTransfer-Encoding: chunked\r\n"),
        "{head}"
    );
    upstream.expect(&chunks);
    sending.join();
    upstream.expect_silence(Duration::from_millis(50));
    upstream.send(b"HTTP/1.1 204 No Content\r\n\r\n");
    client.expect(format!("HTTP/1.1 204 No Content\r\n{VIA}\r\n").as_bytes());
    assert!(upstream.read_until(b"\r\n\r\n").starts_with(b"GET /next "));
}

#[test]
fn http_a_client_waits_for_the_targets_permission_to_send() {
    let _test = Test::begin(
        "`Expect` goes up, and the interim response comes down before the body is sent.",
    );
    let (proxy, target) = proxy_and_target();
    let client = ask(
        &proxy,
        post(&target, "Expect: 100-continue\r\nContent-Length: 5\r\n"),
    );
    let upstream = target.next();
    let head = String::from_utf8_lossy(&upstream.read_until(b"\r\n\r\n")).into_owned();
    assert!(head.contains("\r\nExpect: 100-continue\r\n"), "{head}");
    upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n");
    client.expect(format!("HTTP/1.1 100 Continue\r\n{VIA}\r\n").as_bytes());
    client.send(b"hello");
    upstream.expect(b"hello");
    upstream.send(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    client.expect(format!("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n{VIA}\r\n").as_bytes());
    client.send(get(format!("http://{}/next", target.addr())).as_bytes());
    assert!(upstream.read_until(b"\r\n\r\n").starts_with(b"GET /next "));
}

#[test]
fn http_an_early_response_is_the_last_one() {
    let _test = Test::begin(
        "A target may answer before it has the body; the proxy cannot tell then where the next request begins.",
    );
    let (proxy, target) = proxy_and_target();
    let client = ask(&proxy, post(&target, "Content-Length: 1000000\r\n"));
    let upstream = target.next();
    let _ = upstream.read_until(b"\r\n\r\n");
    client.send(b"a part");
    upstream.expect(b"a part");
    let refusal = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n";
    upstream.send(format!("{refusal}\r\nno\n").as_bytes());
    client.expect(format!("{refusal}{VIA}\r\nno\n").as_bytes());
    client.expect_eof();
    upstream.expect_reset();
}

#[test]
fn http_a_client_that_ends_within_its_body_is_told_by_the_target() {
    let _test = Test::begin("Half a body and a FIN: the FIN goes up, and the answer comes down.");
    let (proxy, target) = proxy_and_target();
    let client = ask(&proxy, post(&target, "Content-Length: 10\r\n"));
    client.send(b"half");
    client.half_close();
    let upstream = target.next();
    let _ = upstream.read_until(b"\r\n\r\nhalf");
    upstream.expect_eof();
    let response = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n";
    upstream.send(format!("{response}\r\n").as_bytes());
    client.expect(format!("{response}{VIA}\r\n").as_bytes());
    client.expect_eof();
    drop(client);
    proxy.wait_for_rows(0);
}

#[test]
fn http_a_target_without_a_valid_response_is_a_502() {
    let _test = Test::begin(
        "Before a byte of the response has gone out, the client can be told why there is none.",
    );
    let (proxy, target) = proxy_and_target();
    let table = [
        ("", "closed before its end"),
        ("HTTP/1.1 200 OK\r\nContent-Le", "closed before its end"),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", "closed before its end"),
        ("220 mail.example ready\r\n\r\n", "head is not valid"),
        ("HTTP/1.1 200 OK\n\n", "LF"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n",
            "hexadecimal",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
            "switches protocols",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "twice",
        ),
    ];
    for (response, word) in table {
        let client = ask(&proxy, "");
        let upstream = begin(&client, &target, "GET");
        upstream.send(response.as_bytes());
        upstream.close();
        let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        let begins = reply.find("HTTP/1.1 502 Bad Gateway\r\n");
        assert!(
            begins.is_some() && reply.contains(word),
            "{response:?}: {reply}"
        );
        assert!(!reply.contains("127.0.0.1"), "{reply}");
    }
    let client = ask(&proxy, "");
    begin(&client, &target, "GET").reset();
    let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
    assert!(
        reply.contains("502: Bad Gateway") || reply.contains("was reset"),
        "{reply}"
    );
}

#[test]
fn http_half_a_response_ends_in_a_reset() {
    let _test =
        Test::begin("Once a part of it has gone out, a clean end would make it look whole.");
    let (proxy, target) = proxy_and_target();
    let table = [
        ("Content-Length: 10\r\n", "half", ""),
        ("Transfer-Encoding: chunked\r\n", "4\r\nhalf\r\n", ""),
        (
            "Transfer-Encoding: chunked\r\n",
            "4\r\nhalf\r\n",
            "no size\r\n",
        ),
        ("", "half", ""),
    ];
    for (field, body, behind) in table {
        let client = ask(&proxy, "");
        let upstream = begin(&client, &target, "GET");
        upstream.send(format!("HTTP/1.1 200 OK\r\n{field}\r\n{body}").as_bytes());
        let _ = client.read_until(b"half");
        upstream.send(behind.as_bytes());
        // A FIN would be the end of a body that no field announces.
        if field.is_empty() {
            upstream.reset();
        } else if behind.is_empty() {
            upstream.half_close();
        }
        client.expect_reset();
    }
    proxy.wait_for_rows(0);
}

#[test]
fn http_a_broken_upload_is_a_400_and_no_end_for_the_target() {
    let _test = Test::begin(
        "Chunks that are none: the client is told, and the target sees a reset, not half a body.",
    );
    let (proxy, target) = proxy_and_target();
    let client = ask(&proxy, post(&target, "Transfer-Encoding: chunked\r\n"));
    let upstream = target.next();
    let _ = upstream.read_until(b"\r\n\r\n");
    client.send(b"5\r\nhello\r\n");
    upstream.expect(b"5\r\nhello\r\n");
    client.send(b"5 \r\nhello\r\nGET http://other/ HTTP/1.1\r\n\r\n");
    let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
    assert!(reply.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{reply}");
    assert!(reply.contains("hexadecimal"), "{reply}");
    upstream.expect_reset();
}

#[test]
fn http_a_slow_reader_holds_its_target_back_and_takes_no_memory() {
    let _test = Test::begin(
        "A body is streamed: neither a response nor an upload is held, however large it is.",
    );
    let (proxy, target) = proxy_and_target();
    proxy.routes();
    let before = proc::rss_kib(proxy.pid());
    let length = 64 * MIB;
    let body = vec![7; length];
    let client = ask(&proxy, "");
    let upstream = begin(&client, &target, "GET");
    upstream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes());
    let down = upstream.send_in_background(body.clone());
    let sender = ask(
        &proxy,
        post(&target, &format!("Content-Length: {length}\r\n")),
    );
    let reader = target.next();
    let up = sender.send_in_background(body);
    wait_until_still(&proxy);
    assert!(
        !down.is_done() && !up.is_done(),
        "the senders are held back"
    );
    let grown = proc::rss_kib(proxy.pid()).saturating_sub(before);
    assert!(grown < 2048, "{grown} KiB more for two stalled bodies");
    let _ = client.read_until(b"\r\n\r\n");
    let _ = reader.read_until(b"\r\n\r\n");
    assert_eq!(client.read_exact(length).len(), length);
    assert_eq!(reader.read_exact(length).len(), length);
    down.join();
    up.join();
}

#[test]
fn http_many_requests_go_through_a_chain() {
    let _test = Test::begin(
        "Each request has a way of its own through all hops, and the failure of a hop its words.",
    );
    let hops = [Proxy::choosing("hop", &[]), Proxy::choosing("hop", &[])];
    let chain = format!("{},{}", hops[0].addr(), hops[1].addr());
    let (proxy, target) = (Proxy::choosing("http", &["--chain", &chain]), Hand::start());
    let client = ask(&proxy, "");
    for number in 0..3 {
        let upstream = begin(&client, &target, "GET");
        let mut body = String::new();
        let _ = write!(body, "response {number}");
        let length = body.len();
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n");
        upstream.send(format!("{response}\r\n{body}").as_bytes());
        client.expect(format!("{response}{VIA}\r\n{body}").as_bytes());
    }
    let closed = harness::ClosedPort::start();
    client.send(get(format!("http://{}/", closed.addr())).as_bytes());
    let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
    let sentence = "hop 2 of 2 cannot reach the target: connection refused";
    assert!(
        reply.starts_with("HTTP/1.1 502 ") && reply.contains(sentence),
        "{reply}"
    );
}
