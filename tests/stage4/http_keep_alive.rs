//! Several requests on one connection of a client: each to its own target, each with its own response.

use std::time::Duration;

use harness::{BlackHole, Client, ClosedPort, Hand, Peer, Signal, Test};

use crate::http_ingress::{ESTABLISHED, ask, connect_to, get};
use crate::support::{Proxy, echoes};

/// What the proxy adds to a response.
const VIA: &str = "Via: 1.1 stage4-proxy\r\n";

/// A response with a body.
fn ok(body: &str) -> String {
    response("", body)
}

/// The same as the client gets it.
fn ok_via(body: &str) -> String {
    response(VIA, body)
}

fn response(more: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{more}\r\n{body}")
}

/// Waits for a target's next request, which must be for `path`.
#[track_caller]
fn next_request(target: &Hand, path: &str) -> Peer {
    let upstream = target.next();
    let head = upstream.read_until(b"\r\n\r\n");
    let expected = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", target.addr());
    assert!(
        head.starts_with(expected.as_bytes()),
        "{}",
        head.escape_ascii()
    );
    upstream
}

/// Checks that the client's next request on its connection is served.
#[track_caller]
fn is_kept(client: &Client, target: &Hand) {
    client.send(get(format!("http://{}/next", target.addr())).as_bytes());
    next_request(target, "/next").send(ok("next").as_bytes());
    client.expect(ok_via("next").as_bytes());
}

#[test]
fn http_two_targets_on_one_connection_each_get_their_own_request() {
    let _test =
        Test::begin("The next request may be for another host: no target sees the other's.");
    let proxy = Proxy::choosing("http", &[]);
    let (shop, bank) = (Hand::start(), Hand::start());
    let client = ask(&proxy, get(format!("http://{}/a", shop.addr())));
    let first = next_request(&shop, "/a");
    first.send(ok("a shop").as_bytes());
    client.expect(ok_via("a shop").as_bytes());
    let secret = format!(
        "GET http://{}/b HTTP/1.1\r\nHost: x\r\nCookie: secret\r\n\r\n",
        bank.addr()
    );
    client.send(secret.as_bytes());
    let second = next_request(&bank, "/b");
    first.expect_closed();
    second.send(ok("a bank").as_bytes());
    client.expect(ok_via("a bank").as_bytes());
    is_kept(&client, &shop);
    second.expect_closed();
    let row = proxy.row_of(&client);
    assert_eq!(row.phase, "handshake", "{row:?}");
    client.half_close();
    client.expect_eof();
    proxy.wait_for_rows(0);
}

#[test]
fn http_ten_requests_in_one_write_get_their_responses_in_order() {
    let _test =
        Test::begin("Pipelined requests wait for their turn, and each response for its own.");
    let proxy = Proxy::choosing("http", &[]);
    let targets = [Hand::start(), Hand::start()];
    let paths: Vec<String> = (0..10).map(|number| format!("/{number}")).collect();
    let target_of = |number: usize| &targets[number % 2];
    let url = |number: usize| format!("http://{}{}", target_of(number).addr(), paths[number]);
    let all: String = (0..10).map(|number| get(url(number))).collect();
    let client = ask(&proxy, all);
    for (number, path) in paths.iter().enumerate() {
        let upstream = next_request(target_of(number), path);
        // The bytes behind the response must not become a part of the next one.
        let surplus = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong";
        upstream.send(format!("{}{surplus}", ok(path)).as_bytes());
    }
    let expected: String = paths.iter().map(|path| ok_via(path)).collect();
    client.expect(expected.as_bytes());
    client.expect_silence(Duration::from_millis(50));
}

#[test]
fn http_connect_may_follow_a_request() {
    let _test = Test::begin("A kept connection may still become a tunnel.");
    let (proxy, target) = (Proxy::choosing("http", &[]), Hand::start());
    let echo = harness::Scripted::echo();
    let client = ask(&proxy, "");
    is_kept(&client, &target);
    client.send(connect_to(echo.addr()).as_bytes());
    client.expect(ESTABLISHED);
    echoes(&client);
    assert_eq!(
        proxy.row_of(&client).phase,
        "relay",
        "the phase of the session"
    );
}

#[test]
fn http_each_request_is_judged_anew() {
    let _test = Test::begin("An allowed target opens no way to another one.");
    let target = Hand::start();
    let allowed = target.addr().to_string();
    let proxy = Proxy::choosing("http", &["--allow", &allowed]);
    let other = Hand::start();
    for request in [
        get(format!("http://{}/", other.addr())),
        connect_to(other.addr()),
    ] {
        let client = ask(&proxy, "");
        is_kept(&client, &target);
        client.send(request.as_bytes());
        let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        assert!(reply.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{reply}");
        assert!(!reply.contains("127.0.0.1"), "{reply}");
    }
}

#[test]
fn http_a_failure_of_a_later_request_has_its_status() {
    let _test = Test::begin(
        "The status is that of the request that has failed, and the end of the connection.",
    );
    let (proxy, target) = (
        Proxy::choosing("http", &["--connect-timeout", "300ms"]),
        Hand::start(),
    );
    let (closed, hole) = (ClosedPort::start(), BlackHole::start());
    for (address, code) in [(closed.addr(), "502"), (hole.addr(), "504")] {
        let client = ask(&proxy, "");
        is_kept(&client, &target);
        client.send(get(format!("http://{address}/")).as_bytes());
        let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        assert!(reply.starts_with(&format!("HTTP/1.1 {code} ")), "{reply}");
    }
}

#[test]
fn http_a_connection_is_kept_only_if_both_sides_know_the_end() {
    let _test =
        Test::begin("HTTP/1.0, \"close\" and a body until the end: the response is the last one.");
    let (proxy, target) = (Proxy::choosing("http", &[]), Hand::start());
    let url = format!("http://{}/", target.addr());
    let fixed = "Content-Length: 2\r\n";
    for (request, fields, body) in [
        (
            format!("GET {url} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
            fixed,
            "ok",
        ),
        (
            format!("GET {url} HTTP/1.1\r\nConnection: close\r\n\r\n"),
            fixed,
            "ok",
        ),
        (get(&url), "", "all of this"),
    ] {
        let client = ask(&proxy, &request);
        let upstream = target.next();
        let _ = upstream.read_until(b"\r\n\r\n");
        upstream.send(format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}").as_bytes());
        upstream.half_close();
        let expected = format!("HTTP/1.1 200 OK\r\n{fields}{VIA}Connection: close\r\n\r\n{body}");
        client.expect(expected.as_bytes());
        client.expect_eof();
    }
    proxy.wait_for_rows(0);
}

#[test]
fn http_an_idle_client_is_closed_in_order_and_a_slow_head_is_a_408() {
    let _test = Test::begin(
        "The time limit of a head begins with its first byte; without one, the end is in order.",
    );
    let (proxy, target) = (
        Proxy::choosing("http", &["--handshake-timeout", "400ms"]),
        Hand::start(),
    );
    let idle = ask(&proxy, "");
    is_kept(&idle, &target);
    // Some clients send an empty line behind a request; it is none.
    idle.send(b"\r\n");
    idle.expect_eof();
    let slow = ask(&proxy, "");
    is_kept(&slow, &target);
    slow.send(b"GET http");
    let reply = String::from_utf8_lossy(&slow.read_to_end()).into_owned();
    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
}

#[test]
fn http_a_client_that_ends_its_output_gets_its_responses() {
    let _test =
        Test::begin("A FIN behind the last request is no reason to leave any of them unanswered.");
    let (proxy, target) = (Proxy::choosing("http", &[]), Hand::start());
    let url = |path| format!("http://{}{path}", target.addr());
    let client = ask(&proxy, format!("{}{}", get(url("/1")), get(url("/2"))));
    client.half_close();
    for path in ["/1", "/2"] {
        next_request(&target, path).send(ok(path).as_bytes());
        client.expect(ok_via(path).as_bytes());
    }
    client.expect_eof();
    proxy.wait_for_rows(0);
}

#[test]
fn http_a_client_that_goes_away_in_flight_takes_its_request_with_it() {
    let _test = Test::begin("Its target's connection is closed, and its row is free.");
    let (proxy, target) = (Proxy::choosing("http", &[]), Hand::start());
    let client = ask(&proxy, "");
    is_kept(&client, &target);
    client.send(get(format!("http://{}/gone", target.addr())).as_bytes());
    let upstream = next_request(&target, "/gone");
    client.reset();
    upstream.expect_closed();
    proxy.wait_for_rows(0);
}

#[test]
fn http_a_drain_does_not_wait_for_a_client_between_two_requests() {
    let _test =
        Test::begin("It has its responses, and could stay idle until the end of the drain.");
    let options = ["--drain-timeout", "10m", "--handshake-timeout", "10m"];
    let (proxy, target) = (Proxy::choosing("http", &options), Hand::start());
    let client = ask(&proxy, "");
    is_kept(&client, &target);
    assert!(
        proxy.terminate().success(),
        "the program does not end with 0 after SIGTERM"
    );
    client.expect_eof();
}

#[test]
fn http_a_response_during_a_drain_says_that_it_is_the_last() {
    let _test = Test::begin("A client that is told \"close\" asks its next request elsewhere.");
    let proxy = Proxy::choosing("http", &["--drain-timeout", "10m"]);
    let target = Hand::start();
    let client = ask(&proxy, get(format!("http://{}/a", target.addr())));
    let upstream = next_request(&target, "/a");
    proxy.signal(Signal::SIGTERM);
    proxy.wait_for_stderr("draining");
    upstream.send(ok("the last").as_bytes());
    let closing = format!("{VIA}Connection: close\r\n");
    client.expect(response(&closing, "the last").as_bytes());
    client.expect_eof();
    drop(client);
    assert!(proxy.wait().success(), "the program did not end with 0");
}

#[test]
fn http_a_target_that_is_silent_is_a_504() {
    let _test = Test::begin("The client can be told, because no part of a response went to it.");
    let proxy = Proxy::choosing("http", &["--idle-timeout", "300ms"]);
    let target = Hand::start();
    let client = ask(&proxy, get(format!("http://{}/a", target.addr())));
    let upstream = next_request(&target, "/a");
    let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
    assert!(
        reply.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"),
        "{reply}"
    );
    assert!(reply.contains("\r\nConnection: close\r\n"), "{reply}");
    let body = "\r\n\r\n504 Gateway Timeout: the target has not answered in time\n";
    assert!(reply.ends_with(body), "{reply}");
    upstream.expect_reset();
}

#[test]
fn http_silence_in_a_response_or_a_request_is_a_reset() {
    let _test = Test::begin("A 504 would be read as a part of the body, or blame the wrong side.");
    let proxy = Proxy::choosing("http", &["--idle-timeout", "300ms"]);
    let target = Hand::start();
    let client = ask(&proxy, get(format!("http://{}/a", target.addr())));
    let half = ok("half of it").replace("10", "20");
    let upstream = next_request(&target, "/a");
    upstream.send(half.as_bytes());
    client.expect(
        half.replace("\r\n\r\n", &format!("\r\n{VIA}\r\n"))
            .as_bytes(),
    );
    client.expect_reset();
    upstream.expect_reset();

    let address = target.addr();
    let post =
        format!("POST http://{address}/ HTTP/1.1\r\nHost: {address}\r\nContent-Length: 9\r\n\r\n");
    let client = ask(&proxy, post);
    let upstream = target.next();
    client.expect_reset();
    let _ = upstream.read_until(b"\r\n\r\n");
    upstream.expect_reset();
}
