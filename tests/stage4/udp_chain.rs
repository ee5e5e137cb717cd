//! Datagrams through hops: each takes its header, and puts its response in front of the answer.

use std::net::SocketAddr;

use harness::{Rng, Test};

use crate::datagrams::{ClosedPort, Datagrams, UdpEcho, send_until_dropped, wait_for_dropped};
use crate::support::Proxy;

/// Starts `count` hops that take datagrams.
#[track_caller]
fn hops(count: usize) -> Vec<Proxy> {
    (0..count)
        .map(|_| Proxy::choosing("hop", &["--udp"]))
        .collect()
}

/// The value of --chain for hops at these addresses.
fn listed(addresses: impl IntoIterator<Item = SocketAddr>) -> String {
    let texts = addresses.into_iter().map(|address| address.to_string());
    texts.collect::<Vec<_>>().join(",")
}

/// Starts the access server of a chain.
#[track_caller]
fn access_server(hops: &[SocketAddr], target: SocketAddr) -> Proxy {
    let chain = listed(hops.iter().copied());
    match hops {
        [] => Proxy::with(target, &["--udp"]),
        _ => Proxy::with(target, &["--udp", "--chain", &chain]),
    }
}

/// A request header with an IPv4 address.
pub(crate) fn header(next: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(next) = next else {
        harness::fail("the tests use IPv4 here");
    };
    let port = next.port().to_be_bytes();
    [&[1, 1], &next.ip().octets()[..], &port].concat()
}

#[test]
fn udp_chain_a_datagram_is_echoed_through_0_1_3_and_5_hops() {
    let _test = Test::begin("h1..hn and the payload go out, r1..rn and the answer come back.");
    let echo = UdpEcho::start();
    for count in [0, 1, 3, 5] {
        let hops = hops(count);
        let addresses: Vec<_> = hops.iter().map(|hop| hop.addr()).collect();
        let server = access_server(&addresses, echo.addr());
        let client = Datagrams::new();
        let bytes = Rng::for_test().bytes(9000);
        for length in [12, 0, 1400, 9000] {
            client.echoes(server.addr(), &bytes[..length]);
        }
        for hop in &hops {
            assert_eq!(hop.flows().len(), 1, "flows in the table");
        }
    }
}

#[test]
fn udp_chain_the_same_hops_serve_two_chains_at_once() {
    let _test = Test::begin("A hop keeps flows by client and target, and no order of hops.");
    let (hops, echo) = (hops(3), UdpEcho::start());
    let [a, b, c] = [0, 1, 2].map(|number: usize| hops[number].addr());
    let servers = [[a, b, c], [c, b, a]].map(|chain| access_server(&chain, echo.addr()));
    let clients = [Datagrams::new(), Datagrams::new()];
    for round in 0..3 {
        for (client, server) in clients.iter().zip(&servers) {
            client.echoes(server.addr(), &[round; 30]);
        }
    }
    for hop in &hops {
        assert_eq!(hop.flows().len(), 2, "flows in the table");
    }
}

#[test]
fn udp_chain_a_hop_strips_its_header_and_no_more() {
    let _test = Test::begin("What lies behind a header is the next hop's affair, even nothing.");
    let (hop, target) = (Proxy::choosing("hop", &["--udp"]), Datagrams::new());
    let client = Datagrams::new();
    for payload in [&b"\x01\x01not a header"[..], b""] {
        client.send(hop.addr(), &[&header(target.addr()), payload].concat());
        let (received, flow) = target.receive();
        assert_eq!(received, payload);
        target.send(flow, b"answer");
        client.expect(hop.addr(), b"\x01\x00\x00answer");
    }
    let name = [
        &b"\x01\x03\x09localhost"[..],
        &target.addr().port().to_be_bytes(),
    ]
    .concat();
    let hop = Proxy::choosing("hop", &["--udp", "--prefer", "ipv4"]);
    client.send(hop.addr(), &[&name[..], b"by name"].concat());
    assert_eq!(target.receive().0, b"by name");
}

#[test]
fn udp_chain_each_error_is_a_response_with_its_status() {
    let _test = Test::begin("Statuses 1, 2, 5 and 6: resolution, refused, not allowed, malformed.");
    let hop = Proxy::choosing("hop", &["--udp", "--deny", "127.0.0.66"]);
    let (client, closed) = (Datagrams::new(), ClosedPort::new());
    let denied: SocketAddr = "127.0.0.66:1000".parse().expect("an address");
    let name = [&b"\x01\x03\x0cname.invalid"[..], &[1, 1], b"payload"].concat();
    let table = [
        (b"".to_vec(), 6),
        (b"\x02\x01\x7f\x00\x00\x01\x00\x50".to_vec(), 6),
        (b"\x01\x01\x7f\x00".to_vec(), 6),
        (b"\x01\x07\x7f\x00\x00\x01\x00\x50".to_vec(), 6),
        (header(denied), 5),
        (header("169.254.169.254:80".parse().expect("an address")), 5),
        (header(closed.addr()), 2),
        (name, 1),
    ];
    for (datagram, status) in table {
        client.send(hop.addr(), &datagram);
        client.expect(hop.addr(), &[1, status, 0]);
    }
    wait_for_dropped(&hop, "malformed", 4.0);
    wait_for_dropped(&hop, "denied", 2.0);
    wait_for_dropped(&hop, "unresolved", 1.0);
}

#[test]
fn udp_chain_a_hop_does_not_reach_itself() {
    let _test = Test::begin("Otherwise one datagram would be sent round and round.");
    let hop = Proxy::choosing("hop", &["--udp"]);
    let client = Datagrams::new();
    client.send(
        hop.addr(),
        &[header(hop.addr()), header(hop.addr())].concat(),
    );
    client.expect(hop.addr(), &[1, 5, 0]);
}

#[test]
fn udp_chain_the_error_of_a_hop_is_counted_and_logged_with_its_reason() {
    let _test = Test::begin("The place of the first response that is no success names the hop.");
    let (hops, echo) = (hops(3), UdpEcho::start());
    let addresses: Vec<_> = hops.iter().map(|hop| hop.addr()).collect();
    let closed = ClosedPort::new();
    let dead = closed.addr();
    for (place, words) in [
        (1, "hop 1 of 3 cannot reach hop 2: connection refused"),
        (2, "hop 2 of 3 cannot reach hop 3: connection refused"),
        (3, "hop 3 of 3 cannot reach the target: connection refused"),
    ] {
        let (mut chain, mut target) = (addresses.clone(), echo.addr());
        match place {
            3 => target = dead,
            _ => chain[place] = dead,
        }
        let server = access_server(&chain, target);
        let client = Datagrams::new();
        send_until_dropped(&client, &server, b"?", "hop");
        server.wait_for_stderr(words);
        client.expect_nothing();
    }
    let server = access_server(&[dead, addresses[0]], echo.addr());
    send_until_dropped(&Datagrams::at("127.0.0.78"), &server, b"?", "refused");
}

#[test]
fn udp_chain_a_hop_that_is_none_is_dropped_and_counted() {
    let _test = Test::begin("Every answer begins with a response of every hop.");
    let first = Datagrams::new();
    let server = access_server(&[first.addr()], "127.0.0.1:9".parse().expect("an address"));
    let client = Datagrams::new();
    client.send(server.addr(), b"payload");
    let (received, flow) = first.receive();
    assert_eq!(received, b"\x01\x01\x7f\x00\x00\x01\x00\x09payload");
    for answer in [
        &b""[..],
        b"\x01\x00",
        b"\x02\x00\x00answer",
        b"\x01\x00\x09short",
        b"HTTP",
    ] {
        first.send(flow, answer);
    }
    wait_for_dropped(&server, "hop", 5.0);
    client.expect_nothing();
    first.send(flow, b"\x01\x00\x02okanswer");
    client.expect(server.addr(), b"answer");
}

#[test]
fn udp_chain_a_stranger_reaches_no_client() {
    let _test = Test::begin("The socket towards a hop is connected: the kernel drops the others.");
    let (first, stranger) = (Datagrams::new(), Datagrams::new());
    let server = access_server(&[first.addr()], "127.0.0.1:9".parse().expect("an address"));
    let client = Datagrams::new();
    client.send(server.addr(), b"payload");
    let (_, flow) = first.receive();
    stranger.send(flow, b"\x01\x00\x00forged");
    client.expect_nothing();
}
