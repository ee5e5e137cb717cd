//! Messages that arrive in pieces: each response and each request is cut at every byte, with another one after it.

use std::time::Duration;

use harness::{Hand, Test};

use crate::support::{Mux, Site, be_busy, get, reply};

/// A request line's method, a response, and what the client gets.
const RESPONSES: [(&str, &str, &str); 9] = [
    (
        "GET",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ),
    (
        "GET",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0\r\nT: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0\r\nT: 1\r\n\r\n",
    ),
    (
        "GET",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "GET",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ),
    (
        "GET",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    ),
    (
        "HEAD",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
    ),
    (
        "HEAD",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    (
        "GET",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!",
    ),
    (
        "GET",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!",
    ),
];

#[test]
fn e55_a_response_cut_anywhere_leaves_the_next_one_intact() {
    let _test = Test::begin("A message ends where its framing says, not where a read ends.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &[]);
    let client = mux.client();
    let mut upstream = None;
    for (method, response, expected) in RESPONSES {
        for cut in 1..response.len() {
            client.send(format!("{method} /first HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
            let upstream = upstream.get_or_insert_with(|| hand.next());
            drop(upstream.read_until(b"\r\n\r\n"));
            upstream.send(&response.as_bytes()[..cut]);
            a_moment();
            upstream.send(&response.as_bytes()[cut..]);
            client.expect(expected.as_bytes());

            client.send(&get("/second"));
            drop(upstream.read_until(b"\r\n\r\n"));
            upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond");
            assert_eq!(
                reply(&client).text(),
                "second",
                "the body of the response to the client"
            );
        }
    }
    assert_eq!(hand.accepts(), 1, "every response ended where it should");
}

#[test]
fn e55_a_request_cut_anywhere_leaves_the_next_one_intact() {
    let _test = Test::begin("Keep the bytes of a read until the request is complete.");
    let requests = [
        ("GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "/a "),
        (
            "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody",
            "/b body",
        ),
        (
            "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nbo\r\n2\r\ndy\r\n0\r\nT: 1\r\n\r\n",
            "/c body",
        ),
    ];
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    let client = mux.client();
    for (request, expected) in requests {
        let both = [request.as_bytes(), &get("/second")].concat();
        for cut in 1..both.len() {
            client.send(&both[..cut]);
            a_moment();
            client.send(&both[cut..]);
            assert_eq!(reply(&client).text(), expected, "cut at {cut}");
            assert_eq!(reply(&client).text(), "/second ", "cut at {cut}");
        }
    }
    assert_eq!(site.accepts(), 1, "connections that the site has accepted");
}

#[test]
fn e55_what_has_no_length_ends_with_the_connection() {
    let _test = Test::begin("Without a length, the end of the connection is the end of the body.");
    let hand = Hand::start();
    let mux = Mux::start(hand.addr(), &[]);
    let response = b"HTTP/1.0 200 OK\r\n\r\nall there is";
    for cut in 1..=response.len() {
        let client = mux.client();
        client.send(&get("/"));
        let upstream = hand.next();
        drop(upstream.read_until(b"\r\n\r\n"));
        upstream.send(&response[..cut]);
        a_moment();
        upstream.send(&response[cut..]);
        upstream.close();
        client.expect(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall there is");
        client.expect_eof();
    }
}

/// Gives the queue time to read one piece alone. No test depends on it: pieces that arrive together must work as well.
fn a_moment() {
    be_busy(Duration::from_micros(200));
}
