//! The connection to a target is kept for the client's next request: when it is used again, when it must not be, and
//! what happens if the target closes it.

use std::time::Duration;

use harness::{Client, Hand, Peer, Test, eventually_equal, proc};

use crate::http_ingress::{ESTABLISHED, ask, connect_to, get};
use crate::support::Proxy;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const OK_VIA: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 stage4-proxy\r\n\r\nok";

/// A proxy, a target that the test plays, and a client that has had one response.
struct Kept {
    proxy: Proxy,
    target: Hand,
    client: Client,
}

impl Kept {
    /// Returns them with the connection to the target, over which the response came.
    #[track_caller]
    fn after(response: &[u8]) -> (Self, Peer) {
        Self::with(&[], response)
    }

    /// As [`Kept::after`], with options for the proxy.
    #[track_caller]
    fn with(options: &[&str], response: &[u8]) -> (Self, Peer) {
        let (proxy, target) = (Proxy::choosing("http", options), Hand::start());
        let client = ask(&proxy, get(format!("http://{}/", target.addr())));
        let upstream = target.next();
        let _ = upstream.read_until(b"\r\n\r\n");
        upstream.send(response);
        let _ = client.read_until(b"ok");
        let kept = Self {
            proxy,
            target,
            client,
        };
        (kept, upstream)
    }

    /// Sends a request for `path`.
    #[track_caller]
    fn ask(&self, method: &str, path: &str, fields: &str) {
        let url = format!("http://{}{path}", self.target.addr());
        self.client
            .send(format!("{method} {url} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes());
    }

    /// Checks that a request comes over this connection, and that the client gets the response to it.
    #[track_caller]
    fn is_answered(&self, upstream: &Peer, line: &str) {
        expect_request(upstream, line);
        upstream.send(OK);
        self.client.expect(OK_VIA);
    }
}

/// Checks that the next request on a connection begins with `line`.
#[track_caller]
fn expect_request(upstream: &Peer, line: &str) {
    let head = upstream.read_until(b"\r\n\r\n");
    let text = String::from_utf8_lossy(&head).into_owned();
    harness::ensure(
        text.starts_with(line),
        format!("The target must get {line:?}, and gets {text:?}."),
    );
}

#[test]
fn http_kept_the_next_request_to_a_target_needs_no_new_connection() {
    let _test = Test::begin("Three requests of a client to one target: one connection.");
    let (kept, upstream) = Kept::after(OK);
    for method in ["GET", "HEAD", "OPTIONS"] {
        kept.ask(method, "/next", "");
        expect_request(&upstream, &format!("{method} /next HTTP/1.1\r\n"));
        let head = b"HTTP/1.1 204 No Content\r\n\r\n";
        upstream.send(head);
        kept.client
            .expect(b"HTTP/1.1 204 No Content\r\nVia: 1.1 stage4-proxy\r\n\r\n");
    }
    assert_eq!(kept.target.accepts(), 1, "connections to the target");
    // The client's connection ends, and so does the target's.
    kept.client.half_close();
    kept.client.expect_eof();
    upstream.expect_closed();
    kept.proxy.wait_for_rows(0);
}

#[test]
fn http_kept_a_target_is_asked_to_close_after_the_last_request_only() {
    let _test = Test::begin(
        "`Connection: close` goes to the target when the client's own connection ends.",
    );
    let (kept, upstream) = Kept::after(OK);
    kept.ask("GET", "/last", "Connection: close\r\n");
    let head = upstream.read_until(b"\r\n\r\n");
    let text = String::from_utf8_lossy(&head).into_owned();
    assert!(text.ends_with("\r\nConnection: close\r\n\r\n"), "{text}");
    upstream.send(OK);
    let _ = kept.client.read_to_end();
    upstream.expect_closed();
}

#[test]
fn http_kept_a_connection_that_its_target_closes_is_closed_at_once() {
    let _test = Test::begin("A silent client must not hold a connection in CLOSE_WAIT.");
    let (kept, upstream) = Kept::after(OK);
    let pid = kept.proxy.pid();
    let before = proc::fd_count(pid);
    upstream.half_close();
    upstream.expect_eof();
    eventually_equal("descriptors of the proxy", &(before - 1), || {
        proc::fd_count(pid)
    });
    kept.ask("GET", "/next", "");
    kept.is_answered(&kept.target.next(), "GET /next HTTP/1.1\r\n");
}

#[test]
fn http_kept_a_request_that_meets_the_end_is_sent_again() {
    let _test =
        Test::begin("The target closes while the request is on its way: it may not be lost.");
    for resets in [false, true] {
        let (kept, upstream) = Kept::after(OK);
        kept.ask("GET", "/once?more", "X-Mine: 1\r\n");
        expect_request(&upstream, "GET /once?more HTTP/1.1\r\n");
        if resets {
            upstream.reset();
        } else {
            upstream.close();
        }
        let again = kept.target.next();
        kept.is_answered(&again, "GET /once?more HTTP/1.1\r\n");
        // The new connection is kept in its turn.
        kept.ask("GET", "/next", "");
        kept.is_answered(&again, "GET /next HTTP/1.1\r\n");
        assert_eq!(kept.target.accepts(), 2, "connections to the target");
    }
}

/// A time limit that a busy machine keeps.
const SOON: [&str; 2] = ["--connect-timeout", "1s"];

#[test]
fn http_kept_a_target_that_has_vanished_costs_the_connect_timeout() {
    let _test = Test::begin(
        "Nothing acknowledges the request: the target has vanished, and a new connection tells.",
    );
    let (kept, upstream) = Kept::with(&SOON, OK);
    // The limit is set with the first request over the kept connection, and holds for the next ones.
    kept.ask("GET", "/second", "");
    kept.is_answered(&upstream, "GET /second HTTP/1.1\r\n");
    upstream.vanish();
    kept.ask("GET", "/third", "");
    kept.is_answered(&kept.target.next(), "GET /third HTTP/1.1\r\n");
    assert_eq!(kept.target.accepts(), 2, "connections to the target");
}

#[test]
fn http_kept_a_target_that_is_slow_has_not_vanished() {
    let _test = Test::begin("Its kernel acknowledges the request, however long the answer takes.");
    let (kept, upstream) = Kept::with(&SOON, OK);
    kept.ask("GET", "/slow", "");
    expect_request(&upstream, "GET /slow HTTP/1.1\r\n");
    kept.client.expect_silence(Duration::from_secs(3));
    upstream.send(OK);
    kept.client.expect(OK_VIA);
    assert_eq!(kept.target.accepts(), 1, "connections to the target");
}

#[test]
fn http_kept_a_request_is_sent_again_once_only() {
    let _test = Test::begin("A target that closes a new connection as well has not answered: 502.");
    let (kept, upstream) = Kept::after(OK);
    kept.ask("GET", "/", "");
    expect_request(&upstream, "GET / HTTP/1.1\r\n");
    upstream.close();
    let again = kept.target.next();
    expect_request(&again, "GET / HTTP/1.1\r\n");
    again.close();
    let reply = kept.client.read_to_end();
    let text = String::from_utf8_lossy(&reply).into_owned();
    assert!(text.starts_with("HTTP/1.1 502 "), "{text}");
    assert_eq!(kept.target.accepts(), 2, "connections to the target");
}

#[test]
fn http_kept_a_response_that_has_begun_is_not_asked_for_again() {
    let _test =
        Test::begin("The target has served the request, and a part of its response is lost.");
    let (kept, upstream) = Kept::after(OK);
    kept.ask("GET", "/", "");
    expect_request(&upstream, "GET / HTTP/1.1\r\n");
    upstream.send(b"HTTP/1.1 2");
    upstream.close();
    let reply = kept.client.read_to_end();
    let text = String::from_utf8_lossy(&reply).into_owned();
    assert!(text.starts_with("HTTP/1.1 502 "), "{text}");
    assert_eq!(kept.target.accepts(), 1, "connections to the target");
}

#[test]
fn http_kept_a_request_that_must_not_come_twice_has_a_new_connection() {
    let _test =
        Test::begin("Of a POST, or of a body, the proxy cannot know whether it has arrived.");
    for (method, fields, body) in [
        ("POST", "Content-Length: 0\r\n", ""),
        ("PATCH", "Content-Length: 4\r\n", "body"),
        ("PUT", "Content-Length: 4\r\n", "body"),
    ] {
        let (kept, first) = Kept::after(OK);
        kept.ask(method, "/order", fields);
        kept.client.send(body.as_bytes());
        let second = kept.target.next();
        first.expect_closed();
        expect_request(&second, &format!("{method} /order HTTP/1.1\r\n"));
        second.expect(body.as_bytes());
        // It is kept after that, because only the request has to be new on it.
        second.send(OK);
        kept.client.expect(OK_VIA);
        kept.ask("GET", "/next", "");
        kept.is_answered(&second, "GET /next HTTP/1.1\r\n");
    }
}

#[test]
fn http_kept_a_response_decides_whether_its_connection_is() {
    let _test = Test::begin(
        "It says close, is of HTTP/1.0, or has bytes behind its end: no further request goes there.",
    );
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
    ] {
        let (kept, upstream) = Kept::after(response.as_bytes());
        upstream.expect_closed();
        kept.ask("GET", "/next", "");
        kept.is_answered(&kept.target.next(), "GET /next HTTP/1.1\r\n");
    }
}

#[test]
fn http_kept_bytes_that_nobody_asked_for_answer_nothing() {
    let _test = Test::begin(
        "A second response on a kept connection must not be taken for that of the next request.",
    );
    let (kept, upstream) = Kept::after(OK);
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong");
    kept.ask("GET", "/next", "");
    kept.is_answered(&kept.target.next(), "GET /next HTTP/1.1\r\n");
    upstream.expect_closed();
}

#[test]
fn http_kept_another_target_or_a_tunnel_has_its_own_connection() {
    let _test = Test::begin("A kept connection serves its own target only, and no tunnel.");
    let (kept, first) = Kept::after(OK);
    let other = Hand::start();
    kept.client
        .send(get(format!("http://{}/other", other.addr())).as_bytes());
    let second = other.next();
    first.expect_closed();
    kept.is_answered(&second, "GET /other HTTP/1.1\r\n");
    kept.client.send(connect_to(other.addr()).as_bytes());
    let third = other.next();
    second.expect_closed();
    kept.client.expect(ESTABLISHED);
    kept.client.send(b"through");
    third.expect(b"through");
}

#[test]
fn http_kept_a_refused_request_goes_to_no_target() {
    let _test = Test::begin("A kept connection is closed with its client.");
    let (kept, upstream) = Kept::after(OK);
    kept.client.send(b"GET /no-url HTTP/1.1\r\nHost: x\r\n\r\n");
    let reply = kept.client.read_to_end();
    assert!(
        reply.starts_with(b"HTTP/1.1 400 "),
        "{}",
        reply.escape_ascii()
    );
    upstream.expect_closed();
    assert_eq!(kept.target.accepts(), 1, "connections to the target");
}

#[test]
fn http_kept_it_works_through_a_chain() {
    let _test = Test::begin(
        "The connection to the first hop leads to the target, for the next request as well.",
    );
    let hop = Proxy::choosing("hop", &[]);
    let target = Hand::start();
    let proxy = Proxy::choosing("http", &["--chain", &hop.addr().to_string()]);
    let client = ask(&proxy, get(format!("http://{}/1", target.addr())));
    let upstream = target.next();
    for path in ["/1", "/2", "/3"] {
        if path != "/1" {
            client.send(get(format!("http://{}{path}", target.addr())).as_bytes());
        }
        expect_request(&upstream, &format!("GET {path} HTTP/1.1\r\n"));
        upstream.send(OK);
        client.expect(OK_VIA);
    }
    assert_eq!(target.accepts(), 1, "connections to the target");
    drop(client);
    upstream.expect_closed();
}
