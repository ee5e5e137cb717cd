//! Black-box tests of stage 2: a TCP client that resolves, connects and converses.
//!
//! The name of each test begins with its exercise: `cargo test -p stage2-client e23` grades exercise 2.3.
//! Where addresses must be injected (`localhost` may have one family only), the library is tested.

use std::io::{self, Cursor, ErrorKind, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use harness::{
    BlackHole, ClosedPort, Digest, Gate, PATIENCE, Peer, Process, Program, Rng, Scripted, Sink,
    Test, eventually, in_time, lines, proc, scaled, sockets,
};
use socket2::Socket;
use stage2_client::{
    Host, Prefer, Target, converse, finish_connect, order, resolve, start_connect,
};

const HALF_A_SECOND: Duration = Duration::from_millis(500);
/// Short enough to wait for, long enough for every loopback connect.
const SHORT: Duration = Duration::from_millis(300);

fn program() -> PathBuf {
    harness::bin!("stage2-client")
}

/// Starts the client with a pipe as its input.
fn client(target: SocketAddr) -> Process {
    Program::new(program())
        .arg(target.to_string())
        .with_stdin()
        .spawn()
}

// ---- exercise 2.1: Target ----

fn parse(text: &str) -> Option<Target> {
    text.parse().ok()
}

fn named(name: &str, port: u16) -> Option<Target> {
    Some(Target {
        host: Host::Name(name.to_owned()),
        port,
    })
}

fn at(address: &str, port: u16) -> Option<Target> {
    let address: IpAddr = address.parse().ok()?;
    Some(Target {
        host: Host::Address(address),
        port,
    })
}

#[test]
fn e21_a_target_is_a_host_and_a_port() {
    let _test = Test::begin("Split at the last colon; brackets mark an IPv6 address.");
    assert_eq!(parse("localhost:8080"), named("localhost", 8080));
    assert_eq!(parse("a.b-c.example:1"), named("a.b-c.example", 1));
    assert_eq!(parse("127.0.0.1:65535"), at("127.0.0.1", 65535));
    assert_eq!(parse("[::1]:80"), at("::1", 80));
    assert_eq!(parse("[2001:db8::7]:443"), at("2001:db8::7", 443));
}

#[test]
fn e21_a_target_prints_as_it_is_written() {
    let _test =
        Test::begin("Display is the opposite of FromStr: an IPv6 address needs its brackets.");
    for text in [
        "localhost:8080",
        "127.0.0.1:1",
        "[::1]:80",
        "[2001:db8::7]:443",
    ] {
        assert_eq!(
            parse(text).map(|target| target.to_string()).as_deref(),
            Some(text)
        );
    }
}

#[test]
fn e21_what_is_no_target_is_refused() {
    let _test = Test::begin("Say what is missing: the port, the host, the brackets.");
    let wrong = [
        "",
        "localhost",
        ":80",
        "localhost:",
        "localhost:0x50",
        "localhost:65536",
        "::1:80",
        "[::1]",
        "[::1:80",
    ];
    for text in wrong {
        assert!(
            text.parse::<Target>().is_err(),
            "{text:?} should be refused"
        );
    }
}

#[test]
fn e21_malformed_arguments_end_with_2() {
    let _test =
        Test::begin("clap checks the arguments, Target among them, before anything else happens.");
    let wrong: [&[&str]; 7] = [
        &["localhost"],
        &["localhost:99999"],
        &["::1:80"],
        &["localhost:80", "surplus"],
        &["--prefer", "ipv5", "localhost:80"],
        &["--connect-timeout", "soon", "localhost:80"],
        &["--conect-timeout", "5s", "localhost:80"],
    ];
    for arguments in wrong {
        let finished = Program::new(program()).args(arguments).run();
        finished.expect_code(2);
        assert!(
            !finished.stderr.is_empty(),
            "{arguments:?} needs an explanation"
        );
    }
}

#[test]
fn e21_help_names_the_flags_and_their_defaults() {
    let _test = Test::begin("--help comes from the documentation of the arguments.");
    let finished = Program::new(program()).arg("--help").run();
    let help = String::from_utf8_lossy(&finished.expect_code(0).stdout).into_owned();
    for word in [
        "localhost:8080",
        "--prefer",
        "ipv6",
        "ipv4",
        "--connect-timeout",
        "5s",
    ] {
        assert!(help.contains(word), "{word} is missing in {help}");
    }
}

// ---- exercise 2.2: order and resolve ----

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

#[test]
fn e22_the_preferred_family_comes_first() {
    let _test = Test::begin("A stable sort by family keeps the resolver's order within each.");
    let mixed = [
        "192.0.2.2:1",
        "[2001:db8::2]:1",
        "192.0.2.1:1",
        "[2001:db8::1]:1",
    ];
    let mut found = addresses(&mixed);
    order(&mut found, Prefer::default());
    assert_eq!(
        found,
        addresses(&[
            "[2001:db8::2]:1",
            "[2001:db8::1]:1",
            "192.0.2.2:1",
            "192.0.2.1:1"
        ])
    );
    let mut found = addresses(&mixed);
    order(&mut found, Prefer::Ipv4);
    assert_eq!(
        found,
        addresses(&[
            "192.0.2.2:1",
            "192.0.2.1:1",
            "[2001:db8::2]:1",
            "[2001:db8::1]:1"
        ])
    );
}

#[test]
fn e22_an_address_needs_no_lookup() {
    let _test = Test::begin("A target that is an address already is its own answer.");
    for text in ["192.0.2.7:80", "[2001:db8::7]:443"] {
        let target: Target = text.parse().unwrap();
        assert_eq!(resolve(&target, Prefer::Ipv4).unwrap(), addresses(&[text]));
    }
}

#[test]
fn e22_localhost_is_this_machine() {
    let _test = Test::begin("Ask getaddrinfo(3), and keep the port of the target.");
    let target: Target = "localhost:4711".parse().unwrap();
    let found = resolve(&target, Prefer::Ipv6).unwrap();
    assert!(!found.is_empty());
    assert!(
        found
            .iter()
            .all(|address| address.ip().is_loopback() && address.port() == 4711),
        "{found:?}"
    );
}

#[test]
fn e22_an_unknown_host_is_one_clear_sentence() {
    let _test =
        Test::begin("The error of resolve names the host; main prints it once and ends with 1.");
    // .invalid never exists (RFC 6761).
    let finished = Program::new(program()).arg("no-such-host.invalid:80").run();
    finished
        .expect_code(1)
        .expect_one_sentence(&["no-such-host.invalid"]);
    let target: Target = "no-such-host.invalid:80".parse().unwrap();
    assert_eq!(
        resolve(&target, Prefer::Ipv6).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

// ---- exercise 2.3: connect ----

/// A refusing IPv6 address; on a machine without IPv6 one that cannot be reached, which must be passed over, too.
fn broken_ipv6() -> (Option<ClosedPort>, SocketAddr) {
    let port = ClosedPort::try_at(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0))).ok();
    let address = port.as_ref().map_or(
        SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 9)),
        ClosedPort::addr,
    );
    (port, address)
}

/// Calls the function under test; a wrong one may hang for minutes.
fn connect(addresses: &[SocketAddr], timeout: Duration) -> io::Result<Socket> {
    let addresses = addresses.to_vec();
    in_time("connect", move || {
        stage2_client::connect(&addresses, timeout)
    })
}

fn peer_of(socket: &Socket) -> Option<SocketAddr> {
    socket.peer_addr().ok()?.as_socket()
}

#[test]
fn e23_the_first_address_that_answers_is_taken() {
    let _test = Test::begin("Return at the first success: no second connection may be made.");
    let (first, second) = (Scripted::silent(), Scripted::silent());
    let socket = connect(&[first.addr(), second.addr()], PATIENCE).unwrap();
    assert_eq!(peer_of(&socket), Some(first.addr()));
    assert!(
        !socket.nonblocking().unwrap(),
        "the socket comes back in blocking mode"
    );
    first.wait_for_accepts(1);
    assert_eq!(second.accepts(), 0);
}

#[test]
fn e23_ipv6_refused_then_ipv4_works() {
    let _test = Test::begin("A refusal is no reason to give up while there is another address.");
    let (_port, broken) = broken_ipv6();
    let works = Scripted::silent();
    let socket = connect(&[broken, works.addr()], PATIENCE).unwrap();
    assert_eq!(peer_of(&socket), Some(works.addr()));
}

#[test]
fn e23_a_black_hole_then_one_that_works() {
    let _test = Test::begin("Each address has its own time limit; after it, try the next.");
    let (hole, works) = (BlackHole::start(), Scripted::silent());
    let socket = connect(&[hole.addr(), works.addr()], scaled(SHORT)).unwrap();
    assert_eq!(peer_of(&socket), Some(works.addr()));
}

#[test]
fn e23_ipv6_is_preferred_and_ipv4_on_request() {
    let _test = Test::begin("order first, then connect in that order.");
    let Ok(probe) = ClosedPort::try_at(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0))) else {
        return; // This machine has no IPv6.
    };
    drop(probe);
    let six = Scripted::options("v6").address(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0)));
    let six = six.start(|peer| peer.expect_eof());
    let four = Scripted::silent();
    for (prefer, expected) in [(Prefer::default(), six.addr()), (Prefer::Ipv4, four.addr())] {
        let mut both = vec![four.addr(), six.addr()];
        order(&mut both, prefer);
        assert_eq!(
            peer_of(&connect(&both, PATIENCE).unwrap()),
            Some(expected),
            "{prefer:?}"
        );
    }
}

#[test]
fn e23_the_error_names_every_address() {
    let _test =
        Test::begin("Whoever reads the error wants to know what was tried, and why each failed.");
    let (refused, hole) = (ClosedPort::start(), BlackHole::start());
    let (_port, broken) = broken_ipv6();
    let all = [broken, hole.addr(), refused.addr()];
    let error = connect(&all, scaled(SHORT)).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::ConnectionRefused,
        "the kind of the last one"
    );
    for address in all {
        assert!(
            error.to_string().contains(&address.to_string()),
            "{address} is missing in: {error}"
        );
    }
}

#[test]
fn e23_the_reasons_can_be_told_apart() {
    let _test =
        Test::begin("Keep the kind of the error: refused, timed out and nothing to try differ.");
    let (refused, hole) = (ClosedPort::start(), BlackHole::start());
    let kind = |address: &[SocketAddr]| connect(address, scaled(SHORT)).unwrap_err().kind();
    assert_eq!(kind(&[refused.addr()]), ErrorKind::ConnectionRefused);
    assert_eq!(kind(&[hole.addr()]), ErrorKind::TimedOut);
    assert_eq!(kind(&[]), ErrorKind::InvalidInput);
}

#[test]
fn e23_a_refusal_is_one_clear_sentence() {
    let _test = Test::begin("main prints the error of connect once and ends with 1.");
    let refused = ClosedPort::start();
    let address = refused.addr().to_string();
    let finished = Program::new(program()).arg(&address).run();
    finished.expect_code(1).expect_one_sentence(&[&address]);
    assert_eq!(finished.stdout, b"");
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
    finished.expect_code(1).expect_one_sentence(&[&address]);
}

// ---- exercise 2.4: start_connect and finish_connect ----

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

/// Reads the flags of a descriptor from `proc_pid_fdinfo(5)`, where they stand in octal.
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
        Test::begin("Make the socket non-blocking, connect, and take EINPROGRESS for a yes.");
    let works = Scripted::start("server", |peer| peer.send(b"hello"));
    let socket = start_connect(works.addr()).unwrap();
    assert!(socket.nonblocking().unwrap());
    assert!(
        is_close_on_exec(&socket),
        "no other program may inherit the socket"
    );
    wait_until_decided(&socket, works.addr());
    finish_connect(&socket).unwrap();
    assert_eq!(peer_of(&socket), Some(works.addr()));
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
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn e24_a_black_hole_does_not_hold_the_caller() {
    let _test = Test::begin("A blocking connect(2) here would freeze a whole event loop.");
    let hole = BlackHole::start();
    let address = hole.addr();
    let socket = in_time("start_connect", move || start_connect(address));
    assert!(socket.unwrap().peer_addr().is_err(), "nobody answered yet");
}

// ---- exercise 2.5: converse, the whole program ----

/// Connects to a scripted server and converses with it in this process.
fn converse_with(server: &Scripted, input: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
    let socket = connect(&[server.addr()], PATIENCE).expect("the scripted server answers");
    in_time("converse", move || {
        let mut output = Vec::new();
        let result = converse(&socket, Cursor::new(input), &mut output);
        (result, output)
    })
}

#[test]
fn e25_the_end_of_the_input_closes_one_direction_only() {
    let _test =
        Test::begin("shutdown(SHUT_WR) says that no more comes; the answer is still on its way.");
    let gate = Gate::new("the answer");
    let (inside, answer) = (gate.clone(), Rng::for_test().nonce(1 << 20));
    let reply = answer.clone();
    let server = Scripted::start("server", move |peer: Peer| {
        peer.expect(b"question");
        peer.expect_eof();
        inside.wait();
        peer.send(&reply);
    });
    let client = client(server.addr());
    client.send_stdin(b"question");
    client.close_stdin();
    server.wait_for_accepts(1);
    // The client must wait as long as the server thinks.
    assert!(
        client.wait_by(HALF_A_SECOND.into()).is_none(),
        "the client did not wait for the answer"
    );
    gate.open();
    client.expect_stdout(&answer);
    client.finish().expect_code(0);
    server.finish();
}

#[test]
fn e25_a_conversation_in_turns() {
    let _test = Test::begin("Send what was read at once, and flush what came at once.");
    let server = Scripted::start("server", |peer: Peer| {
        for (question, answer) in [(&b"one\n"[..], &b"eno\n"[..]), (b"two\n", b"owt\n")] {
            peer.expect(question);
            peer.send(answer);
        }
        peer.expect_eof();
    });
    let client = client(server.addr());
    for (question, answer) in [(b"one\n", b"eno\n"), (b"two\n", b"owt\n")] {
        client.send_stdin(question);
        client.expect_stdout(answer);
    }
    client.close_stdin();
    client.finish().expect_code(0);
    server.finish();
}

#[test]
fn e25_a_greeting_needs_no_question() {
    let _test = Test::begin("Reading must not wait for the input: a server may speak first.");
    let server = Scripted::start("server", |peer: Peer| {
        for byte in b"220 hello\r\n" {
            peer.send(&[*byte]);
        }
        peer.expect(b"QUIT\r\n");
    });
    let client = client(server.addr());
    client.expect_stdout(b"220 hello\r\n");
    client.send_stdin(b"QUIT\r\n");
    client.finish().expect_code(0);
    server.finish();
}

#[test]
fn e25_bytes_are_not_text() {
    let _test = Test::begin("Copy bytes, not strings: 00, FF and CR LF pass unchanged.");
    let echo = Scripted::echo();
    let client = client(echo.addr());
    let nonce = Rng::for_test().nonce(5000);
    client.send_stdin(&nonce);
    client.expect_stdout(&nonce);
    client.close_stdin();
    client.finish().expect_code(0);
}

#[test]
fn e25_both_directions_flow_at_the_same_time() {
    let _test = Test::begin(
        "Who sends everything before reading waits for ever on a server that answers meanwhile.",
    );
    let echo = Scripted::echo();
    let client = client(echo.addr());
    let bytes = Rng::for_test().bytes(16 << 20);
    client.send_stdin(&bytes);
    client.close_stdin();
    let finished = client.finish();
    finished.expect_code(0);
    assert_eq!(Digest::of(&finished.stdout), Digest::of(&bytes));
}

#[test]
fn e25_a_slow_server_gets_every_byte() {
    let _test =
        Test::begin("write may take less than it was given: write_all goes on with the rest.");
    let sink = Sink::with(Scripted::options("sink").receive_buffer(16 * 1024));
    let client = client(sink.addr());
    let bytes = Rng::for_test().bytes(8 << 20);
    client.send_stdin(&bytes);
    client.close_stdin();
    assert_eq!(sink.wait_for(1)[0].digest, Digest::of(&bytes));
    client.finish().expect_code(0);
}

#[test]
fn e25_the_end_of_the_server_is_the_end() {
    let _test =
        Test::begin("The server's end of stream ends the program, even while the input is open.");
    let server = Scripted::source(b"bye\n".to_vec());
    let client = client(server.addr());
    client.expect_stdout(b"bye\n");
    client.finish().expect_code(0);
}

#[test]
fn e25_a_reset_is_not_an_end() {
    let _test =
        Test::begin("ECONNRESET is an error: say so and end with 1, after all that came before.");
    let server = Scripted::start("server", |peer: Peer| {
        peer.send(b"half an ans");
        peer.expect(b"seen\n");
        peer.reset();
    });
    let client = client(server.addr());
    client.expect_stdout(b"half an ans");
    client.send_stdin(b"seen\n");
    client.finish().expect_code(1).expect_one_sentence(&[]);
}

#[test]
fn e25_waiting_costs_no_cpu() {
    let _test = Test::begin("Block in read; do not ask again and again.");
    let silent = Scripted::silent();
    let client = client(silent.addr());
    silent.wait_for_accepts(1);
    proc::assert_cpu_idle(client.pid(), HALF_A_SECOND);
    client.close_stdin();
    proc::assert_cpu_idle(client.pid(), HALF_A_SECOND);
    client.expect_alive();
}

#[test]
fn e25_a_signal_ends_the_program_with_0() {
    let _test = Test::begin("SIGTERM and SIGINT are a wish, not an accident: end with 0.");
    let silent = Scripted::silent();
    let (first, second) = (client(silent.addr()), client(silent.addr()));
    silent.wait_for_accepts(2);
    assert_eq!(first.terminate().code(), Some(0));
    assert_eq!(second.interrupt().code(), Some(0));
}

#[test]
fn e25_a_stop_and_a_continue_change_nothing() {
    let _test = Test::begin("A system call that a signal interrupted (EINTR) is made again.");
    let echo = Scripted::echo();
    let client = client(echo.addr());
    client.send_stdin(b"before\n");
    client.expect_stdout(b"before\n");
    client.stop();
    client.cont();
    client.send_stdin(b"after\n");
    client.expect_stdout(b"after\n");
    client.close_stdin();
    client.finish().expect_code(0);
}

#[test]
fn e25_the_library_converses_too() {
    let _test = Test::begin("converse takes any reader and any writer.");
    let input = lines::random_lines(&mut Rng::for_test(), 100_000);
    let (result, output) = converse_with(&Scripted::echo(), input.clone());
    result.unwrap();
    assert_eq!(Digest::of(&output), Digest::of(&input));
    let (result, output) = converse_with(&Scripted::source(b"bye".to_vec()), Vec::new());
    result.unwrap();
    assert_eq!(output, b"bye");
}

/// An output that takes nothing.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn e25_an_output_that_takes_nothing_is_an_error() {
    let _test =
        Test::begin("Give back the error of the output; do not go on as if it had been written.");
    let server = Scripted::source(b"bytes".to_vec());
    let socket = connect(&[server.addr()], PATIENCE).unwrap();
    let (_open, silent) = UnixStream::pair().unwrap();
    let result = in_time("converse", move || converse(&socket, silent, Full));
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
}
