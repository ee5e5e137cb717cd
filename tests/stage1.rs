//! Black-box tests of stage 1: a blocking TCP server that reverses lines, one client at a time.
//!
//! The name of each test begins with its exercise: `cargo test -p stage1-server e13` grades exercise 1.3.
//! Exercises 1.1 to 1.4 are also tested through the library, because no program runs before 1.5 is written.

use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use harness::deadline::holds_by;
use harness::{
    Client, ClosedPort, Connect, Deadline, Failure, Peer, Program, Rng, Scripted, Server, Test,
    lines, proc,
};
use socket2::Socket;
use stage1_server::{
    LineBuffer, ListenOptions, MAX_LINE, listen, local_address, reverse_line, serve_client,
};

const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];
const HALF_A_SECOND: Duration = Duration::from_millis(500);

fn program() -> PathBuf {
    harness::bin!("stage1-server")
}

fn server() -> Server {
    Server::start(program(), &ANY_PORT)
}

// ---- exercise 1.1: listen ----

fn listen_on(address: &str) -> std::io::Result<Socket> {
    let address = address.parse().expect("an address of this file");
    listen(address, &ListenOptions::default())
}

#[test]
fn e11_the_socket_listens_on_a_real_port() {
    let _test = Test::begin("socket, bind, listen, in this order; port 0 lets the kernel choose.");
    for address in ["127.0.0.1:0", "127.0.0.2:0"] {
        let socket = listen_on(address).unwrap();
        let address = local_address(&socket).unwrap();
        assert_ne!(address.port(), 0);
        let client = Client::connect(address);
        let accepted = socket.accept().unwrap();
        assert_eq!(accepted.1.as_socket(), Some(client.local()));
    }
}

/// Listens, ends a connection, and tells whether the same port can be listened on again.
fn a_port_can_be_used_again() -> bool {
    let socket = listen_on("127.0.0.1:0").expect("a free port");
    let address = local_address(&socket).expect("an internet address");
    let client = Client::connect(address);
    let accepted = socket.accept().expect("a client");
    // Whoever closes first keeps the port in TIME_WAIT, for a minute.
    drop((accepted, socket));
    client.expect_eof();
    client.close();
    // Another test may just be starting a program: its copy of the socket lives until exec(2).
    let soon = Deadline::after(Duration::from_secs(2));
    holds_by(soon, &mut || {
        listen(address, &ListenOptions::default()).is_ok()
    })
}

#[test]
fn e11_a_port_can_be_used_again_at_once() {
    let _test =
        Test::begin("Connections of the last run rest in TIME_WAIT: set SO_REUSEADDR before bind.");
    // Three tries: meanwhile the kernel may have given the free port to somebody else.
    let again = (0..3).any(|_| a_port_can_be_used_again());
    harness::ensure(
        again,
        "After a connection has ended, its port cannot be used again.",
    );
}

#[test]
fn e11_a_crowd_fits_into_the_backlog() {
    let _test =
        Test::begin("Pass the backlog of the options to listen(2): a small one keeps clients out.");
    let socket = listen_on("127.0.0.1:0").unwrap();
    let address = local_address(&socket).unwrap();
    let crowd: Vec<_> = (0..200).map(|_| Client::connect(address)).collect();
    assert_eq!(crowd.len(), 200);
}

#[test]
fn e11_a_port_in_use_is_one_clear_sentence() {
    let _test =
        Test::begin("The error of listen names the address; main prints it once and ends with 1.");
    let taken = listen_on("127.0.0.1:0").unwrap();
    let address = local_address(&taken).unwrap().to_string();
    let finished = Program::new(program()).args(["--listen", &address]).run();
    finished.expect_code(1).expect_one_sentence(&[&address]);
    assert_eq!(
        finished.stdout, b"",
        "nothing listens, so nothing may be announced"
    );
}

#[test]
fn e11_a_foreign_address_is_one_clear_sentence() {
    let _test = Test::begin("bind(2) fails with EADDRNOTAVAIL: say which address it was.");
    // 192.0.2.0/24 is reserved for documentation (RFC 5737); this one is nobody's.
    let finished = Program::new(program())
        .args(["--listen", "192.0.2.213:0"])
        .run();
    finished
        .expect_code(1)
        .expect_one_sentence(&["192.0.2.213"]);
}

#[test]
fn e11_a_port_of_the_system_is_one_clear_sentence() {
    let _test =
        Test::begin("bind(2) fails with EACCES for a port below 1024: say which address it was.");
    // Whoever runs the tests may have the right (as root has), so only a refusal is judged here.
    let process = Program::new(program())
        .args(["--listen", "127.0.0.1:1"])
        .spawn();
    harness::eventually("the program listens or ends", harness::PATIENCE, || {
        !process.stdout().is_empty() || process.wait_by(Duration::ZERO.into()).is_some()
    });
    if process.stdout().is_empty() {
        process
            .finish()
            .expect_code(1)
            .expect_one_sentence(&["127.0.0.1:1"]);
    }
}

#[test]
fn e11_malformed_flags_end_with_2() {
    let _test = Test::begin("clap checks the arguments before anything else happens.");
    let wrong: [&[&str]; 5] = [
        &["--listen"],
        &["--listen", "nowhere"],
        &["--listen", "127.0.0.1:99999"],
        &["--lisen", "127.0.0.1:0"],
        &["surplus"],
    ];
    for arguments in wrong {
        let finished = Program::new(program()).args(arguments).run();
        finished.expect_code(2);
        assert_eq!(finished.stdout, b"");
        assert!(
            !finished.stderr.is_empty(),
            "{arguments:?} needs an explanation"
        );
    }
}

#[test]
fn e11_help_names_the_flag_and_its_default() {
    let _test = Test::begin("--help comes from the documentation of the arguments.");
    let finished = Program::new(program()).arg("--help").run();
    let help = String::from_utf8_lossy(&finished.expect_code(0).stdout).into_owned();
    assert!(
        help.contains("--listen") && help.contains("127.0.0.1:8080"),
        "{help}"
    );
}

// ---- exercise 1.2: reverse_line ----

fn reversed(line: &[u8]) -> Vec<u8> {
    let mut line = line.to_vec();
    reverse_line(&mut line);
    line
}

#[test]
fn e12_a_line_is_reversed_and_its_newline_stays() {
    let _test = Test::begin("Reverse what stands before the newline; the newline keeps its place.");
    expect_reversed(b"stressed\n", b"desserts\n");
    expect_reversed(b"no newline", b"enilwen on");
    expect_reversed(b"\n", b"\n");
    expect_reversed(b"", b"");
    expect_reversed(b"ab\r\n", b"\rba\n");
}

#[test]
fn e12_bytes_are_not_text() {
    let _test = Test::begin("Reverse bytes, not characters: the bytes need not be UTF-8.");
    expect_reversed(b"\x00\xff\xfe\n", b"\xfe\xff\x00\n");
    let line = Rng::for_test().line(100);
    expect_reversed(&line, &lines::reversed(&line));
}

/// Fails with both lines side by side and a caret where they part.
fn expect_reversed(line: &[u8], expected: &[u8]) {
    let seen = reversed(line);
    if seen != expected {
        let shown = line.escape_ascii();
        Failure::new(format!(
            "reverse_line turned \"{shown}\" into something else."
        ))
        .bytes(expected, &seen)
        .raise();
    }
}

// ---- exercise 1.3: LineBuffer ----

fn take_lines(buffer: &mut LineBuffer) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| {
        buffer
            .next_line()
            .expect("no line is too long")
            .map(|line| line.to_vec())
    })
    .collect()
}

#[test]
fn e13_a_line_may_come_in_any_pieces() {
    let _test = Test::begin("Keep the bytes after the last newline until their own newline comes.");
    let text = lines::random_lines(&mut Rng::for_test(), 3000);
    for size in [1, 2, 7, 1000, text.len()] {
        let mut buffer = LineBuffer::new();
        let mut seen = Vec::new();
        for piece in text.chunks(size) {
            buffer.extend(piece);
            seen.extend(take_lines(&mut buffer));
        }
        let expected: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
        assert_eq!(seen, expected, "in pieces of {size}");
        assert_eq!(buffer.rest(), None);
    }
}

#[test]
fn e13_one_piece_may_bring_many_lines() {
    let _test = Test::begin("Ask for lines until there is none: one read may bring several.");
    let mut buffer = LineBuffer::new();
    buffer.extend(b"one\n\nthree\nfo");
    assert_eq!(take_lines(&mut buffer), [&b"one\n"[..], b"\n", b"three\n"]);
    buffer.extend(b"ur\n");
    assert_eq!(take_lines(&mut buffer), [b"four\n"]);
}

#[test]
fn e13_the_rest_is_the_last_line() {
    let _test = Test::begin("At the end of the input, what is left is a line without newline.");
    let mut buffer = LineBuffer::new();
    buffer.extend(b"one\nrest");
    assert_eq!(take_lines(&mut buffer), [b"one\n"]);
    assert_eq!(
        buffer.rest().map(|rest| rest.to_vec()),
        Some(b"rest".to_vec())
    );
    assert_eq!(buffer.rest(), None, "it is taken once");
}

#[test]
fn e13_a_line_has_a_longest_length() {
    let _test = Test::begin("MAX_LINE bytes are allowed before the newline, not one more.");
    let mut buffer = LineBuffer::new();
    buffer.extend(&vec![b'x'; MAX_LINE]);
    assert_eq!(buffer.next_line(), Ok(None));
    buffer.extend(b"\nnext\n");
    assert_eq!(take_lines(&mut buffer).concat().len(), MAX_LINE + 1 + 5);
    buffer.extend(&vec![b'x'; MAX_LINE + 1]);
    assert!(
        buffer.next_line().is_err(),
        "without this bound one client fills the memory"
    );
}

// ---- exercise 1.4: serve_client ----

/// A listener in this process that gives each of its clients to `serve_client`.
fn one_client_service() -> Scripted {
    Scripted::start("serve_client", |peer: Peer| {
        let mut stream: &TcpStream = peer.stream();
        // How a client ended is its own affair; what it received is judged at its end of the line.
        let _ = serve_client(&mut stream);
    })
}

#[test]
fn e14_lines_are_answered_in_turn() {
    let _test =
        Test::begin("Answer as soon as a line is complete; do not wait for the end of the input.");
    lines::lines_in_turn(one_client_service().addr());
}

#[test]
fn e14_one_byte_at_a_time() {
    let _test = Test::begin("One read is not one line.");
    lines::one_byte_at_a_time(one_client_service().addr());
}

#[test]
fn e14_several_lines_in_one_write() {
    let _test = Test::begin("One read may bring several lines, and half of the next.");
    lines::several_lines_in_one_write(one_client_service().addr());
}

#[test]
fn e14_awkward_bytes() {
    let _test = Test::begin("Bytes are not text: 00, FF and CR are bytes like all others.");
    lines::awkward_bytes(one_client_service().addr());
}

#[test]
fn e14_a_last_line_without_newline() {
    let _test = Test::begin(
        "A read of 0 is the end of the input; what is left in the buffer deserves an answer.",
    );
    lines::a_last_line_without_newline(one_client_service().addr());
    lines::an_empty_conversation(one_client_service().addr());
}

#[test]
fn e14_a_slow_reader_gets_everything() {
    let _test =
        Test::begin("write may take less than it was given: write_all goes on with the rest.");
    lines::a_slow_reader(one_client_service().addr());
}

#[test]
fn e14_a_line_that_is_too_long_ends_its_client() {
    let _test = Test::begin("Answer the lines before it, then end the connection.");
    lines::the_longest_line(one_client_service().addr());
}

// ---- exercise 1.5: serve, the whole program ----

#[test]
fn e15_one_line_on_stdout_says_where() {
    let _test = Test::begin("Print the real port, once, and flush it.");
    let server = server();
    assert!(server.addr().ip().is_loopback());
    assert_ne!(server.addr().port(), 0);
    lines::served(server.addr());
    lines::served(server.addr());
    let expected = format!("listening on {}\n", server.addr());
    assert!(server.terminate().success());
    assert_eq!(String::from_utf8_lossy(&server.stdout()), expected);
}

#[test]
fn e15_ipv6_is_an_address_like_any_other() {
    let _test = Test::begin("The domain of the socket follows from the address.");
    if ClosedPort::try_at("[::1]:0".parse().unwrap()).is_err() {
        return; // This machine has no IPv6.
    }
    let server = Server::start(program(), &["--listen", "[::1]:0"]);
    assert!(server.addr().is_ipv6());
    lines::served(server.addr());
}

#[test]
fn e15_a_signal_ends_the_program_with_0() {
    let _test = Test::begin("SIGTERM and SIGINT are a wish, not an accident: end with 0.");
    assert_eq!(server().terminate().code(), Some(0));
    assert_eq!(server().interrupt().code(), Some(0));
    let busy = server();
    let client = Client::connect(busy.addr());
    lines::one_line(&client, &mut Rng::for_test());
    assert_eq!(busy.terminate().code(), Some(0), "with a client");
    client.expect_closed();
}

#[test]
fn e15_one_client_after_the_other() {
    let _test = Test::begin("After the end of one client, accept the next.");
    let server = server();
    for _ in 0..3 {
        lines::lines_in_turn(server.addr());
        lines::an_empty_conversation(server.addr());
    }
    lines::several_lines_in_one_write(server.addr());
    lines::one_byte_at_a_time(server.addr());
    lines::awkward_bytes(server.addr());
    lines::a_last_line_without_newline(server.addr());
}

#[test]
fn e15_who_waits_is_served_when_the_first_has_left() {
    let _test = Test::begin("A waiting client is in the backlog: the next accept brings it.");
    let server = server();
    let mut rng = Rng::for_test();
    let first = Client::connect(server.addr());
    lines::one_line(&first, &mut rng);
    let second = Client::connect(server.addr());
    let line = rng.line(30);
    second.send(&line);
    lines::one_line(&first, &mut rng);
    first.close();
    second.expect(&lines::reversed(&line));
}

#[test]
fn e15_a_reset_does_not_end_the_program() {
    let _test = Test::begin("A reset is an error of one client: log it, and accept the next.");
    let server = server();
    lines::a_reset_and_then_another(server.addr());
    server.expect_alive();
}

#[test]
fn e15_answers_that_nobody_takes_do_not_end_the_program() {
    let _test = Test::begin(
        "Writing to a client that is gone fails with EPIPE (and SIGPIPE kills, if not ignored).",
    );
    let server = server();
    let client = Client::connect(server.addr());
    lines::one_line(&client, &mut Rng::for_test());
    server.stop();
    client.send(b"one\ntwo\n");
    client.half_close();
    client.reset();
    server.cont();
    lines::served(server.addr());
    lines::gone_with_answers_pending(server.addr());
    server.expect_alive();
}

#[test]
fn e15_a_pause_is_not_an_end() {
    let _test = Test::begin("Keep reading: a client may think in the middle of a line.");
    let server = server();
    lines::a_pause_within_a_line(server.addr());
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
}

#[test]
fn e15_a_stop_and_a_continue_change_nothing() {
    let _test = Test::begin("A system call that a signal interrupted (EINTR) is made again.");
    let server = server();
    let mut rng = Rng::for_test();
    server.stop();
    server.cont();
    let client = Client::connect(server.addr());
    lines::one_line(&client, &mut rng);
    server.stop();
    let line = rng.line(50);
    client.send(&line);
    server.cont();
    client.expect(&lines::reversed(&line));
}

#[test]
fn e15_a_stop_in_the_middle_of_an_answer_loses_nothing() {
    let _test = Test::begin(
        "A signal may end write(2) early, with a part of the bytes: write_all goes on with the rest.",
    );
    let server = server();
    // Long lines make long writes, so that the server waits in the middle of one.
    let line = Rng::for_test().line(60_000);
    let input = line.repeat(200);
    let client = Connect::new().receive_buffer(32 * 1024).to(server.addr());
    let sending = client.send_in_background(input.clone());
    let answer = lines::reversed(&input);
    for part in answer.chunks(answer.len() / 6 + 1) {
        lines::wait_until_stalled(&client, || sending.is_done());
        server.stop();
        server.cont();
        client.expect(part);
    }
    sending.join();
    client.half_close();
    client.expect_eof();
}

#[test]
fn e15_a_hundred_visits_leave_nothing_behind() {
    let _test = Test::begin(
        "A read of 0 is the end: leave the loop, and the socket is closed by dropping it.",
    );
    let server = server();
    lines::served(server.addr());
    let before = proc::fd_count(server.pid());
    for _ in 0..100 {
        Client::connect(server.addr()).close();
    }
    lines::served(server.addr());
    proc::fds_return_to(server.pid(), before);
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
}

#[test]
fn e15_a_crowd_is_served_in_turn() {
    let _test = Test::begin("The backlog holds who waits; nobody may be lost.");
    lines::a_crowd(server().addr(), 200);
}

#[test]
fn e15_few_file_descriptors_are_enough() {
    let _test = Test::begin("One client at a time needs one descriptor at a time.");
    let server = Program::new(program())
        .args(ANY_PORT)
        .open_files(16)
        .serve();
    lines::a_crowd(server.addr(), 500);
    server.expect_alive();
}

#[test]
fn e15_big_conversations() {
    let _test = Test::begin(
        "Every byte is answered, however many there are and however slowly they are read.",
    );
    let server = server();
    lines::a_mebibyte_before_the_end(server.addr());
    lines::a_burst(server.addr());
    lines::a_slow_reader(server.addr());
    lines::the_longest_line(server.addr());
}

#[test]
fn e15_a_client_that_does_not_read_costs_no_cpu_and_no_memory() {
    let _test = Test::begin("Wait in write until the client reads; do not collect its answers.");
    let server = server();
    lines::served(server.addr());
    let before = proc::private_kib(server.pid());
    let (client, input) = lines::a_stalled_client(server.addr());
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
    let grown = proc::private_kib(server.pid()).saturating_sub(before);
    assert!(
        grown < 2048,
        "{grown} KiB more for one client that does not read"
    );
    client.half_close();
    client.expect(&lines::reversed(&input));
    client.expect_eof();
}

/// Returns the number that the next descriptor of a program gets; whoever started it may have left it high ones.
fn first_free(pid: u32) -> usize {
    let is_open = |number: &usize| {
        let link = format!("/proc/{pid}/fd/{number}");
        std::fs::symlink_metadata(link).is_ok()
    };
    (0..).take_while(is_open).count()
}

/// Changes the soft limit of open files of a running program; says why when it cannot.
fn limit_files(pid: u32, soft: usize) -> bool {
    let mut command = std::process::Command::new("prlimit");
    command.args(["--pid", &pid.to_string(), &format!("--nofile={soft}:")]);
    let changed = command.status().is_ok_and(|status| status.success());
    if !changed {
        eprintln!("skipped: prlimit of util-linux is not installed, or may not do its work");
    }
    changed
}

#[test]
fn e15_descriptors_that_run_out_are_waited_for() {
    let _test = Test::begin(
        "accept(2) fails with EMFILE, and would fail again at once: pause before the next try.",
    );
    let server = server();
    let used = proc::fd_count(server.pid());
    lines::served(server.addr());
    proc::fds_return_to(server.pid(), used);
    if !limit_files(server.pid(), first_free(server.pid())) {
        return;
    }
    // accept(2) takes its descriptor before it waits, so the call that waits now can still serve a client.
    lines::served(server.addr());
    let client = Client::connect(server.addr());
    client.send(b"abc\n");
    proc::assert_cpu_idle(server.pid(), HALF_A_SECOND);
    limit_files(server.pid(), 1000);
    client.expect(b"cba\n");
}
