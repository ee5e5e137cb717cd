//! Exercise 2.6: both directions at the same time, until the server's end.

use std::sync::mpsc;

use crate::support::{client, wait_until_sender_waits};
use harness::{Deadline, Peer, Rng, Scripted, Test, expect_bytes};

#[test]
fn e26_a_conversation_in_turns() {
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
fn e26_a_greeting_needs_no_question() {
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
fn e26_both_directions_flow_at_the_same_time() {
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
    expect_bytes("What came back of 16 MiB", &bytes, &finished.stdout);
}

#[test]
fn e26_the_end_of_the_server_is_the_end() {
    let _test =
        Test::begin("The server's end of stream ends the program, even while the input is open.");
    let server = Scripted::source(b"bye\n".to_vec());
    let client = client(server.addr());
    client.expect_stdout(b"bye\n");
    client.finish().expect_code(0);
}

#[test]
fn e26_the_end_of_the_server_frees_a_send_that_waits() {
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
fn e26_a_stop_and_a_continue_change_nothing() {
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
