//! Exercises 2.3 and 2.4: one address after the other, and a connection that is started without waiting.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use crate::support::{SHORT, connect, program};
use harness::{
    BlackHole, ClosedPort, PATIENCE, Program, Scripted, Test, ensure, eventually, expect_bytes,
    expect_value, fail, in_time, scaled, sockets,
};
use socket2::Socket;
use stage2_client::{Prefer, finish_connect, order, start_connect};

/// A refusing IPv6 address; on a machine without IPv6 one that cannot be reached, which must be skipped, too.
fn broken_ipv6() -> (Option<ClosedPort>, SocketAddr) {
    let port = ClosedPort::try_at(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0))).ok();
    let address = port.as_ref().map_or(
        SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 9)),
        ClosedPort::addr,
    );
    (port, address)
}

fn peer_of(socket: &Socket) -> Option<SocketAddr> {
    socket.peer_addr().ok()?.as_socket()
}

/// Fails unless a connect has led to `expected`; `because` says why it should.
#[track_caller]
fn leads_to(outcome: io::Result<Socket>, expected: SocketAddr, because: &str) -> Socket {
    let socket = outcome.unwrap_or_else(|error| {
        fail(format!(
            "connect should lead to {expected}, but it failed: {error}. {because}"
        ))
    });
    let peer = peer_of(&socket);
    ensure(
        peer == Some(expected),
        format!(
            "connect should lead to {expected}, but it leads to {peer:?} (None: to no address). {because}"
        ),
    );
    socket
}

#[test]
fn e23_the_first_address_that_answers_is_taken() {
    let _test = Test::begin("Return at the first success: no second connection may be made.");
    let (first, second) = (Scripted::silent(), Scripted::silent());
    let socket = leads_to(
        connect(&[first.addr(), second.addr()], PATIENCE),
        first.addr(),
        "The first of two addresses that answer is the one.",
    );
    ensure(
        !socket.nonblocking().unwrap(),
        "The socket is in non-blocking mode, in which the client's reads would fail with EAGAIN: connect_timeout switches back.",
    );
    first.wait_for_accepts(1);
    ensure(
        second.accepts() == 0,
        "The second address was connected to as well, although the first one had answered: return at the first success.",
    );
}

#[test]
fn e23_ipv6_refused_then_ipv4_works() {
    let _test = Test::begin("A refusal is no reason to give up while there is another address.");
    let (_port, broken) = broken_ipv6();
    let works = Scripted::silent();
    let outcome = connect(&[broken, works.addr()], PATIENCE);
    leads_to(outcome, works.addr(), "The address before it refuses.");
}

#[test]
fn e23_an_unreachable_address_then_one_that_works() {
    let _test = Test::begin(
        "Whatever the failure of an address is, there may be another: a machine without IPv6 has no route to any IPv6 address.",
    );
    let works = Scripted::silent();
    // connect(2) fails at once with ENETUNREACH (addresses of many machines) or EINVAL (no interface for this one).
    for broken in ["224.0.0.1:9", "[fe80::1]:9"] {
        let addresses = [broken.parse().unwrap(), works.addr()];
        let because = format!(
            "{broken} cannot be reached, and only the failure of the last address is that of connect."
        );
        leads_to(connect(&addresses, PATIENCE), works.addr(), &because);
    }
}

#[test]
fn e23_a_black_hole_then_one_that_works() {
    let _test = Test::begin("Each address has its own time limit; after it, try the next.");
    let (hole, works) = (BlackHole::start(), Scripted::silent());
    let outcome = connect(&[hole.addr(), works.addr()], scaled(SHORT));
    leads_to(outcome, works.addr(), "The address before it is silent.");
}

#[test]
fn e23_each_address_has_the_whole_time_limit() {
    let _test = Test::begin(
        "Pass the whole limit to each connect_timeout: neither what the addresses before have left, nor a share of it.",
    );
    // Four of them, so that a busy machine does not take the time that a wrong solution saves.
    let holes = [(); 4].map(|()| BlackHole::start());
    let addresses = holes.each_ref().map(BlackHole::addr);
    let (limit, begun) = (scaled(SHORT), Instant::now());
    let result = connect(&addresses, limit);
    // Only a lower bound, because a busy machine may take longer; a timer that counts in milliseconds may be a little early.
    let took = begun.elapsed();
    ensure(
        result.is_err() && took >= 4 * limit - limit / 4,
        format!(
            "Four addresses that do not answer, each with a limit of {limit:?}, should take {:?}, but they took {took:?}. The \
             last one may need as long as the first: its limit begins with its own attempt.",
            4 * limit
        ),
    );
}

#[test]
fn e23_ipv6_is_preferred_and_ipv4_on_request() {
    let _test = Test::begin("order first, then connect in that order.");
    if ClosedPort::ipv6().is_none() {
        return;
    }
    let six = Scripted::options("v6").address(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0)));
    let six = six.start(|peer| peer.expect_eof());
    let four = Scripted::silent();
    for (prefer, expected) in [(Prefer::default(), six.addr()), (Prefer::Ipv4, four.addr())] {
        let mut both = vec![four.addr(), six.addr()];
        order(&mut both, prefer);
        let because = format!("{prefer:?} is preferred, and both answer.");
        leads_to(connect(&both, PATIENCE), expected, &because);
    }
}

#[test]
fn e23_the_error_names_every_address() {
    let _test =
        Test::begin("The user needs to know which addresses were tried, and why each one failed.");
    let (refused, hole) = (ClosedPort::start(), BlackHole::start());
    let (_port, broken) = broken_ipv6();
    let all = [broken, refused.addr(), hole.addr()];
    let error = connect(&all, scaled(SHORT)).unwrap_err();
    expect_value(
        "The kind of the error of three addresses, refused, refused and silent,",
        &ErrorKind::TimedOut,
        &error.kind(),
        "it is the kind of the first failure; the last one decides.",
    );
    for address in all {
        ensure(
            error.to_string().contains(&address.to_string()),
            format!("{address} was tried, too, but the error does not name it: {error}"),
        );
    }
}

#[test]
fn e23_the_reasons_can_be_told_apart() {
    let _test =
        Test::begin("Keep the kind of the error: refused, timed out and nothing to try differ.");
    let (refused, hole) = (ClosedPort::start(), BlackHole::start());
    let kind = |address: &[SocketAddr]| connect(address, scaled(SHORT)).unwrap_err().kind();
    let table = [
        (
            "a port without a program",
            vec![refused.addr()],
            ErrorKind::ConnectionRefused,
        ),
        (
            "an address that does not answer",
            vec![hole.addr()],
            ErrorKind::TimedOut,
        ),
        ("no address at all", vec![], ErrorKind::InvalidInput),
    ];
    for (case, addresses, expected) in table {
        let cause = "every failure has got the same kind, or a new error was made without one.";
        expect_value(
            format!("The kind of the error of {case}"),
            &expected,
            &kind(&addresses),
            cause,
        );
    }
}

#[test]
fn e23_a_refusal_is_one_clear_sentence() {
    let _test = Test::begin("main prints the error of connect once and ends with 1.");
    let refused = ClosedPort::start();
    let address = refused.addr().to_string();
    let finished = Program::new(program()).arg(&address).run();
    finished
        .expect_code(1)
        .expect_one_sentence(&[&address, "connection refused"]);
    expect_bytes(
        "The standard output of a program that failed",
        b"",
        &finished.stdout,
    );
}

#[test]
fn e23_a_black_hole_ends_with_the_time_limit() {
    let _test = Test::begin(
        "--connect-timeout reaches connect; a hanging connect(2) would take two minutes.",
    );
    let hole = BlackHole::start();
    let address = hole.addr().to_string();
    let finished = Program::new(program())
        .args(["--connect-timeout", "200ms", &address])
        .run();
    finished
        .expect_code(1)
        .expect_one_sentence(&[&address, "timed out"]);
}

/// Waits until the kernel has decided about a connection that was started.
fn wait_until_decided(socket: &Socket, to: SocketAddr) {
    let local = socket
        .local_addr()
        .ok()
        .and_then(|address| address.as_socket());
    eventually("the connection is made or has failed", PATIENCE, || {
        let row = local.and_then(|local| sockets::find(local, to));
        row.is_none_or(|row| row.state != sockets::SYN_SENT)
    });
}

/// Reads the flags of a descriptor from `proc_pid_fdinfo(5)`, which writes them in octal.
fn is_close_on_exec(socket: &Socket) -> bool {
    const O_CLOEXEC: u32 = 0o2_000_000;
    let path = format!("/proc/self/fdinfo/{}", socket.as_raw_fd());
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    flags
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & O_CLOEXEC != 0)
}

#[test]
fn e24_a_started_connection_finishes() {
    let _test =
        Test::begin("Make the socket non-blocking, connect, and treat EINPROGRESS as success.");
    let works = Scripted::start("server", |peer| peer.send(b"hello"));
    let socket = start_connect(works.addr()).unwrap_or_else(|error| {
        fail(format!("start_connect failed: {error}. EINPROGRESS says that the handshake is under way, which is the good case."))
    });
    ensure(
        socket.nonblocking().unwrap(),
        "The socket blocks, and a read of it would freeze an event loop: make it with Type::STREAM.nonblocking().",
    );
    ensure(
        is_close_on_exec(&socket),
        "The socket has no FD_CLOEXEC, so a program that is started later inherits it: Socket::new sets it, new_raw does not.",
    );
    wait_until_decided(&socket, works.addr());
    if let Err(error) = finish_connect(&socket) {
        fail(format!(
            "The handshake is done, but finish_connect failed: {error}."
        ));
    }
    leads_to(
        Ok(socket),
        works.addr(),
        "finish_connect has reported success.",
    );
}

#[test]
fn e24_a_refusal_is_found_in_so_error() {
    let _test = Test::begin("Writable is not connected: SO_ERROR knows the outcome.");
    let refused = ClosedPort::start();
    // On loopback the kernel may know at once; both ways are right.
    let outcome = start_connect(refused.addr()).and_then(|socket| {
        wait_until_decided(&socket, refused.addr());
        finish_connect(&socket)
    });
    expect_value(
        "The outcome of a connection to a port without a program",
        &Err(ErrorKind::ConnectionRefused),
        &outcome.map_err(|error| error.kind()),
        "the socket is writable after a failure, too: ask SO_ERROR, and return its error.",
    );
}

#[test]
fn e24_each_failure_has_its_own_reason() {
    let _test = Test::begin(
        "The kernel hands SO_ERROR out once: a second getsockopt(2) finds 0, and the reason is lost.",
    );
    let hole = BlackHole::start();
    let socket = start_connect(hole.addr()).unwrap();
    // The kernel gives up a second later, when the first SYN would be sent again.
    let limit = Some(Duration::from_millis(300));
    socket.set_tcp_user_timeout(limit).unwrap();
    eventually("the kernel gives the connection up", PATIENCE, || {
        let local = socket.local_addr().ok();
        let local = local.and_then(|address| address.as_socket());
        let row = local.and_then(|local| sockets::find(local, hole.addr()));
        row.is_none()
    });
    expect_value(
        "The outcome of a connection that the kernel has given up",
        &Err(ErrorKind::TimedOut),
        &finish_connect(&socket).map_err(|error| error.kind()),
        "the error was taken twice, or every failure is called a refusal.",
    );
}

#[test]
fn e24_what_cannot_be_reached_is_told_at_once() {
    let _test = Test::begin(
        "Only EINPROGRESS means \"in progress\": with any other error there is nothing to wait for.",
    );
    // TCP has two ends, so connect(2) refuses addresses that mean many machines.
    for address in ["255.255.255.255:9", "224.0.0.1:9"] {
        let outcome = start_connect(address.parse().unwrap());
        let kind = outcome.err().map(|error| error.kind());
        let cause = "every error of connect(2) is taken for EINPROGRESS.";
        expect_value(
            format!("The error of start_connect to {address}"),
            &Some(ErrorKind::NetworkUnreachable),
            &kind,
            cause,
        );
    }
}

#[test]
fn e24_a_black_hole_does_not_hold_the_caller() {
    let _test = Test::begin("A blocking connect(2) here would freeze a whole event loop.");
    let hole = BlackHole::start();
    let address = hole.addr();
    let socket = in_time("start_connect", move || start_connect(address));
    ensure(
        socket.is_ok_and(|socket| socket.peer_addr().is_err()),
        "Nothing has answered yet, so start_connect returns a socket without a peer: EINPROGRESS is no error.",
    );
}
