//! Datagrams through the fixed ingress: flows, their bounds, which senders may answer, and where answers come from.

use std::net::SocketAddr;

use harness::{Client, Program, Rng, Scripted, Test, proc};

use crate::datagrams::{
    ClosedPort, Datagrams, LARGEST, UdpEcho, send_until_dropped, wait_for_dropped,
};
use crate::redirect::in_an_own_network;
use crate::support::{HALF_A_SECOND, Proxy, echoes, program};

/// Starts a proxy with --udp to an upstream.
#[track_caller]
fn proxy(upstream: SocketAddr, arguments: &[&str]) -> Proxy {
    Proxy::with(upstream, &[&["--udp"], arguments].concat())
}

#[test]
fn udp_a_datagram_and_its_answer_pass() {
    let _test = Test::begin("A flow is a client's address, and a socket of its own to the target.");
    let echo = UdpEcho::start();
    let proxy = proxy(echo.addr(), &[]);
    let clients = [Datagrams::new(), Datagrams::new()];
    for round in 0..3_u8 {
        for (number, client) in (0..).zip(&clients) {
            client.echoes(proxy.addr(), &[round, number]);
        }
    }
    let flows = proxy.flows();
    assert_eq!(flows.len(), 2, "one flow for each client: {flows:?}");
    for client in &clients {
        let flow = flows.iter().find(|flow| flow.client == Some(client.addr()));
        let flow = flow.expect("the flow of this client");
        assert_eq!((flow.datagrams_up, flow.datagrams_down), (3, 3));
        assert_eq!(flow.target, echo.addr().to_string());
    }
    proxy.wait_for_metric("proxy_udp_flows_total", 2.0);
    proxy.wait_for_metric("proxy_udp_datagrams_total{direction=\"up\"}", 6.0);
    proxy.wait_for_metric("proxy_udp_datagrams_total{direction=\"down\"}", 6.0);
}

#[test]
fn udp_lives_beside_tcp_at_the_same_port() {
    let _test = Test::begin("Ports of TCP and UDP are different things with equal numbers.");
    let (echo, scripted) = (UdpEcho::start(), Scripted::echo());
    let proxy = proxy(echo.addr(), &[]);
    Datagrams::new().echoes(proxy.addr(), b"a datagram");
    drop(proxy);
    let proxy = Proxy::with(scripted.addr(), &["--udp"]);
    echoes(&Client::connect(proxy.addr()));
}

#[test]
fn udp_lengths_are_kept_from_nothing_to_the_largest() {
    let _test = Test::begin("A datagram of no bytes is a datagram, and one of 65,507 comes whole.");
    let echo = UdpEcho::start();
    for filter in ["address", "port"] {
        let proxy = proxy(echo.addr(), &["--udp-filter", filter]);
        let client = Datagrams::new();
        let bytes = Rng::for_test().bytes(LARGEST);
        for length in [0, 1, 1472, 9000, LARGEST] {
            client.echoes(proxy.addr(), &bytes[..length]);
        }
    }
}

#[test]
fn udp_a_burst_keeps_its_order() {
    let _test = Test::begin("Batches are sorted by flow, and stay in their order within it.");
    let echo = UdpEcho::start();
    let proxy = proxy(echo.addr(), &[]);
    let clients: Vec<_> = (0..4).map(|_| Datagrams::new()).collect();
    for number in 0..50_u8 {
        clients
            .iter()
            .for_each(|client| client.send(proxy.addr(), &[number]));
    }
    for client in &clients {
        (0..50_u8).for_each(|number| client.expect(proxy.addr(), &[number]));
    }
}

#[test]
fn udp_answers_leave_from_the_address_that_was_asked() {
    let _test = Test::begin(
        "A listener on every address is told which one a datagram was sent to (IP_PKTINFO).",
    );
    let echo = UdpEcho::start();
    let program = Program::new(program()).args(["--udp", "--listen", "0.0.0.0:0"]);
    let server = program
        .args(["--upstream", &echo.addr().to_string()])
        .serve();
    let client = Datagrams::new();
    for ip in ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.2"] {
        let through = SocketAddr::new(ip.parse().expect("an address"), server.addr().port());
        client.echoes(through, ip.as_bytes());
    }
}

#[test]
fn udp_each_filter_admits_its_senders() {
    let _test = Test::begin("RFC 4787 REQ-8: by default, other ports of the target may answer.");
    for (filter, other_port, stranger) in [
        ("address", true, false),
        ("port", false, false),
        ("endpoint", true, true),
    ] {
        let target = Datagrams::new();
        let proxy = proxy(target.addr(), &["--udp-filter", filter]);
        let client = Datagrams::new();
        client.send(proxy.addr(), b"question");
        let (_, flow) = target.receive();
        for (sender, admitted) in [
            (Datagrams::new(), other_port),
            (Datagrams::at("127.0.0.9"), stranger),
        ] {
            sender.send(SocketAddr::new(target.addr().ip(), flow.port()), b"answer");
            if admitted {
                client.expect(proxy.addr(), b"answer");
            } else {
                client.expect_nothing();
            }
        }
        target.send(flow, b"the target's");
        client.expect(proxy.addr(), b"the target's");
        if filter == "address" {
            wait_for_dropped(&proxy, "stranger", 1.0);
        }
    }
}

#[test]
fn udp_a_closed_port_ends_no_flow() {
    let _test = Test::begin("An ICMP message is about a datagram, and the next one may arrive.");
    for filter in ["address", "port"] {
        let target = ClosedPort::new();
        let proxy = proxy(target.addr(), &["--udp-filter", filter]);
        let client = Datagrams::new();
        for _ in 0..3 {
            send_until_dropped(&client, &proxy, b"is there a listener?", "refused");
        }
        let socket = target.open();
        harness::eventually("a datagram arrives", harness::PATIENCE, || {
            client.send(proxy.addr(), b"now there is");
            socket.set_nonblocking(true).expect("a socket");
            let mut bytes = [0; 64];
            let received = socket.recv_from(&mut bytes);
            received.is_ok_and(|(length, _)| &bytes[..length] == b"now there is")
        });
        assert_eq!(proxy.flows().len(), 1, "flows in the table");
        proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND);
    }
}

#[test]
fn udp_the_table_is_bounded_for_ten_thousand_sources() {
    let _test =
        Test::begin("A new flow takes the place of the one that was used the longest time ago.");
    let echo = UdpEcho::start();
    let proxy = proxy(echo.addr(), &["--max-flows", "100"]);
    let before = proc::fd_count(proxy.pid());
    let first = Datagrams::new();
    first.echoes(proxy.addr(), b"first");
    for _ in 0..200 {
        for _ in 0..50 {
            // At an address of their own: the answers must not reach a socket of another test that gets the port.
            Datagrams::at("127.0.0.78").send(proxy.addr(), b"?");
        }
        // Used all the time, and so never the one to go.
        first.echoes(proxy.addr(), b"first");
    }
    assert!(proc::fd_count(proxy.pid()) <= before + 100);
    let metrics = proxy.metrics();
    assert_eq!(
        metrics["proxy_udp_flows_open"], 100.0,
        "proxy_udp_flows_open"
    );
    let flows = metrics["proxy_udp_flows_total"];
    assert_eq!(
        metrics["proxy_udp_evictions_total"],
        flows - 100.0,
        "proxy_udp_evictions_total"
    );
    assert!(flows > 5000.0, "{flows} flows");
    let survivor = proxy
        .flows()
        .into_iter()
        .find(|flow| flow.client == Some(first.addr()));
    assert_eq!(survivor.expect("the first flow").datagrams_up, 201);
}

#[test]
fn udp_flows_end_in_time_and_give_their_sockets_back() {
    let _test = Test::begin("Datagrams have no end, so that a flow needs a deadline.");
    let echo = UdpEcho::start();
    let proxy = proxy(echo.addr(), &["--flow-timeout", "300ms"]);
    let before = proc::fd_count(proxy.pid());
    let clients: Vec<_> = (0..50).map(|_| Datagrams::new()).collect();
    for client in &clients {
        client.echoes(proxy.addr(), b"!");
    }
    proxy.wait_for_metric("proxy_udp_flows_open", 0.0);
    proc::fds_return_to(proxy.pid(), before);
    clients[0].echoes(proxy.addr(), b"again");
}

#[test]
fn udp_memory_returns_after_ten_thousand_sources_several_times() {
    let _test = Test::begin(
        "What a flow has, it gives back: memory grows with the flows at one time, not with all.",
    );
    // An answer to a flow that has ended reaches the next owner of its port, so only the questions are answered.
    let echo = UdpEcho::of_at_most(1, "127.0.0.1");
    let proxy = proxy(
        echo.addr(),
        &["--max-flows", "1000", "--flow-timeout", "1s"],
    );
    let first = proc::private_kib(proxy.pid());
    let mut after = Vec::new();
    for round in 1..=4 {
        for _ in 0..100 {
            for _ in 0..100 {
                Datagrams::at("127.0.0.79").send(proxy.addr(), &[7; 100]);
            }
            // Its answer says that the proxy has kept up; a flow may end before it comes on a busy machine.
            let last = Datagrams::new();
            harness::eventually("the proxy has kept up", harness::PATIENCE, || {
                last.send(proxy.addr(), b"?");
                last.receives_soon(b"?")
            });
        }
        let flows = proxy.metrics()["proxy_udp_flows_total"];
        assert!(flows > 9000.0 * f64::from(round), "{flows} flows");
        proxy.wait_for_metric("proxy_udp_flows_open", 0.0);
        after.push(proc::private_kib(proxy.pid()));
    }
    // The table keeps the rows of 1,000 flows, a few hundred bytes each, and the batch some pages.
    assert!(after[0] < first + 4096, "{first} KiB, then {after:?}");
    assert!(after[3] < after[0] + 512, "{first} KiB, then {after:?}");
}

/// Lets the kernel choose among these ports only.
fn choose_ports(first: u16, last: u16) {
    let file = "/proc/sys/net/ipv4/ip_local_port_range";
    let written = std::fs::write(file, format!("{first} {last}"));
    written.unwrap_or_else(|error| harness::fail(format!("{file}: {error}")));
}

#[test]
fn udp_an_answer_that_comes_back_goes_no_further() {
    in_an_own_network("udp::udp_an_answer_that_comes_back_goes_no_further", || {
        let _test = Test::begin(
            "A client is gone, and the kernel gives its port to the flow: the answer that is sent to the client reaches \
             the flow, which must not send it to the client again.",
        );
        let target = Datagrams::new();
        let proxy = proxy(target.addr(), &["--flow-timeout", "2s"]);
        let client = Datagrams::at("127.0.0.79");
        let port = client.addr().port();
        proxy.stop();
        client.send(proxy.addr(), b"question");
        drop(client);
        choose_ports(port, port);
        proxy.cont();
        let (_, flow) = target.receive();
        choose_ports(32_768, 60_999);
        assert_eq!(flow.port(), port, "the client's port is the flow's");
        target.send(flow, b"answer");
        wait_for_dropped(&proxy, "stranger", 1.0);
        proxy.wait_for_metric("proxy_udp_datagrams_total{direction=\"down\"}", 1.0);
        proxy.wait_for_metric("proxy_udp_flows_open", 0.0);
    });
}

#[test]
fn udp_has_no_proxy_protocol() {
    let _test = Test::begin(
        "--accept-proxy and --send-proxy are about connections: a datagram is passed as it is.",
    );
    let echo = UdpEcho::start();
    let words = [
        "--accept-proxy",
        "127.0.0.0/8",
        "--send-proxy",
        "v2",
        "--clients",
        "127.0.0.7",
    ];
    let proxy = proxy(echo.addr(), &words);
    let header = b"PROXY TCP4 127.0.0.7 127.0.0.1 1 2\r\nhello";
    Datagrams::at("127.0.0.7").echoes(proxy.addr(), header);
    // Its peer may speak for clients of connections, and is no client itself.
    Datagrams::at("127.0.0.8").send(proxy.addr(), header);
    wait_for_dropped(&proxy, "client", 1.0);
}

#[test]
fn udp_a_name_is_resolved_while_datagrams_wait() {
    let _test = Test::begin("The loop never blocks: four datagrams wait for the address.");
    let echo = UdpEcho::start();
    let proxy = Proxy::with(
        format_args!("localhost:{}", echo.addr().port()),
        &["--udp", "--prefer", "ipv4"],
    );
    let client = Datagrams::new();
    client.send(proxy.addr(), b"one");
    client.send(proxy.addr(), b"two");
    client.expect(proxy.addr(), b"one");
    client.expect(proxy.addr(), b"two");
}

#[test]
fn udp_the_next_address_is_tried_after_a_closed_port() {
    let _test = Test::begin("localhost may have ::1 first, and a server that has only 127.0.0.1.");
    let echo = UdpEcho::start();
    let proxy = Proxy::with(
        format_args!("localhost:{}", echo.addr().port()),
        &["--udp", "--prefer", "ipv6"],
    );
    let client = Datagrams::new();
    harness::eventually("an answer comes", harness::PATIENCE, || {
        client.send(proxy.addr(), b"hello");
        client.receives_soon(b"hello")
    });
}

#[test]
fn udp_clients_that_may_not_come_get_nothing() {
    let _test = Test::begin("--clients holds for each datagram, because there is no accept.");
    let echo = UdpEcho::start();
    let proxy = proxy(echo.addr(), &["--clients", "127.0.0.7"]);
    let (stranger, client) = (Datagrams::new(), Datagrams::at("127.0.0.7"));
    stranger.send(proxy.addr(), b"?");
    wait_for_dropped(&proxy, "client", 1.0);
    client.echoes(proxy.addr(), b"!");
    assert_eq!(proxy.flows().len(), 1, "flows in the table");
}

#[test]
fn udp_several_threads_share_the_port() {
    let _test = Test::begin("SO_REUSEPORT: the kernel keeps the datagrams of a client together.");
    let echo = UdpEcho::start();
    let proxy = proxy(echo.addr(), &["--threads", "3"]);
    let clients: Vec<_> = (0..30).map(|_| Datagrams::new()).collect();
    for round in 0..3_u8 {
        clients
            .iter()
            .for_each(|client| client.echoes(proxy.addr(), &[round]));
    }
    proxy.wait_for_metric("proxy_udp_flows_total", 30.0);
    assert_eq!(proxy.flows().len(), 30, "flows in the table");
}

#[test]
fn udp_a_port_in_use_is_an_error_at_the_start() {
    let _test =
        Test::begin("SO_REUSEADDR would let two programs share the port of a datagram socket.");
    let taken = Datagrams::new();
    let listen = taken.addr().to_string();
    let program = Program::new(program()).args(["--udp", "--listen", &listen]);
    let finished = program.run();
    finished.expect_code(1);
    finished.expect_one_sentence(&["address already in use", &listen]);
}

#[test]
fn udp_is_for_ingresses_that_can_say_where_a_datagram_goes() {
    let _test = Test::begin("HTTP has no words for datagrams, and SOCKS5 asks for them itself.");
    for ingress in ["http", "socks5"] {
        let program = Program::new(program()).args(["--udp", "--ingress", ingress]);
        let finished = program.run();
        finished.expect_code(2);
        assert!(finished.stderr.contains("--udp"), "{}", finished.stderr);
    }
}
