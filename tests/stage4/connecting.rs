//! Exercise 4.6: connecting without blocking, and the fate of a client whose upstream cannot be reached (E12, E14).

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use harness::{
    BlackHole, Client, ClosedPort, PATIENCE, Program, Rng, Test, expect_bytes, expect_value, fail,
    proc, scaled,
};
use nix::errno::Errno;
use socket2::{Domain, Socket, Type};
use stage4_proxy::connect_error::ConnectError;

use crate::support::{HALF_A_SECOND, Proxy, connect_and_be_closed, program};

/// Connects to a proxy whose upstream cannot be reached: the client is closed in time, the reason reaches log
/// and metrics, and the proxy lives and rests.
#[track_caller]
fn fails(upstream: &str, reason: &str, sentence: &str) {
    let proxy = Proxy::with(upstream, &["--connect-timeout", "1s"]);
    for count in [1.0, 2.0] {
        let begun = Instant::now();
        connect_and_be_closed(proxy.addr());
        let took = begun.elapsed();
        harness::ensure(took < scaled(PATIENCE / 2), format!("It took {took:?}."));
        proxy.wait_for_metric(
            &format!("proxy_failures_total{{reason=\"{reason}\"}}"),
            count,
        );
    }
    let line = proxy.wait_for_stderr(&format!("-> {upstream}]"));
    harness::ensure(line.contains("fixed[127.0.0.1:"), line.clone());
    harness::ensure(
        line.contains(sentence),
        format!("{sentence:?} is not in {line:?}"),
    );
    proxy.wait_for_rows(0);
    let failures = proxy.routes().totals["failures"].clone();
    let all = failures.as_object().into_iter().flatten();
    let all: u64 = all.filter_map(|(_, count)| count.as_u64()).sum();
    harness::ensure(all == 2, format!("Each failure has one reason: {failures}"));
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND / 2);
    proxy.expect_alive();
}

#[test]
fn e46_a_refused_upstream_closes_the_client_at_once() {
    let _test = Test::begin("Writable is not connected: ask SO_ERROR.");
    let closed = ClosedPort::start();
    fails(&closed.addr().to_string(), "refused", "connection refused");
}

#[test]
fn e46_an_unknown_host_closes_the_client() {
    let _test = Test::begin("The resolver's error is the answer; the proxy goes on.");
    fails("nowhere.invalid:80", "resolve", "name resolution failed");
}

#[test]
fn e46_a_black_hole_closes_the_client_after_the_time_limit() {
    let _test = Test::begin("connect(2) alone would wait for minutes: a timer ends it.");
    let hole = BlackHole::start();
    fails(&hole.addr().to_string(), "timed_out", "timed out");
}

#[test]
fn e46_an_unreachable_network_closes_the_client() {
    let _test = Test::begin("connect(2) may fail at once: that is an error like any other.");
    // A broadcast address, and still of the loopback network: TCP says ENETUNREACH.
    fails("127.255.255.255:80", "unreachable", "unreachable");
}

#[test]
fn e46_any_other_failure_closes_the_client() {
    let _test = Test::begin("A failure without a name of its own is counted as \"other\".");
    // A link-local address that does not say on which link: EINVAL, or EAFNOSUPPORT without IPv6.
    fails("[fe80::1]:80", "other", "connection failed");
}

/// An address that a proxy can listen on and no other program gets: bound here, but not listening.
pub(crate) fn reserved_address() -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    let address = socket.local_addr()?.as_socket();
    Ok((socket, address.ok_or(io::ErrorKind::Other)?))
}

#[test]
fn e46_an_unknown_failure_keeps_the_kernel_s_error() {
    let _test = Test::begin(
        "Other has the error itself: its words are for the log, and its number tells that no descriptor was left.",
    );
    for errno in [Errno::EMFILE, Errno::ENFILE, Errno::EACCES] {
        let error = ConnectError::from(io::Error::from(errno));
        let ConnectError::Other(source) = error else {
            fail(format!(
                "{errno:?} is no failure of its own, but it became {error:?}."
            ));
        };
        expect_value(
            format!("The number of the error that {errno:?} has become"),
            &Some(errno as i32),
            &source.raw_os_error(),
            "a new error was made of its kind, and has neither the number nor the kernel's words.",
        );
    }
}

#[test]
fn e46_a_proxy_does_not_connect_to_itself() {
    let _test = Test::begin(
        "With --listen and --upstream the same, each session would open the next one: check before dialling.",
    );
    let (_reserved, address) = reserved_address().unwrap();
    let text = address.to_string();
    let arguments = ["--listen", &text, "--upstream", &text, "--inspect", "0"];
    let proxy = Program::new(program()).args(arguments).serve();
    let begun = Instant::now();
    connect_and_be_closed(address);
    let took = begun.elapsed();
    harness::ensure(took < scaled(PATIENCE / 2), format!("It took {took:?}."));
    proxy.wait_for_stderr("not allowed: the proxy would connect to itself");
    let warnings = proxy.stderr().matches("not allowed").count();
    harness::ensure(
        warnings == 1,
        format!("{warnings} warnings for one client."),
    );
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND / 2);
    proxy.expect_alive();
}

#[test]
fn e46_the_time_limit_is_not_shorter_than_it_says() {
    let _test = Test::begin("The deadline is counted from the start of the attempt.");
    let hole = BlackHole::start();
    let proxy = Proxy::with(hole.addr(), &["--connect-timeout", "500ms"]);
    let begun = Instant::now();
    let client = Client::connect(proxy.addr());
    client.expect_closed();
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(490), "after {took:?} already");
}

#[test]
fn e46_a_proxy_whose_upstream_comes_later() {
    let _test = Test::begin("A failure ends one session; the next client is a new attempt.");
    // Bound and not listening: every connect is refused, and no other program can take the port meanwhile.
    let upstream = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    upstream.bind(&anywhere.into()).unwrap();
    let address = upstream.local_addr().unwrap().as_socket().unwrap();
    let proxy = Proxy::to(address);
    connect_and_be_closed(proxy.addr());
    upstream.listen(8).unwrap();
    let client = Client::connect(proxy.addr());
    let (mut accepted, _) = upstream.accept().unwrap();
    accepted.write_all(b"here I am").unwrap();
    client.expect(b"here I am");
}

/// An upstream that answers no connect until the test opens it: its queue is full.
pub(crate) struct FullQueue {
    listener: Socket,
    filler: Socket,
    pub(crate) address: SocketAddr,
}

impl FullQueue {
    /// Lets `first` connections through, and fills the queue behind them.
    pub(crate) fn bind() -> io::Result<Self> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        listener.listen(0)?;
        let address = listener
            .local_addr()?
            .as_socket()
            .ok_or(io::ErrorKind::Other)?;
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        Ok(Self {
            listener,
            filler,
            address,
        })
    }

    /// Fills the queue: a backlog of 0 still takes one connection.
    pub(crate) fn fill(&self) -> io::Result<()> {
        self.filler.connect(&self.address.into())
    }

    /// Accepts the next connection, as a stream whose reads are bounded.
    pub(crate) fn accept(&self) -> io::Result<TcpStream> {
        self.listener.set_read_timeout(Some(scaled(PATIENCE)))?;
        let stream = TcpStream::from(self.listener.accept()?.0);
        stream.set_read_timeout(Some(scaled(PATIENCE)))?;
        Ok(stream)
    }
}

#[test]
fn e46_a_connect_that_takes_its_time_delays_nobody() {
    let _test = Test::begin("A connect that waits is a state of one session, not of the loop.");
    let upstream = FullQueue::bind().unwrap();
    let proxy = Proxy::with(upstream.address, &["--connect-timeout", "30s"]);
    let mut rng = Rng::for_test();
    let first = Client::connect(proxy.addr());
    let mut first_upstream = upstream.accept().unwrap();

    upstream.fill().unwrap();
    let second = Client::connect(proxy.addr());
    let (question, answer) = (rng.nonce(100), rng.nonce(100));
    second.send(&question);
    second.half_close();
    proxy.wait_for_phases(&["connecting", "relay"]);
    for _ in 0..5 {
        let nonce = rng.nonce(50);
        first.send(&nonce);
        let mut seen = vec![0; nonce.len()];
        first_upstream.read_exact(&mut seen).unwrap();
        expect_bytes("What the first upstream got", &nonce, &seen);
        first_upstream.write_all(&nonce).unwrap();
        first.expect(&nonce);
    }
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND / 2);

    // The queue has room again: the bytes of the second client and its end were kept for the upstream.
    drop(upstream.accept().unwrap());
    let mut second_upstream = upstream.accept().unwrap();
    let mut seen = Vec::new();
    second_upstream.read_to_end(&mut seen).unwrap();
    expect_bytes(
        "What the upstream got of the client that waited",
        &question,
        &seen,
    );
    second_upstream.write_all(&answer).unwrap();
    drop(second_upstream);
    assert_eq!(
        second.read_to_end(),
        answer,
        "all bytes that the second client got"
    );
}

#[test]
fn e46_a_client_that_leaves_while_its_upstream_is_being_connected() {
    let _test =
        Test::begin("No client needs that connection any more: end the session, keep the others.");
    let hole = BlackHole::start();
    let proxy = Proxy::with(hole.addr(), &["--connect-timeout", "30s"]);
    let before = proc::fd_count(proxy.pid());
    let clients: Vec<_> = (0..10).map(|_| Client::connect(proxy.addr())).collect();
    proxy.wait_for_phases(&["connecting"; 10]);
    for client in clients {
        client.reset();
    }
    proxy.wait_for_rows(0);
    proc::fds_return_to(proxy.pid(), before);
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND / 2);
}

#[test]
fn e46_a_client_that_has_ended_its_input_still_waits_for_its_upstream() {
    let _test =
        Test::begin("A FIN before the upstream is connected is no reason to give up, nor to spin.");
    let hole = BlackHole::start();
    let proxy = Proxy::with(hole.addr(), &["--connect-timeout", "3s"]);
    let client = Client::connect(proxy.addr());
    client.send(b"question");
    client.half_close();
    proxy.wait_for_phases(&["connecting"]);
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND / 2);
    client.expect_reset();
}

#[test]
fn e46_a_crowd_whose_upstream_refuses() {
    let _test =
        Test::begin("Each failure ends its own session; the log has a quota, the metrics do not.");
    let closed = ClosedPort::start();
    let proxy = Proxy::start(&Program::new(program()), closed.addr());
    let before = proc::fd_count(proxy.pid());
    for _ in 0..300 {
        connect_and_be_closed(proxy.addr());
    }
    proxy.wait_for_metric("proxy_failures_total{reason=\"refused\"}", 300.0);
    proc::fds_return_to(proxy.pid(), before);
    let lines = proxy.stderr().matches("connection refused").count();
    assert!((1..300).contains(&lines), "{lines} lines in the log");
}
