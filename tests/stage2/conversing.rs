//! Exercise 2.5: the input is sent, its end ends one direction, and the answers are received.

use std::sync::mpsc;

use crate::support::{HALF_A_SECOND, client, converse_with, wait_until_sender_waits};
use harness::{
    Deadline, Digest, Gate, Peer, Rng, Scripted, Sink, Test, ensure, expect_bytes, expect_value,
    lines, proc,
};

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
    ensure(
        client.wait_by(HALF_A_SECOND.into()).is_none(),
        "The input has ended, the server has not answered yet, and the client did not wait for the answer. The end of the input \
         ends one direction only.",
    );
    gate.open();
    client.expect_stdout(&answer);
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
    client.close_stdin();
    client.expect_stdout(&nonce);
    client.finish().expect_code(0);
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
    expect_value(
        "What the server got of 8 MiB (length and hash)",
        &Digest::of(&bytes),
        &sink.wait_for(1)[0].digest,
        "a write took a part of the bytes, and the rest was not sent.",
    );
    client.finish().expect_code(0);
}

#[test]
fn e25_a_stop_in_the_middle_of_a_send_loses_nothing() {
    let _test = Test::begin(
        "A signal may end write(2) early, with a part of the bytes: write_all goes on with the rest.",
    );
    let (hand_over, peers) = mpsc::channel();
    let options = Scripted::options("server").receive_buffer(16 * 1024);
    let server = options.start(move |peer| hand_over.send(peer).expect("the test goes on"));
    let client = client(server.addr());
    let bytes = Rng::for_test().bytes(8 << 20);
    client.send_stdin(&bytes);
    client.close_stdin();
    let peer = Deadline::patience().receive(&peers).expect("the client");
    for part in bytes.chunks(bytes.len() / 4) {
        wait_until_sender_waits(&peer, client.pid());
        client.stop();
        client.cont();
        peer.expect(part);
    }
    peer.expect_eof();
    drop(peer);
    client.finish().expect_code(0);
    server.finish();
}

#[test]
fn e25_a_reset_is_not_an_end() {
    let _test =
        Test::begin("ECONNRESET is an error: say so and end with 1, after all that came before.");
    let gate = Gate::new("the reset");
    let inside = gate.clone();
    let server = Scripted::start("server", move |peer: Peer| {
        peer.expect(b"question");
        peer.expect_eof();
        peer.send(b"half an ans");
        inside.wait();
        peer.reset();
    });
    let client = client(server.addr());
    client.send_stdin(b"question");
    client.close_stdin();
    client.expect_stdout(b"half an ans");
    gate.open();
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
    let cause = "the program does not handle the signal: cli::exit_on_signals of stage 1 does.";
    for (signal, status) in [
        ("SIGTERM", first.terminate()),
        ("SIGINT", second.interrupt()),
    ] {
        expect_value(
            format!("The exit code after {signal}"),
            &Some(0),
            &status.code(),
            cause,
        );
    }
}

#[test]
fn e25_the_library_converses_too() {
    let _test = Test::begin("converse takes any reader and any writer.");
    // Few enough that they fit into the kernel's queues.
    let input = lines::random_lines(&mut Rng::for_test(), 50_000);
    for (server, input, expected) in [
        (Scripted::echo(), input.clone(), input),
        (
            Scripted::source(b"bye".to_vec()),
            Vec::new(),
            b"bye".to_vec(),
        ),
    ] {
        let (result, output) = converse_with(&server, input);
        ensure(
            result.is_ok(),
            format!("Both ends have ended in order, but converse returned {result:?}."),
        );
        expect_bytes("The output", &expected, &output);
    }
}
