//! Exercise 1.5: the whole program, one client after the other.

use std::io::ErrorKind;

use harness::{
    Client, ClosedPort, Connect, PATIENCE, Program, Rng, Server, Test, command_line, ensure,
    eventually, expect_value, in_time, lines, proc, strace,
};
use socket2::{Domain, Socket, Type};
use stage1_server::serve;

use crate::support::{HALF_A_SECOND, program, server};

#[test]
fn e15_one_line_on_stdout_says_where() {
    let _test = Test::begin("Print the real port, once, and flush it.");
    let server = server();
    ensure(
        server.addr().ip().is_loopback(),
        format!(
            "127.0.0.1:0 was asked for, but the program announces {}.",
            server.addr()
        ),
    );
    ensure(
        server.addr().port() != 0,
        "The program announces port 0, which was asked for, and not the port that the kernel has chosen: ask the socket.",
    );
    lines::served(server.addr());
    lines::served(server.addr());
    command_line::announced_once(&server);
}

#[test]
fn e15_ipv6_is_an_address_like_any_other() {
    let _test = Test::begin("The domain of the socket follows from the address.");
    if ClosedPort::ipv6().is_none() {
        return;
    }
    let server = Server::start(program(), &["--listen", "[::1]:0"]);
    ensure(
        server.addr().is_ipv6(),
        format!(
            "[::1]:0 was asked for, but the program announces {}.",
            server.addr()
        ),
    );
    lines::served(server.addr());
}

#[test]
fn e15_a_broken_listener_ends_the_service() {
    let _test = Test::begin(
        "accept(2) fails for ever on a socket that does not listen (EINVAL): only such an error ends the server.",
    );
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let outcome = in_time("serve(), with a socket that does not listen,", move || {
        serve(&socket).map_err(|error| error.kind())
    });
    expect_value(
        "The outcome of serve() with a socket that does not listen",
        &Err(ErrorKind::InvalidInput),
        &outcome,
        "recover() takes an error of the listener for one that passes, so the loop tries again and takes all of the processor.",
    );
}

#[test]
fn e15_an_answer_is_sent_at_once() {
    let _test = Test::begin(
        "run() listens with `nodelay`: otherwise the kernel keeps a short answer back until the one before is acknowledged.",
    );
    let folder = tempfile::tempdir().expect("a folder for the trace");
    let file = folder.path().join("trace");
    let plain = Program::new(program()).args(["--listen", "127.0.0.1:0"]);
    let Some(traced) = strace::record(&plain, "setsockopt", &file) else {
        return;
    };
    let server = traced.serve();
    lines::served(server.addr());
    eventually("TCP_NODELAY is set for the client", PATIENCE, || {
        let trace = std::fs::read_to_string(&file).unwrap_or_default();
        trace.contains("TCP_NODELAY, [1]")
    });
}

#[test]
fn e15_a_signal_ends_the_program_with_0() {
    let _test =
        Test::begin("SIGTERM and SIGINT ask the program to stop; that is no failure: end with 0.");
    let cause = "the signal killed the program, or its handler ends with a failure: call cli::exit_on_signals first.";
    for (signal, status) in [
        ("SIGTERM", server().terminate()),
        ("SIGINT", server().interrupt()),
    ] {
        expect_value(
            format!("The exit code after {signal}"),
            &Some(0),
            &status.code(),
            cause,
        );
    }
    let busy = server();
    let client = Client::connect(busy.addr());
    lines::one_line(&client, &mut Rng::for_test());
    let code = busy.terminate().code();
    expect_value(
        "The exit code after SIGTERM, with a client",
        &Some(0),
        &code,
        cause,
    );
    client.expect_closed();
}

#[test]
fn e15_one_client_after_the_other() {
    let _test = Test::begin("After the end of one client, accept the next.");
    let server = server();
    for _ in 0..3 {
        lines::short_conversations(server.addr());
    }
}

#[test]
fn e15_who_waits_is_served_when_the_first_has_left() {
    let _test = Test::begin("A waiting client is in the accept queue: the next accept returns it.");
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
    let _test = Test::begin("Keep reading: a client may pause in the middle of a line.");
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
