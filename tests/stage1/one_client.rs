//! Exercise 1.4 through the library: one client, served to its end.

use std::net::TcpStream;

use harness::{Peer, Scripted, Test, lines};
use stage1_server::serve_client;

/// A listener in this process that gives each of its clients to `serve_client`.
fn one_client_service() -> Scripted {
    Scripted::start("serve_client", |peer: Peer| {
        let mut stream: &TcpStream = peer.stream();
        // The result is ignored, because the client's end of the connection is judged.
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
        "A read of 0 is the end of the input; answer the bytes that are left in the buffer, too.",
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
