//! Exercises 2.5 and 2.6 through the library: how a conversation ends when one of its parts fails or waits.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::mpsc;

use crate::support::connect;
use harness::{
    Deadline, PATIENCE, Peer, Scripted, Test, eventually, expect_value, fail, in_time, sockets,
};
use stage2_client::converse;

/// An input, and an output, that only fails.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::PermissionDenied.into())
    }
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the kind of the error of a conversation that must fail.
#[track_caller]
fn kind_of(result: io::Result<()>, failure: &str) -> ErrorKind {
    match result {
        Ok(()) => fail(format!(
            "converse returned Ok although {failure}. The caller would take half of a conversation for a whole one."
        )),
        Err(error) => error.kind(),
    }
}

#[test]
fn e25_an_output_that_takes_nothing_is_an_error() {
    let _test =
        Test::begin("Give back the error of the output; do not go on as if it had been written.");
    let server = Scripted::source(b"bytes".to_vec());
    let socket = connect(&[server.addr()], PATIENCE).unwrap();
    let result = in_time("converse", move || converse(&socket, io::empty(), Broken));
    expect_value(
        "The kind of the error",
        &ErrorKind::StorageFull,
        &kind_of(result, "the output was full"),
        "the output's error was replaced by another one.",
    );
}

#[test]
fn e25_an_input_that_cannot_be_read_is_an_error() {
    let _test = Test::begin(
        "An input that fails has not ended: keep its error for the caller, and end the sending direction all the same.",
    );
    let server = Scripted::start("server", |peer: Peer| peer.expect_eof());
    let socket = connect(&[server.addr()], PATIENCE).unwrap();
    let result = in_time("converse", move || converse(&socket, Broken, io::sink()));
    expect_value(
        "The kind of the error",
        &ErrorKind::PermissionDenied,
        &kind_of(result, "the input could not be read"),
        "the input's error was replaced by another one.",
    );
    server.finish();
}

#[test]
fn e26_a_reset_while_sending_is_not_an_end() {
    let _test = Test::begin(
        "The kernel reports a reset once, to the sender or to the receiver: hold the lock from before the write until its \
         error is in place.",
    );
    let server = Scripted::start("server", |peer: Peer| {
        drop(peer.read_exact(1));
        peer.reset();
    });
    // The two directions race for the error, so one conversation proves nothing.
    for number in 1..=50 {
        let socket = connect(&[server.addr()], PATIENCE).unwrap();
        let result = in_time("converse", move || {
            converse(&socket, io::repeat(b'x'), io::sink())
        });
        expect_value(
            format!("The kind of the error of conversation {number}, reset while it was sending,"),
            &ErrorKind::ConnectionReset,
            &kind_of(result, "the server had reset the connection"),
            "EPIPE was reported instead of the reset that came before it.",
        );
    }
}

#[test]
fn e26_the_end_of_the_server_frees_a_send_without_room() {
    let _test = Test::begin(
        "A server that has ended reads no more: shutdown(SHUT_RDWR) ends a write that waits for room, and its EPIPE is no failure.",
    );
    let (hand_over, peers) = mpsc::channel();
    let options = Scripted::options("server").receive_buffer(16 * 1024);
    let server = options.start(move |peer| drop(hand_over.send(peer)));
    let socket = connect(&[server.addr()], PATIENCE).unwrap();
    // A size that was set stays: no packet of the server gives the sender further room.
    socket.set_send_buffer_size(16 * 1024).unwrap();
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || drop(done.send(converse(&socket, io::repeat(b'x'), io::sink()))));
    let peer = Deadline::patience().receive(&peers).expect("the client");
    eventually("the client waits for room to send", PATIENCE, || {
        let row = sockets::find(peer.remote(), peer.local());
        row.is_some_and(|row| row.timer == sockets::ZERO_WINDOW_PROBE)
    });
    peer.half_close();
    // The server stays open and reads nothing: only the client itself can end its write now.
    match Deadline::patience().receive(&result) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => fail(format!(
            "The server ended the conversation in order, but converse failed: {error}. The EPIPE of a write that your own \
             shutdown ended is no failure."
        )),
        Err(_) => fail(
            "The server has sent its FIN, but converse does not return: its thread still waits for room to send, and the caller \
             waits for the thread. Shut both directions down after the server's end.",
        ),
    }
}
