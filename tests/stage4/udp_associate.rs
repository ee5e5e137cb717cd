//! UDP ASSOCIATE (RFC 1928 section 7): whose datagrams pass, where to, and for how long.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use harness::{Client, Rng, Test, proc};

use crate::datagrams::{ClosedPort, Datagrams, UdpEcho, wait_for_dropped};
use crate::socks5::ask;
use crate::support::{HALF_A_SECOND, Proxy, in_path};

/// The port and address of a client that does not know its own.
const UNKNOWN: &str = "0.0.0.0:0";

/// Writes an address as RFC 1928 does.
fn encoded(address: SocketAddr) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    match address.ip() {
        IpAddr::V4(ip) => [&[1], &ip.octets()[..], &port].concat(),
        IpAddr::V6(ip) => [&[4], &ip.octets()[..], &port].concat(),
    }
}

/// A client's datagram to an address.
pub(crate) fn packet(target: SocketAddr, payload: &[u8]) -> Vec<u8> {
    [&[0; 3], &encoded(target)[..], payload].concat()
}

/// A client's datagram to a name.
pub(crate) fn named(name: &str, port: u16, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(name.len()).expect("a short name");
    let name = [&[0, 0, 0, 3, length], name.as_bytes()].concat();
    [&name[..], &port.to_be_bytes(), payload].concat()
}

/// An association: its connection, and where datagrams have to go.
#[derive(Debug)]
pub(crate) struct Association {
    tcp: Client,
    pub(crate) socket: SocketAddr,
}

impl Association {
    /// Asks for an association, with the client's address as far as it knows it.
    #[track_caller]
    fn open(proxy: &Proxy, hint: SocketAddr) -> Self {
        let tcp = ask(proxy, &[&[5, 3, 0], &encoded(hint)[..]].concat());
        let head = tcp.read_exact(4);
        assert_eq!(head, [5, 0, 0, 1], "granted, with an IPv4 address");
        let address: [u8; 4] = tcp.read_exact(4).try_into().expect("4 bytes");
        let port: [u8; 2] = tcp.read_exact(2).try_into().expect("2 bytes");
        let socket = SocketAddr::from((address, u16::from_be_bytes(port)));
        assert_eq!(
            socket.ip(),
            proxy.addr().ip(),
            "an address that the client can reach"
        );
        Self { tcp, socket }
    }

    /// Asks for an association without a hint.
    #[track_caller]
    pub(crate) fn new(proxy: &Proxy) -> Self {
        Self::open(proxy, UNKNOWN.parse().expect("an address"))
    }

    /// Sends a payload to an echo, and checks its answer.
    #[track_caller]
    fn echoes(&self, client: &Datagrams, target: SocketAddr, payload: &[u8]) {
        let datagram = packet(target, payload);
        client.echoes(self.socket, &datagram);
    }
}

#[track_caller]
fn proxy(arguments: &[&str]) -> Proxy {
    Proxy::choosing("socks5", arguments)
}

#[test]
fn udp_associate_datagrams_reach_targets_by_address_and_by_name() {
    let _test = Test::begin("Each datagram names its target, and each answer its sender.");
    let (proxy, echoes) = (
        proxy(&["--prefer", "ipv4"]),
        [UdpEcho::start(), UdpEcho::start()],
    );
    let (association, client) = (Association::new(&proxy), Datagrams::new());
    for length in [0, 12, 9000, 60_000] {
        let payload = Rng::for_test().bytes(length);
        for echo in &echoes {
            association.echoes(&client, echo.addr(), &payload);
        }
    }
    for name in ["localhost", "LOCALHOST", "127.0.0.1"] {
        client.send(
            association.socket,
            &named(name, echoes[0].addr().port(), b"by name"),
        );
        client.expect(association.socket, &packet(echoes[0].addr(), b"by name"));
    }
    proxy.wait_for_phases(&["associated"]);
}

#[test]
fn udp_associate_targets_with_ipv6_addresses_are_reached() {
    let _test = Test::begin("One socket for each family, opened with its first datagram.");
    let (proxy, four, six) = (proxy(&[]), UdpEcho::start(), UdpEcho::at("::1"));
    let (association, client) = (Association::new(&proxy), Datagrams::new());
    for echo in [&four, &six, &four] {
        association.echoes(&client, echo.addr(), b"hello");
    }
}

#[test]
fn udp_associate_all_targets_see_one_address() {
    let _test = Test::begin("RFC 4787 REQ-1: the mapping does not depend on the target.");
    let (proxy, client) = (proxy(&[]), Datagrams::new());
    let association = Association::new(&proxy);
    let targets = [Datagrams::new(), Datagrams::new()];
    let seen = targets.each_ref().map(|target| {
        client.send(association.socket, &packet(target.addr(), b"?"));
        target.receive().1
    });
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn udp_associate_strangers_may_not_send() {
    let _test = Test::begin(
        "The source is the TCP peer's address, and the first valid datagram fixes the port.",
    );
    let (proxy, echo) = (proxy(&[]), UdpEcho::start());
    let association = Association::new(&proxy);
    let elsewhere = Datagrams::at("127.0.0.5");
    elsewhere.send(
        association.socket,
        &packet(echo.addr(), b"from another address"),
    );
    let garbage = Datagrams::new();
    garbage.send(association.socket, b"no header");
    wait_for_dropped(&proxy, "malformed", 1.0);
    wait_for_dropped(&proxy, "client", 1.0);
    let (client, late) = (Datagrams::new(), Datagrams::new());
    association.echoes(&client, echo.addr(), b"first valid");
    late.send(association.socket, &packet(echo.addr(), b"another port"));
    late.expect_nothing();
    elsewhere.expect_nothing();
    association.echoes(&client, echo.addr(), b"still the client's");
    proxy.wait_for_metric("proxy_udp_datagrams_total{direction=\"up\"}", 2.0);
}

#[test]
fn udp_associate_a_hint_fixes_the_port_if_the_address_is_the_client_s() {
    let _test = Test::begin("Some clients put zeros or their target there: those are no hints.");
    let (proxy, echo) = (proxy(&[]), UdpEcho::start());
    let (client, other) = (Datagrams::new(), Datagrams::new());
    let association = Association::open(&proxy, client.addr());
    other.send(association.socket, &packet(echo.addr(), b"?"));
    wait_for_dropped(&proxy, "client", 1.0);
    association.echoes(&client, echo.addr(), b"!");
    for hint in ["192.0.2.1:53", "0.0.0.0:9", "[::]:0"] {
        let association = Association::open(&proxy, hint.parse().expect("an address"));
        association.echoes(&other, echo.addr(), b"!");
    }
}

#[test]
fn udp_associate_one_bad_datagram_costs_itself() {
    let _test = Test::begin("A fragment, a wrong header and a closed port end nothing.");
    let (proxy, echo) = (proxy(&[]), UdpEcho::start());
    let (association, client) = (Association::new(&proxy), Datagrams::new());
    association.echoes(&client, echo.addr(), b"before");
    let good = packet(echo.addr(), b"payload");
    let fragment = [&[0, 0, 1], &good[3..]].concat();
    let reserved = [&[0, 1, 0], &good[3..]].concat();
    for bad in [&fragment[..], &reserved, &good[..7], b"", &[0, 0, 0, 9]] {
        client.send(association.socket, bad);
    }
    let closed = ClosedPort::new();
    client.send(
        association.socket,
        &packet(closed.addr(), b"is there a listener?"),
    );
    association.echoes(&client, echo.addr(), b"after");
    wait_for_dropped(&proxy, "fragment", 1.0);
    wait_for_dropped(&proxy, "malformed", 4.0);
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND);
}

#[test]
fn udp_associate_each_datagram_is_judged() {
    let _test = Test::begin("Allowed for the request is not allowed for the next datagram.");
    let (proxy, echo) = (proxy(&["--deny", "127.0.0.66"]), UdpEcho::start());
    let forbidden = Datagrams::at("127.0.0.66");
    let (association, client) = (Association::new(&proxy), Datagrams::new());
    association.echoes(&client, echo.addr(), b"allowed");
    client.send(
        association.socket,
        &packet(forbidden.addr(), b"not allowed"),
    );
    client.send(
        association.socket,
        &named("127.0.0.66", forbidden.addr().port(), b"nor so"),
    );
    let metadata = "169.254.169.254:80".parse().expect("an address");
    client.send(association.socket, &packet(metadata, b"not allowed"));
    client.send(
        association.socket,
        &packet(proxy.addr(), b"the proxy itself"),
    );
    wait_for_dropped(&proxy, "denied", 4.0);
    association.echoes(&client, echo.addr(), b"allowed again");
    forbidden.expect_nothing();
}

#[test]
fn udp_associate_a_third_address_does_not_reach_the_client() {
    let _test = Test::begin("Only a receiver may answer, except with --udp-filter endpoint.");
    for (filter, admitted) in [("address", false), ("endpoint", true)] {
        let proxy = proxy(&["--udp-filter", filter]);
        let (target, stranger) = (Datagrams::new(), Datagrams::at("127.0.0.9"));
        let (association, client) = (Association::new(&proxy), Datagrams::new());
        client.send(association.socket, &packet(target.addr(), b"?"));
        let (_, upstream) = target.receive();
        let upstream = SocketAddr::from(([127, 0, 0, 1], upstream.port()));
        stranger.send(upstream, b"stranger");
        if admitted {
            client.expect(association.socket, &packet(stranger.addr(), b"stranger"));
        } else {
            client.expect_nothing();
        }
    }
}

#[test]
fn udp_associate_lives_as_long_as_its_connection() {
    let _test = Test::begin("The sockets are gone with the connection, and not before.");
    let (proxy, echo) = (proxy(&["--idle-timeout", "200ms"]), UdpEcho::start());
    let before = proc::fd_count(proxy.pid());
    let mut all: Vec<_> = (0..20)
        .map(|_| (Association::new(&proxy), Datagrams::new()))
        .collect();
    for (association, client) in &all {
        association.echoes(client, echo.addr(), b"hello");
    }
    let (association, client) = all.remove(0);
    // Bytes on the connection mean nothing, and silence is no reason to end.
    association.tcp.send(&[0; 1000]);
    std::thread::sleep(harness::scaled(HALF_A_SECOND));
    association.echoes(&client, echo.addr(), b"still there");
    proxy.wait_for_rows(20);
    drop(all);
    proxy.wait_for_rows(1);
    association.tcp.close();
    proc::fds_return_to(proxy.pid(), before);
    client.send(association.socket, &packet(echo.addr(), b"too late"));
    client.expect_nothing();
}

#[test]
fn udp_associate_sockets_are_bounded_and_given_back() {
    let _test = Test::begin("--max-flows bounds the sockets of associations, too.");
    let (proxy, echo) = (proxy(&["--max-flows", "1"]), UdpEcho::start());
    let (first, second) = (Association::new(&proxy), Association::new(&proxy));
    let clients = [Datagrams::new(), Datagrams::new()];
    first.echoes(&clients[0], echo.addr(), b"has the socket");
    clients[1].send(second.socket, &packet(echo.addr(), b"has none"));
    wait_for_dropped(&proxy, "limit", 1.0);
    first.echoes(&clients[0], echo.addr(), b"still has it");
    first.tcp.close();
    proxy.wait_for_rows(1);
    second.echoes(&clients[1], echo.addr(), b"has it now");
}

#[test]
fn udp_associate_goes_through_a_chain() {
    let _test = Test::begin("Through hops, each target has a flow of its own.");
    let hops = [0, 1].map(|_| Proxy::choosing("hop", &["--udp", "--prefer", "ipv4"]));
    let chain = format!("{},{}", hops[0].addr(), hops[1].addr());
    let (proxy, echoes) = (
        proxy(&["--chain", &chain]),
        [UdpEcho::start(), UdpEcho::start()],
    );
    let (association, client) = (Association::new(&proxy), Datagrams::new());
    for payload in [&b"hello"[..], b"", b"again"] {
        for echo in &echoes {
            association.echoes(&client, echo.addr(), payload);
        }
    }
    let datagram = named("localhost", echoes[0].addr().port(), b"by name");
    client.echoes(association.socket, &datagram);
    proxy.wait_for_metric("proxy_udp_flows_open", 3.0);
    association.tcp.close();
    proxy.wait_for_metric("proxy_udp_flows_open", 0.0);
}

#[test]
fn udp_associate_a_client_in_python() {
    let _test = Test::begin("Plain sockets of another language.");
    let Some(python) = in_path("python3") else {
        return;
    };
    let (proxy, echo) = (proxy(&[]), UdpEcho::start());
    let script = r"
import socket, struct, sys
proxy, target = int(sys.argv[1]), int(sys.argv[2])
tcp = socket.create_connection(('127.0.0.1', proxy))
tcp.sendall(b'\x05\x01\x00')
assert tcp.recv(2) == b'\x05\x00'
tcp.sendall(b'\x05\x03\x00\x01' + bytes(6))
reply = tcp.recv(10)
assert reply[:4] == b'\x05\x00\x00\x01', reply
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.settimeout(20)
where = (socket.inet_ntoa(reply[4:8]), struct.unpack('!H', reply[8:])[0])
head = b'\x00\x00\x00\x01' + socket.inet_aton('127.0.0.1') + struct.pack('!H', target)
for number in range(100):
    udp.sendto(head + b'datagram %d' % number, where)
    answer, sender = udp.recvfrom(65535)
    assert sender == where and answer == head + b'datagram %d' % number, answer
print('ok')
";
    assert_eq!(run(&python, script, &proxy, &echo), "ok\n");
}

#[test]
fn udp_associate_a_client_with_pysocks() {
    let _test = Test::begin("A library that its users install to get through a proxy.");
    let Some(python) = in_path("python3") else {
        return;
    };
    let (proxy, echo) = (proxy(&[]), UdpEcho::start());
    let script = r"
import socket, sys
try:
    import socks
except ImportError:
    print('skipped: PySocks is not installed')
    sys.exit()
udp = socks.socksocket(socket.AF_INET, socket.SOCK_DGRAM)
udp.set_proxy(socks.SOCKS5, '127.0.0.1', int(sys.argv[1]))
udp.settimeout(20)
target = ('127.0.0.1', int(sys.argv[2]))
for number in range(10):
    udp.sendto(b'datagram %d' % number, target)
    answer, sender = udp.recvfrom(65535)
    assert (answer, sender) == (b'datagram %d' % number, target), (answer, sender)
print('ok')
";
    let printed = run(&python, script, &proxy, &echo);
    let expected = ["ok\n", "skipped: PySocks is not installed\n"];
    assert!(expected.contains(&&*printed), "{printed}");
}

/// Runs a script with the ports of a proxy and of an echo, and returns what it printed.
#[track_caller]
fn run(python: &Path, script: &str, proxy: &Proxy, echo: &UdpEcho) -> String {
    let ports = [proxy.addr().port(), echo.addr().port()].map(|port| port.to_string());
    let mut command = Command::new(python);
    let output = command.arg("-c").arg(script).args(ports).output();
    let output = output.expect("python3 runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    harness::ensure(
        output.status.success(),
        format!("The script fails: {errors}"),
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
