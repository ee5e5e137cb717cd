//! Exercise 2.5: both directions at the same time; each ends by itself.

use std::io::{self, Cursor};
use std::sync::mpsc;

use crate::support::{HALF_A_SECOND, client, connect};
use harness::{
    Deadline, Digest, Gate, PATIENCE, Peer, Rng, Scripted, Sink, Test, eventually, expect_bytes,
    in_time, lines, proc, sockets,
};
use stage2_client::converse;

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
    let _test = Test::begin("Send every read at once, and flush every receive at once.");
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
        "A client that sends everything before it reads waits forever on a server that answers meanwhile.",
    );
    let echo = Scripted::echo();
    let client = client(echo.addr());
    let bytes = Rng::for_test().bytes(16 << 20);
    client.send_stdin(&bytes);
    client.close_stdin();
    let finished = client.finish();
    finished.expect_code(0);
    assert_eq!(
        Digest::of(&finished.stdout),
        Digest::of(&bytes),
        "length and hash of all that was received"
    );
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
    assert_eq!(
        sink.wait_for(1)[0].digest,
        Digest::of(&bytes),
        "length and hash of all that the server got"
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
fn e25_the_end_of_the_server_is_the_end() {
    let _test =
        Test::begin("The server's end of stream ends the program, even while the input is open.");
    let server = Scripted::source(b"bye\n".to_vec());
    let client = client(server.addr());
    client.expect_stdout(b"bye\n");
    client.finish().expect_code(0);
}

/// Waits until the program `pid` sends no more, because its bytes are not read, and not for want of a processor; returns how
/// many bytes wait in its socket.
#[track_caller]
fn wait_until_sender_waits(peer: &Peer, pid: u32) -> u64 {
    let (mut before, mut quiet) = (0, Deadline::exactly(HALF_A_SECOND));
    eventually("the client waits for room to send", PATIENCE, || {
        let row = sockets::find(peer.remote(), peer.local());
        let (unsent, timer) = row.map_or((0, 0), |row| (row.unsent, row.timer));
        // A lost segment also stops the sender, until it is sent again: only a zero window is for long.
        let is_full = timer == sockets::ZERO_WINDOW_PROBE;
        if unsent != before || !is_full || !proc::is_asleep(pid) {
            (before, quiet) = (unsent, Deadline::exactly(HALF_A_SECOND));
        }
        quiet.passed()
    });
    before
}

#[test]
fn e25_the_end_of_the_server_frees_a_send_that_waits() {
    let _test = Test::begin(
        "A server that has ended reads no more: shutdown(SHUT_RDWR) ends a write that waits for room, and its EPIPE is no failure.",
    );
    let (hand_over, peers) = mpsc::channel();
    let options = Scripted::options("server").receive_buffer(16 * 1024);
    let server = options.start(move |peer| hand_over.send(peer).expect("the test goes on"));
    let client = client(server.addr());
    client.send_stdin(&vec![b'x'; 32 << 20]);
    // It stays open until the end of the test: a reset would free the client, too.
    let peer = Deadline::patience().receive(&peers).expect("the client");
    // Each packet of the server may give the client's send buffer a little more room.
    let (mut before, mut unsent) = (0, wait_until_sender_waits(&peer, client.pid()));
    while unsent != before {
        peer.send(b"tick\n");
        client.expect_stdout(b"tick\n");
        (before, unsent) = (unsent, wait_until_sender_waits(&peer, client.pid()));
    }
    // Without a byte before it, because a byte could give the sender room.
    peer.half_close();
    client.finish().expect_code(0);
    server.finish();
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
    assert_eq!(
        first.terminate().code(),
        Some(0),
        "the exit code after SIGTERM"
    );
    assert_eq!(
        second.interrupt().code(),
        Some(0),
        "the exit code after SIGINT"
    );
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
    assert_eq!(
        Digest::of(&output),
        Digest::of(&input),
        "length and hash of all that was received"
    );
    let (result, output) = converse_with(&Scripted::source(b"bye".to_vec()), Vec::new());
    result.unwrap();
    expect_bytes("The output", b"bye", &output);
}
