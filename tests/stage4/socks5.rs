//! The SOCKS5 ingress (RFC 1928): targets by address and by name, a reply for each failure, and the relay behind it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use harness::{BlackHole, Client, ClosedPort, Hand, Rng, Scripted, Test, expect_bytes};

use crate::support::{PAGE, Page, Proxy, curl, echoes, in_path};

/// A greeting that offers no authentication.
const GREETING: [u8; 3] = [5, 1, 0];

/// Encodes a CONNECT request.
pub(crate) fn request(target: SocketAddr) -> Vec<u8> {
    let mut bytes = vec![5, 1, 0];
    match target.ip() {
        IpAddr::V4(ip) => bytes.extend([&[1], &ip.octets()[..]].concat()),
        IpAddr::V6(ip) => bytes.extend([&[4], &ip.octets()[..]].concat()),
    }
    bytes.extend(target.port().to_be_bytes());
    bytes
}

/// Encodes a CONNECT request to a name.
pub(crate) fn named(name: &str, port: u16) -> Vec<u8> {
    let length = u8::try_from(name.len()).expect("a short name");
    [&[5, 1, 0, 3, length], name.as_bytes(), &port.to_be_bytes()].concat()
}

/// Connects a client, greets, and sends a request.
#[track_caller]
pub(crate) fn ask(proxy: &Proxy, request: &[u8]) -> Client {
    let client = Client::connect(proxy.addr());
    client.send(&GREETING);
    client.expect(&[5, 0]);
    client.send(request);
    client
}

/// Reads a reply, and returns its code.
#[track_caller]
pub(crate) fn reply(client: &Client) -> u8 {
    let head = client.read_exact(4);
    let length = if head[3] == 4 { 16 } else { 4 };
    let _ = client.read_exact(length + 2);
    assert_eq!((head[0], head[2]), (5, 0), "{head:?}");
    head[1]
}

#[test]
fn socks5_a_target_is_reached_by_address_and_by_name() {
    let _test = Test::begin(
        "The type of the address says how long it is: 4 bytes, 16, or a length and a name.",
    );
    let (proxy, echo) = (Proxy::choosing("socks5", &[]), Scripted::echo());
    let port = echo.addr().port();
    for request in [
        request(echo.addr()),
        named("localhost", port),
        named("127.0.0.1", port),
    ] {
        let client = ask(&proxy, &request);
        assert_eq!(reply(&client), 0, "{request:?}");
        echoes(&client);
        if proxy.has_inspector() {
            let row = proxy.row_of(&client);
            assert!(row.description.starts_with("socks5["), "{row:?}");
        }
    }
}

#[test]
fn socks5_everything_may_come_at_once() {
    let _test = Test::begin(
        "Bytes behind the request belong to the target, and wait until it is connected.",
    );
    let (proxy, echo) = (Proxy::choosing("socks5", &[]), Scripted::echo());
    let nonce = Rng::for_test().nonce(3000);
    let client = Client::connect(proxy.addr());
    client.send(&[&GREETING[..], &request(echo.addr()), &nonce].concat());
    client.half_close();
    client.expect(&[5, 0]);
    assert_eq!(reply(&client), 0, "the code of the reply to the client");
    expect_bytes("The answer", &nonce, &client.read_to_end());
    proxy.wait_until_empty();
}

#[test]
fn socks5_a_request_may_come_byte_by_byte() {
    let _test = Test::begin("One read is not one message.");
    let (proxy, echo) = (Proxy::choosing("socks5", &[]), Scripted::echo());
    let client = Client::connect(proxy.addr());
    client.send_chunked(&[&GREETING[..], &request(echo.addr())].concat(), 1);
    client.expect(&[5, 0]);
    assert_eq!(reply(&client), 0, "the code of the reply to the client");
    echoes(&client);
}

#[test]
fn socks5_every_failure_has_its_reply() {
    let _test =
        Test::begin("A client can tell a refused connection from a name without an address.");
    let proxy = Proxy::choosing("socks5", &["--connect-timeout", "500ms"]);
    let (closed, hole) = (ClosedPort::start(), BlackHole::start());
    let table = [
        (request(closed.addr()), 5),
        (request(hole.addr()), 6),
        (named("nowhere.invalid", 80), 4),
        // The proxy itself.
        (request(proxy.addr()), 2),
        // BIND, an unknown command, an unknown type of address.
        (vec![5, 2, 0, 1, 127, 0, 0, 1, 0, 80], 7),
        (vec![5, 4, 0, 1, 0, 0, 0, 0, 0, 0], 7),
        (vec![5, 1, 0, 9, 127, 0, 0, 1, 0, 80], 8),
    ];
    for (request, code) in table {
        let client = ask(&proxy, &request);
        assert_eq!(reply(&client), code, "the reply to {request:?}");
        client.expect_eof();
    }
    proxy.wait_until_empty();
}

#[test]
fn socks5_a_client_without_a_fitting_method_is_refused() {
    let _test =
        Test::begin("FF means that no method fits; the client must close (RFC 1928 section 3).");
    let proxy = Proxy::choosing("socks5", &[]);
    let client = Client::connect(proxy.addr());
    client.send(&[5, 1, 2]);
    client.expect(&[5, 0xff]);
    client.expect_eof();
}

#[test]
fn socks5_a_server_may_speak_first() {
    let _test =
        Test::begin("The reply comes before the target's first byte, also if that comes at once.");
    let (proxy, hand) = (Proxy::choosing("socks5", &[]), Hand::start());
    let client = ask(&proxy, &request(hand.addr()));
    let upstream = hand.next();
    upstream.send(b"220 ready\r\n");
    assert_eq!(reply(&client), 0, "the code of the reply to the client");
    client.expect(b"220 ready\r\n");
}

#[test]
fn socks5_curl_fetches_a_page() {
    let _test = Test::begin("curl --socks5 sends an address, curl --socks5-hostname a name.");
    let Some(program) = in_path("curl") else {
        return;
    };
    let (proxy, page) = (Proxy::choosing("socks5", &[]), Page::serve());
    let address = proxy.addr().to_string();
    for option in ["--socks5", "--socks5-hostname"] {
        let options = ["--noproxy", "", option, &address];
        assert_eq!(curl(&program, &options, &page.url()), PAGE, "{option}");
    }
}

#[test]
fn socks5_a_silent_client_is_told_that_its_time_is_over() {
    let _test = Test::begin("The time limit is for the whole handshake.");
    let proxy = Proxy::choosing("socks5", &["--handshake-timeout", "500ms"]);
    let client = Client::connect(proxy.addr());
    client.send(&GREETING);
    client.expect(&[5, 0]);
    client.expect_silence(Duration::from_millis(100));
    assert_eq!(reply(&client), 1, "the code of the reply to the client");
    client.expect_eof();
}
