//! The HTTP ingress: tunnels by CONNECT, requests in absolute form, and failures in HTTP's words.

use harness::{BlackHole, Client, ClosedPort, Hand, Rng, Scripted, Test};

use crate::support::{MIB, Proxy, a_request_and_a_half_close, echoes};

/// The reply that opens a tunnel.
pub(crate) const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Connects a client that sends `bytes`.
#[track_caller]
pub(crate) fn ask(proxy: &Proxy, bytes: impl AsRef<[u8]>) -> Client {
    let client = Client::connect(proxy.addr());
    client.send(bytes.as_ref());
    client
}

/// Returns the status code of the reply to a request, after which the proxy closes.
#[track_caller]
pub(crate) fn status(proxy: &Proxy, request: impl AsRef<[u8]>) -> u16 {
    let reply = ask(proxy, request).read_to_end();
    let text = String::from_utf8_lossy(&reply).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    assert!(
        head.contains(&format!("Content-Length: {}", body.len())),
        "{text}"
    );
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.unwrap_or_else(|| harness::fail(text.clone()))
}

/// A request for a URL.
pub(crate) fn get(url: impl std::fmt::Display) -> String {
    format!("GET {url} HTTP/1.1\r\nHost: x\r\n\r\n")
}

pub(crate) fn connect_to(target: impl std::fmt::Display) -> String {
    format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")
}

#[test]
fn http_connect_opens_a_tunnel() {
    let _test = Test::begin("After the reply, the bytes of both sides pass unchanged.");
    let (proxy, echo) = (Proxy::choosing("http", &[]), Scripted::echo());
    for target in [
        echo.addr().to_string(),
        format!("localhost:{}", echo.addr().port()),
    ] {
        let client = ask(&proxy, connect_to(target));
        client.expect(ESTABLISHED);
        echoes(&client);
        if proxy.has_inspector() {
            let row = proxy.row_of(&client);
            assert!(row.description.starts_with("http["), "{row:?}");
        }
    }
}

#[test]
fn http_bytes_behind_the_head_belong_to_the_tunnel() {
    let _test = Test::begin(
        "Head and payload may come in one segment, and the target's greeting with the reply.",
    );
    let (proxy, hand) = (Proxy::choosing("http", &[]), Hand::start());
    let nonce = Rng::for_test().nonce(3000);
    let client = ask(
        &proxy,
        [connect_to(hand.addr()).as_bytes(), &nonce].concat(),
    );
    let upstream = hand.next();
    upstream.send(b"220 ready\r\n");
    upstream.expect(&nonce);
    client.expect(&[ESTABLISHED, b"220 ready\r\n"].concat());
}

#[test]
fn http_an_end_is_passed_on_in_its_own_direction() {
    let _test = Test::begin("8 MiB up and a FIN, then 1 MiB down: a half-close is not an end.");
    let (proxy, hand) = (Proxy::choosing("http", &[]), Hand::start());
    let client = ask(&proxy, connect_to(hand.addr()));
    let upstream = hand.next();
    client.expect(ESTABLISHED);
    a_request_and_a_half_close(&client, upstream);
    proxy.wait_until_empty();
}

#[test]
fn http_a_request_in_absolute_form_reaches_its_target() {
    let _test = Test::begin(
        "The target gets a path, a Host, and none of the fields that were for the proxy.",
    );
    let (proxy, hand) = (Proxy::choosing("http", &[]), Hand::start());
    let target = hand.addr();
    let client = ask(
        &proxy,
        format!(
            "POST http://{target}/a?b HTTP/1.1\r\nHost: elsewhere\r\nProxy-Connection: keep-alive\r\n\
             Content-Length: 5\r\nConnection: x-mine\r\nX-Mine: 1\r\n\r\nhello"
        ),
    );
    let upstream = hand.next();
    upstream.expect(
        format!(
            "POST /a?b HTTP/1.1\r\nHost: {target}\r\nContent-Length: 5\r\nVia: 1.1 stage4-proxy\r\n\
             \r\nhello"
        )
        .as_bytes(),
    );
    upstream.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close, x-its\r\nX-Its: 1\r\n\r\nok",
    );
    client.expect(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 stage4-proxy\r\n\r\nok");
    upstream.expect_closed();
}

#[test]
fn http_a_large_upload_arrives_whole_and_a_client_that_leaves_is_noticed() {
    let _test = Test::begin("The body is counted, however large it is.");
    let (proxy, hand) = (Proxy::choosing("http", &[]), Hand::start());
    let body = Rng::for_test().bytes(8 * MIB);
    let head = format!(
        "PUT http://{}/ HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
        hand.addr(),
        body.len()
    );
    let client = ask(&proxy, head);
    let upstream = hand.next();
    let _ = upstream.read_until(b"\r\n\r\n");
    let sending = client.send_in_background(body.clone());
    upstream.expect(&body);
    sending.join();
    assert_eq!(
        proxy.row_of(&client).phase,
        "forward",
        "the phase of the session"
    );
    client.reset();
    upstream.expect_closed();
    proxy.wait_for_rows(0);
}

#[test]
fn http_every_failure_has_its_status() {
    let _test = Test::begin("A person reads the reason in the body, a program in the status code.");
    let proxy = Proxy::choosing("http", &["--connect-timeout", "500ms"]);
    let (closed, hole) = (ClosedPort::start(), BlackHole::start());
    let table = [
        (connect_to(closed.addr()), 502),
        (get(format!("http://{}/", closed.addr())), 502),
        (connect_to(hole.addr()), 504),
        (connect_to("nowhere.invalid:80"), 502),
        (connect_to(proxy.addr()), 403),
        (get(format!("http://{}/", proxy.addr())), 403),
        (get("/"), 400),
        (get("https://localhost/"), 501),
        (
            "OPTIONS http://localhost/ HTTP/1.1\r\nMax-Forwards: 0\r\n\r\n".to_owned(),
            200,
        ),
        (
            "TRACE http://localhost/ HTTP/1.1\r\nMax-Forwards: 0\r\n\r\n".to_owned(),
            501,
        ),
        ("\u{16}\u{3}\u{1}\u{2}".to_owned(), 400),
        (
            format!(
                "GET http://localhost/ HTTP/1.1\r\nA: {}\r\n\r\n",
                "x".repeat(33_000)
            ),
            431,
        ),
    ];
    for (request, code) in table {
        let begin: String = request.chars().take(60).collect();
        assert_eq!(status(&proxy, request), code, "{begin:?}");
    }
    proxy.wait_for_rows(0);
}

#[test]
fn http_a_tunnel_that_cannot_be_opened_has_its_status() {
    let _test = Test::begin("The reason is in the status code, and in a body with a length.");
    let proxy = Proxy::choosing("http", &["--connect-timeout", "500ms"]);
    let (closed, hole) = (ClosedPort::start(), BlackHole::start());
    let table = [
        (connect_to(closed.addr()), 502),
        (connect_to(hole.addr()), 504),
        (connect_to("nowhere.invalid:80"), 502),
        (connect_to(proxy.addr()), 403),
        (connect_to("no-port"), 400),
    ];
    for (request, code) in table {
        assert_eq!(status(&proxy, &request), code, "{request:?}");
    }
}

#[test]
fn http_a_slow_head_is_a_408() {
    let _test = Test::begin("The time limit is for the whole head, however its bytes come.");
    let proxy = Proxy::choosing("http", &["--handshake-timeout", "500ms"]);
    ask(&proxy, "").expect_reset();
    assert_eq!(status(&proxy, "CONNECT localhost:80 HTT"), 408);
}
