//! The PROXY protocol: the client behind a load balancer, and our clients for the server behind us.

use std::net::SocketAddr;

use harness::{Client, Connect, Hand, Scripted, Test};

use crate::support::{Proxy, proxy_and_echo, proxy_and_hand, talk};

/// The peers that the tests run on may speak for their clients.
const ACCEPT: [&str; 2] = ["--accept-proxy", "127.0.0.0/8"];

/// The client that the headers below name.
const CLIENT: &str = "203.0.113.7:50312";
const LINE: &[u8] = b"PROXY TCP4 203.0.113.7 198.51.100.1 50312 443\r\n";
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x14\xcb\0\x71\x07\xc6\x33\x64\x01\xc4\x88\x01\xbb\x04\0\x05noise";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

fn client() -> SocketAddr {
    CLIENT.parse().expect("an address")
}

/// The header of version 1 for a client that has connected to the proxy.
fn line(client: SocketAddr, proxy: SocketAddr) -> Vec<u8> {
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (client.ip(), proxy.ip());
    let (from_port, to_port) = (client.port(), proxy.port());
    format!("PROXY {family} {from} {to} {from_port} {to_port}\r\n").into_bytes()
}

/// The header of version 2 for an IPv4 client that has connected to the proxy.
fn binary(client: SocketAddr, proxy: SocketAddr) -> Vec<u8> {
    let (SocketAddr::V4(client), SocketAddr::V4(proxy)) = (client, proxy) else {
        harness::fail("the tests use IPv4 here");
    };
    let ports = [client.port(), proxy.port()].map(u16::to_be_bytes).concat();
    let hosts = [client.ip().octets(), proxy.ip().octets()].concat();
    let fixed = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c";
    [&fixed[..], &hosts, &ports].concat()
}

/// Checks that the only row shows a client at this address.
#[track_caller]
fn shows(proxy: &Proxy, client: SocketAddr) {
    proxy.wait_for_rows(1);
    let row = &proxy.routes().sessions[0];
    assert_eq!(
        row.client.peer,
        Some(client),
        "the client that the row of the only session shows"
    );
    assert!(
        row.description.contains(&client.to_string()),
        "{}",
        row.description
    );
}

#[test]
fn proxy_protocol_the_client_is_the_one_in_the_header() {
    let _test = Test::begin(
        "The header is ours, and the bytes behind it in the same segment are the target's.",
    );
    for header in [LINE, BINARY] {
        let (proxy, hand) = proxy_and_hand(&ACCEPT);
        let peer = Client::connect(proxy.addr());
        peer.send(&[header, b"early"].concat());
        let upstream = hand.next();
        upstream.expect(b"early");
        talk(&peer, &upstream);
        shows(&proxy, client());
    }
}

#[test]
fn proxy_protocol_a_header_may_come_byte_by_byte() {
    let _test =
        Test::begin("A read can end anywhere: nothing is decided before the last byte is there.");
    for header in [LINE, BINARY] {
        let (proxy, hand) = proxy_and_hand(&ACCEPT);
        let peer = Client::connect(proxy.addr());
        peer.send_chunked(header, 1);
        let upstream = hand.next();
        talk(&peer, &upstream);
        shows(&proxy, client());
    }
}

#[test]
fn proxy_protocol_a_sender_may_speak_for_itself() {
    let _test = Test::begin(
        "LOCAL is the balancer's own check, UNKNOWN a client without an address: the connection's own counts.",
    );
    for header in [LOCAL, b"PROXY UNKNOWN\r\n"] {
        let (proxy, hand) = proxy_and_hand(&ACCEPT);
        let peer = Client::connect(proxy.addr());
        peer.send(header);
        talk(&peer, &hand.next());
        shows(&proxy, peer.local());
    }
}

#[test]
fn proxy_protocol_stands_before_every_ingress() {
    let _test = Test::begin(
        "The header is a handshake before the handshake, and all of it may come in one segment.",
    );
    let hand = Hand::start();
    let SocketAddr::V4(target) = hand.addr() else {
        harness::fail("a hand has an IPv4 address");
    };
    let address = [&target.ip().octets()[..], &target.port().to_be_bytes()].concat();
    let socks5 = [b"\x05\x01\x00\x05\x01\x00\x01", &address[..]].concat();
    let hop = [b"\x01\x01", &address[..]].concat();
    let http = format!("CONNECT {target} HTTP/1.1\r\n\r\n").into_bytes();
    let table = [
        ("socks5", socks5, &b"\x05\x00\x05\x00\x00"[..]),
        ("http", http, b"HTTP/1.1 200 "),
        ("hop", hop, b"\x01\x00\x00"),
    ];
    for (ingress, request, reply) in table {
        let options = [&ACCEPT[..], &["--clients", "203.0.113.0/24"]].concat();
        let proxy = Proxy::choosing(ingress, &options);
        let peer = Client::connect(proxy.addr());
        peer.send(&[LINE, &request, b"early"].concat());
        hand.next().expect(b"early");
        peer.expect(reply);
        shows(&proxy, client());
    }
}

#[test]
fn proxy_protocol_a_peer_without_a_header_is_reset() {
    let _test = Test::begin(
        "From a network that speaks for its clients, every connection must begin with a header.",
    );
    let hand = Hand::start();
    let proxy = Proxy::with(
        hand.addr(),
        &[&ACCEPT[..], &["--handshake-timeout", "300ms"]].concat(),
    );
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"PROXY TCP4 nonsense\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
    ] {
        let peer = Client::connect(proxy.addr());
        peer.send(garbage);
        peer.expect_reset();
    }
    let sentence = proxy.wait_for_stderr("another protocol");
    assert!(sentence.contains("no PROXY protocol header"), "{sentence}");

    let silent = Client::connect(proxy.addr());
    silent.send(&LINE[..20]);
    silent.expect_reset();
    proxy.wait_for_stderr("handshake time limit reached");
    let endless = Client::connect(proxy.addr());
    endless.send(&[b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat());
    endless.expect_reset();
    assert_eq!(hand.accepts(), 0, "no target has seen any of this");
}

#[test]
fn proxy_protocol_the_header_of_a_stranger_is_payload() {
    let _test = Test::begin(
        "A header counts because of the machine that sends it, and anyone can write one.",
    );
    let (proxy, hand) = proxy_and_hand(&["--accept-proxy", "127.0.0.2,192.0.2.0/24"]);
    let stranger = Client::connect(proxy.addr());
    stranger.send(LINE);
    hand.next().expect(LINE);
    shows(&proxy, stranger.local());
}

#[test]
fn proxy_protocol_clients_are_judged_by_the_real_address() {
    let _test =
        Test::begin("--clients asks who the client is, and not which balancer it came through.");
    let options = [&ACCEPT[..], &["--clients", "203.0.113.0/24"]].concat();
    let (proxy, hand) = proxy_and_hand(&options);
    let welcome = Client::connect(proxy.addr());
    welcome.send(LINE);
    talk(&welcome, &hand.next());

    let other = Client::connect(proxy.addr());
    other.send(b"PROXY TCP4 192.0.2.9 198.51.100.1 1 443\r\n");
    other.expect_reset();
    let sentence = proxy.wait_for_stderr("192.0.2.9");
    assert!(sentence.contains("not allowed: --clients"), "{sentence}");
    // A balancer that speaks for itself is a client like any other.
    let balancer = Client::connect(proxy.addr());
    balancer.send(LOCAL);
    balancer.expect_reset();
    assert_eq!(
        hand.accepts(),
        1,
        "connections that the upstream has accepted"
    );
    proxy.wait_for_metric("proxy_refusals_by_reason_total{reason=\"client\"}", 2.0);
}

#[test]
fn proxy_protocol_a_target_gets_the_header_first() {
    let _test = Test::begin(
        "One header in front of the first byte, also for a client that never sends one.",
    );
    for (version, header) in [("v1", line as fn(_, _) -> _), ("v2", binary)] {
        let (proxy, hand) = proxy_and_hand(&["--send-proxy", version]);
        let client = Connect::new()
            .from(([127, 0, 0, 5], 0).into())
            .to(proxy.addr());
        let upstream = hand.next();
        upstream.expect(&header(client.local(), proxy.addr()));
        talk(&client, &upstream);
        client.half_close();
        upstream.expect_eof();
    }
}

#[test]
fn proxy_protocol_the_header_precedes_early_bytes_of_every_ingress() {
    let _test = Test::begin(
        "What came behind the handshake waits in the half that goes up, and the header goes before it.",
    );
    let hand = Hand::start();
    let target = hand.addr();
    let requests = [
        format!("CONNECT {target} HTTP/1.1\r\n\r\nearly"),
        format!("GET http://{target}/early HTTP/1.1\r\nHost: x\r\n\r\n"),
    ];
    for (request, first) in requests.iter().zip(["early", "GET /early HTTP/1.1\r\n"]) {
        let proxy = Proxy::choosing("http", &["--send-proxy", "v1"]);
        let client = Client::connect(proxy.addr());
        client.send(request.as_bytes());
        let upstream = hand.next();
        upstream.expect(&line(client.local(), proxy.addr()));
        upstream.expect(first.as_bytes());
    }
}

#[test]
fn proxy_protocol_each_target_of_one_http_client_gets_the_header() {
    let _test = Test::begin(
        "Requests of one connection go to several targets, and each connection to one begins with a header.",
    );
    let proxy = Proxy::choosing("http", &["--send-proxy", "v1"]);
    let client = Client::connect(proxy.addr());
    for number in 0..3 {
        let hand = Hand::start();
        let target = hand.addr();
        client.send(
            format!("GET http://{target}/{number} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes(),
        );
        let upstream = hand.next();
        upstream.expect(&line(client.local(), proxy.addr()));
        upstream.expect(format!("GET /{number} HTTP/1.1\r\n").as_bytes());
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let head = client.read_until(b"\r\n\r\n");
        assert!(
            head.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&head)
        );
        client.expect(b"ok");
    }
}

#[test]
fn proxy_protocol_through_a_chain_the_target_gets_the_header() {
    let _test = Test::begin("To the hops the header is payload like any other byte.");
    let (hop, hand) = (Proxy::choosing("hop", &[]), Hand::start());
    let chain = hop.addr().to_string();
    let proxy = Proxy::with(hand.addr(), &["--chain", &chain, "--send-proxy", "v2"]);
    let client = Client::connect(proxy.addr());
    client.send(b"early");
    let upstream = hand.next();
    upstream.expect(&[&binary(client.local(), proxy.addr())[..], b"early"].concat());
    talk(&client, &upstream);
}

#[test]
fn proxy_protocol_a_relay_passes_the_client_on() {
    let _test = Test::begin(
        "Two relays in a row: the second one names the client that the first one has named.",
    );
    let hand = Hand::start();
    let inner = Proxy::with(
        hand.addr(),
        &[&ACCEPT[..], &["--send-proxy", "v1"]].concat(),
    );
    let outer = Proxy::with(inner.addr(), &["--send-proxy", "v2"]);
    let client = Connect::new()
        .from(([127, 0, 0, 9], 0).into())
        .to(outer.addr());
    client.send(b"early");
    let upstream = hand.next();
    // The destination is the address that the client has connected to, and that is the first relay's.
    upstream.expect(&[&line(client.local(), outer.addr())[..], b"early"].concat());
    talk(&client, &upstream);
    shows(&inner, client.local());
}

#[test]
fn proxy_protocol_clients_of_ipv6_are_named_as_such() {
    let _test = Test::begin("TCP6 has addresses without brackets.");
    let Ok(listener) = std::net::TcpListener::bind("[::1]:0") else {
        return eprintln!("skipped: this machine has no IPv6");
    };
    drop(listener);
    let hand = Hand::start();
    let upstream = hand.addr().to_string();
    let program = harness::Program::new(crate::support::program());
    let server = program
        .args([
            "--listen",
            "[::1]:0",
            "--upstream",
            &upstream,
            "--send-proxy",
            "v1",
        ])
        .serve();
    let client = Client::connect(server.addr());
    hand.next().expect(&line(client.local(), server.addr()));
}

#[test]
fn proxy_protocol_without_the_flags_nothing_changes() {
    let _test =
        Test::begin("A header is payload, and the target gets nothing but the client's bytes.");
    let (proxy, _echo) = proxy_and_echo(&[]);
    let client = Client::connect(proxy.addr());
    client.send(LINE);
    client.expect(LINE);
    let speaker = Scripted::start("speaker", |peer| {
        peer.send(b"220 first\r\n");
        peer.expect_eof();
    });
    let proxy = Proxy::to(speaker.addr());
    let client = Client::connect(proxy.addr());
    client.expect(b"220 first\r\n");
    drop(client);
    speaker.finish();
}

#[test]
fn proxy_protocol_wrong_flags_are_told_why() {
    let _test = Test::begin("Bad arguments end with status 2 and a sentence.");
    for flags in [
        ["--accept-proxy", "somewhere"],
        ["--accept-proxy", "10.0.0.1/8"],
        ["--send-proxy", "v3"],
    ] {
        let end = harness::Program::new(crate::support::program())
            .args(flags)
            .run();
        assert_eq!(end.status.code(), Some(2), "{flags:?}");
    }
    let hand = Hand::start();
    let proxy = Proxy::with(hand.addr(), &["--accept-proxy", "any"]);
    connect_and_be_closed_after(&proxy, b"no header");
}

#[track_caller]
fn connect_and_be_closed_after(proxy: &Proxy, bytes: &[u8]) {
    let client = Client::connect(proxy.addr());
    client.send(bytes);
    client.expect_reset();
}
