//! How flows of datagrams end with the proxy: a signal lets those that there are go on, and no other begins.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::{Deadline, PATIENCE, Signal, Test, ensure, scaled};

use crate::datagrams::{ClosedPort, Datagrams, UdpEcho, wait_for_dropped};
use crate::support::Proxy;
use crate::udp_associate::{Association, packet};
use crate::udp_chain::header;

/// A limit that no test waits for.
const LONG: [&str; 2] = ["--drain-timeout", "60s"];
/// Longer than a silent flow lives in a drain.
const A_WHILE: Duration = Duration::from_millis(3500);

#[track_caller]
fn proxy(upstream: SocketAddr, arguments: &[&str]) -> Proxy {
    Proxy::with(upstream, &[&["--udp"], arguments].concat())
}

#[track_caller]
fn ends_with_0(proxy: &Proxy) {
    let status = proxy.wait_by(Deadline::after(PATIENCE));
    ensure(
        status.is_some_and(|status| status.code() == Some(0)),
        format!("The proxy should have ended with 0: {status:?}."),
    );
}

/// Sends a signal to end, and waits until no flow begins any more.
#[track_caller]
fn begin_a_drain(proxy: &Proxy) {
    proxy.signal(Signal::SIGTERM);
    let status = "proxy_udp_dropped_total{reason=\"draining\"}";
    harness::eventually("a new client is refused", PATIENCE, || {
        Datagrams::at("127.0.0.78").send(proxy.addr(), b"too late");
        proxy.metrics()[status] > 0.0
    });
}

#[test]
fn udp_ending_flows_go_on_in_a_drain_and_none_begins() {
    let _test = Test::begin("A call is not cut off by a signal, just as a download is not.");
    let echo = UdpEcho::start();
    // The kernel chooses among several sockets by their number: none may close before the last flow has ended.
    for threads in ["1", "3"] {
        let proxy = proxy(echo.addr(), &[&LONG[..], &["--threads", threads]].concat());
        let busy: Vec<_> = (0..8).map(|_| Datagrams::new()).collect();
        let silent: Vec<_> = (0..8).map(|_| Datagrams::new()).collect();
        for client in busy.iter().chain(&silent) {
            client.echoes(proxy.addr(), b"hello");
        }
        begin_a_drain(&proxy);
        let end = Instant::now() + scaled(A_WHILE);
        while Instant::now() < end {
            busy.iter()
                .for_each(|client| client.echoes(proxy.addr(), b"still here"));
            busy[0].expect_nothing();
        }
        // The silent ones have ended, and it is too late to begin.
        proxy.wait_for_metric("proxy_udp_flows_open", 8.0);
        silent[0].send(proxy.addr(), b"hello again");
        silent[0].expect_nothing();
        drop(busy);
        ends_with_0(&proxy);
    }
}

#[test]
fn udp_ending_silent_flows_do_not_use_up_the_limit() {
    let _test = Test::begin(
        "A flow says nothing when it is over, so that a short silence has to be enough.",
    );
    let echo = UdpEcho::start();
    let proxy = proxy(echo.addr(), &LONG);
    Datagrams::new().echoes(proxy.addr(), b"hello");
    proxy.signal(Signal::SIGTERM);
    ends_with_0(&proxy);
}

#[test]
fn udp_ending_a_question_that_waits_gets_its_answer() {
    let _test = Test::begin("The listener stays open for the answers of the flows that there are.");
    let target = Datagrams::new();
    let proxy = proxy(target.addr(), &LONG);
    let client = Datagrams::new();
    client.send(proxy.addr(), b"question");
    let (_, flow) = target.receive();
    begin_a_drain(&proxy);
    target.send(flow, b"answer");
    client.expect(proxy.addr(), b"answer");
    ends_with_0(&proxy);
}

#[test]
fn udp_ending_busy_flows_end_at_the_drain_limit_or_at_the_second_signal() {
    let _test = Test::begin(
        "--drain-timeout is the most that a signal waits, and 0s and a second signal do not wait.",
    );
    let echo = UdpEcho::start();
    for (limit, second) in [
        ("700ms", None),
        ("0s", None),
        ("60s", Some(Signal::SIGTERM)),
    ] {
        let proxy = proxy(echo.addr(), &["--drain-timeout", limit]);
        let client = Datagrams::new();
        client.echoes(proxy.addr(), b"hello");
        match second {
            None => proxy.signal(Signal::SIGTERM),
            Some(signal) => {
                // Two at once may be one for the kernel.
                begin_a_drain(&proxy);
                proxy.signal(signal);
            }
        }
        let deadline = Deadline::after(PATIENCE);
        while proxy
            .wait_by(Deadline::after(Duration::from_millis(50)))
            .is_none()
        {
            ensure(
                !deadline.passed(),
                "The flow has kept the proxy from ending.",
            );
            client.send(proxy.addr(), b"still here");
        }
        ends_with_0(&proxy);
    }
}

#[test]
fn udp_ending_a_hop_says_that_no_flow_begins() {
    let _test =
        Test::begin("Where a client has a header for it, it learns why: status 7, limit reached.");
    let echo = UdpEcho::start();
    let proxy = Proxy::choosing("hop", &[&["--udp"], &LONG[..]].concat());
    let hello = [&header(echo.addr()), &b"hello"[..]].concat();
    let client = Datagrams::new();
    client.send(proxy.addr(), &hello);
    client.expect(proxy.addr(), b"\x01\0\0hello");
    proxy.signal(Signal::SIGTERM);
    let closed = ClosedPort::new();
    harness::eventually("a new target is refused", PATIENCE, || {
        let other = Datagrams::new();
        other.send(proxy.addr(), &header(closed.addr()));
        other.receives_soon(&[1, 7, 0])
    });
    client.send(proxy.addr(), &hello);
    client.expect(proxy.addr(), b"\x01\0\0hello");
    ends_with_0(&proxy);
}

#[test]
fn udp_ending_an_association_lives_as_long_as_its_connection() {
    let _test =
        Test::begin("The TCP connection is the session, and its drain is the association's.");
    let (echo, other) = (UdpEcho::start(), UdpEcho::start());
    let hop = Proxy::choosing("hop", &["--udp"]);
    for chain in [None, Some(hop.addr().to_string())] {
        let mut words = LONG.to_vec();
        words.extend(chain.iter().flat_map(|chain| ["--chain", chain]));
        let proxy = Proxy::choosing("socks5", &words);
        let association = Association::new(&proxy);
        let client = Datagrams::new();
        client.echoes(association.socket, &packet(echo.addr(), b"hello"));
        proxy.signal(Signal::SIGTERM);
        harness::eventually("the proxy drains", PATIENCE, || {
            crate::support::listeners(proxy.addr()) == 0
        });
        for target in [&echo, &other] {
            client.echoes(association.socket, &packet(target.addr(), b"still here"));
        }
        drop(association);
        ends_with_0(&proxy);
    }
}

#[test]
fn udp_per_client_a_further_flow_of_an_address_is_refused_and_counted() {
    let _test =
        Test::begin("--max-per-client bounds the flows of an address, apart from its sessions.");
    let echo = UdpEcho::start();
    for threads in ["1", "3"] {
        let words = [
            "--max-per-client",
            "2",
            "--flow-timeout",
            "1500ms",
            "--threads",
            threads,
        ];
        let proxy = proxy(echo.addr(), &words);
        let two = [Datagrams::new(), Datagrams::new()];
        two.iter()
            .for_each(|client| client.echoes(proxy.addr(), b"hello"));
        let third = Datagrams::new();
        third.send(proxy.addr(), b"hello");
        wait_for_dropped(&proxy, "per_client", 1.0);
        Datagrams::at("127.0.0.5").echoes(proxy.addr(), b"hello");
        two.iter()
            .for_each(|client| client.echoes(proxy.addr(), b"hello"));
        third.expect_nothing();
        harness::eventually("a flow ends, and its place is free", PATIENCE, || {
            third.send(proxy.addr(), b"hello");
            third.receives_soon(b"hello")
        });
    }
}

#[test]
fn udp_per_client_targets_of_a_hop_and_of_an_association_count_as_flows() {
    let _test = Test::begin("A client must not fill the table with targets either.");
    let echoes: Vec<_> = (0..3).map(|_| UdpEcho::start()).collect();
    let hop = Proxy::choosing("hop", &["--udp", "--max-per-client", "2"]);
    let client = Datagrams::new();
    for echo in &echoes[..2] {
        let port = echo.addr().port().to_be_bytes();
        client.send(
            hop.addr(),
            &[&[1, 1, 127, 0, 0, 1][..], &port, b"hello"].concat(),
        );
        client.expect(hop.addr(), b"\x01\0\0hello");
    }
    let port = echoes[2].addr().port().to_be_bytes();
    client.send(
        hop.addr(),
        &[&[1, 1, 127, 0, 0, 1][..], &port, b"hello"].concat(),
    );
    client.expect(hop.addr(), &[1, 7, 0]);
    let hop = Proxy::choosing("hop", &["--udp"]);
    let chain = hop.addr().to_string();
    let proxy = Proxy::choosing("socks5", &["--chain", &chain, "--max-per-client", "2"]);
    let association = Association::new(&proxy);
    for echo in &echoes[..2] {
        client.echoes(association.socket, &packet(echo.addr(), b"hello"));
    }
    client.send(association.socket, &packet(echoes[2].addr(), b"hello"));
    wait_for_dropped(&proxy, "per_client", 1.0);
    drop(association);
    proxy.wait_for_metric("proxy_udp_flows_open", 0.0);
    let again = Association::new(&proxy);
    client.echoes(again.socket, &packet(echoes[2].addr(), b"hello"));
}
