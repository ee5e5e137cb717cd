//! Requests that two parsers could read differently: refused before a byte of them reaches the upstream.

use harness::{Client, Test};

use crate::support::{Mux, Site, expect_service, get, reply};

/// Sends bytes and returns the status of the reply, after which the connection must end.
#[track_caller]
fn status_of(client: &Client, bytes: &[u8]) -> String {
    client.send(bytes);
    let reply = reply(client);
    client.expect_eof();
    reply.status().to_owned()
}

#[test]
fn e54_ambiguous_requests_are_refused_before_the_upstream_sees_them() {
    let _test = Test::begin("If it is not clear where a request ends, refuse it.");
    let fields = [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "Content-Length: 6\r\nContent-Length: 5\r\n",
        "Content-Length: 6\r\nContent-Length: 6\r\n",
        "Content-Length: 6, 6\r\n",
        "Content-Length: +6\r\n",
        "Content-Length: 0x6\r\n",
        "Content-Length: 6 6\r\n",
        "Content-Length : 6\r\n",
        "Content-Length:\r\n",
        " Content-Length: 6\r\n",
        "X: y\r\n Content-Length: 6\r\n",
        "X: y\r\n\tfolded\r\n",
        "X: y\nContent-Length: 6\r\n",
        "X: y\n",
        "X: y\rZ: 1\r\n",
        "X: \0\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Host: other\r\n",
    ];
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    for field in fields {
        let bytes = format!(
            "POST / HTTP/1.1\r\nHost: x\r\n{field}\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        );
        assert_eq!(
            status_of(&mux.client(), bytes.as_bytes()),
            "400",
            "{field:?}"
        );
    }
    assert_eq!(site.accepts(), 0, "connections to the upstream");
}

#[test]
fn e54_lines_that_two_parsers_could_read_differently_are_refused() {
    let _test = Test::begin("Be strict with the request line, the Host and the ends of lines.");
    let lines = [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\n\n",
        "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
        "GET a:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET ftp://a/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "\n",
        "\0\r\n\r\n",
    ];
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    for bytes in lines {
        let status = status_of(&mux.client(), bytes.as_bytes());
        assert_eq!(status, "400", "{bytes:?}");
    }
    assert_eq!(site.accepts(), 0, "connections to the upstream");
}

#[test]
fn e55_bad_chunks_are_refused_before_the_upstream_sees_them() {
    let _test = Test::begin("Be strict with everything that delimits.");
    let chunks = [
        "x\r\n",
        "-1\r\n",
        "0x1\r\n",
        " 1\r\n",
        "1 \r\n",
        "1\n",
        "1;a\n",
        "1\r\na\n0\r\n\r\n",
        "2\r\na\r\n0\r\n\r\n",
        "0\r\n\n",
        "0\r\n a: b\r\n\r\n",
    ];
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    for chunk in chunks {
        let bytes =
            format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
        let status = status_of(&mux.client(), bytes.as_bytes());
        assert_eq!(status, "400", "{chunk:?}");
    }
    assert_eq!(site.accepts(), 0, "connections to the upstream");
    expect_service(&mux);
    assert_eq!(
        site.paths(),
        ["/still-served"],
        "the requests that the upstream got, in order"
    );
}

#[test]
fn e54_heads_have_a_bound() {
    let _test = Test::begin("A head without an end must not fill the memory.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    let start = "GET / HTTP/1.1\r\nHost: x\r\nX: ";
    let long = [start.as_bytes(), &[b'a'; 64 * 1024], b"\r\n\r\n"].concat();
    assert_eq!(status_of(&mux.client(), &long), "431", "a field of 64 KiB");
    assert_eq!(
        status_of(&mux.client(), &long[..64 * 1024]),
        "431",
        "before the head ends"
    );
    let many = format!(
        "GET / HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "X: y\r\n".repeat(1000)
    );
    assert_eq!(
        status_of(&mux.client(), many.as_bytes()),
        "431",
        "a thousand fields"
    );
    assert_eq!(site.accepts(), 0, "connections to the upstream");

    let small = Mux::start(site.addr(), &["--max-head", "100"]);
    assert_eq!(
        status_of(&small.client(), &long[..100]),
        "431",
        "100 bytes without the end of a head, with --max-head 100"
    );
}

#[test]
fn e54_what_needs_a_tunnel_cannot_share_the_queue() {
    let _test =
        Test::begin("A tunnel would take the shared connection away from all other clients.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    let websocket = "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\nSec-WebSocket-Version: 13\r\n\r\n";
    for request in [websocket, "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n"] {
        let client = mux.client();
        client.send(request.as_bytes());
        let reply = reply(&client);
        assert_eq!(reply.status(), "501", "the status of the response");
        assert!(
            reply.text().contains("shared by all clients"),
            "{}",
            reply.text()
        );
        client.expect_eof();
    }
    assert_eq!(site.accepts(), 0, "connections to the upstream");
}

#[test]
fn e54_a_refusal_survives_the_close() {
    let _test = Test::begin("A close with unread bytes sends a reset, which overtakes the reply.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    for _ in 0..20 {
        let client = mux.client();
        let bad = [b"GET / HTTP/9\r\n\r\n".as_slice(), &get("/x").repeat(2000)].concat();
        client.send(&bad);
        assert_eq!(
            reply(&client).status(),
            "505",
            "the status of the response to the client"
        );
        client.expect_eof();
    }
}
