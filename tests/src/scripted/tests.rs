use super::*;
use crate::connect::Connect;
use crate::digest::Digest;
use crate::end::End;
use crate::gate::Gate;
use crate::ready::{BlackHole, Sink};
use crate::rng::Rng;
use crate::stopping::rest_until_stopped;
use crate::test::Test;
use std::panic::UnwindSafe;

fn message_of(body: impl FnOnce() + UnwindSafe) -> String {
    message(&*catch_unwind(body).unwrap_err())
}

#[test]
fn an_echo_echoes_and_ends_with_the_client() {
    let echo = Scripted::echo();
    let client = Peer::connect(echo.addr());
    let nonce = Rng::for_test().nonce(300_000);
    let sending = client.send_in_background(nonce.clone());
    client.expect(&nonce);
    sending.join();
    client.half_close();
    client.expect_eof();
    echo.finish();
    assert_eq!(echo.peers(), [client.local()]);
}

#[test]
fn a_script_waits_for_its_gate() {
    let gate = Gate::new("answer");
    let inside = gate.clone();
    let server = Scripted::start("server", move |peer| {
        inside.wait();
        peer.send(b"now");
    });
    let client = Peer::connect(server.addr());
    client.expect_silence(Duration::from_millis(30));
    gate.open();
    client.expect(b"now");
    client.expect_eof();
}

#[test]
fn a_script_that_waits_for_ever_ends_with_its_test() {
    let gate = Gate::new("never");
    let server = Scripted::start("server", move |_peer| gate.wait());
    let client = Peer::connect(server.addr());
    server.wait_for_accepts(1);
    drop(server);
    client.expect_closed();
}

#[test]
fn a_script_that_fails_fails_its_test() {
    let message = message_of(|| {
        let _test = Test::begin("Send more.");
        let server = Scripted::start("upstream", |peer| peer.expect(b"hello"));
        let client = Peer::connect(server.addr());
        client.send(b"help");
        let _ = client.read_to_end();
        server.finish();
    });
    for part in [
        "upstream connection 1 received other bytes",
        "offset 3",
        "Hint: Send more.",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_client_that_gets_too_little_tells_its_story() {
    let message = message_of(|| {
        let _test = Test::begin("Keep the rest.");
        let server = Scripted::source(b"abc".to_vec());
        Peer::connect(server.addr()).expect(b"abcdef");
    });
    let parts = [
        "client 1 wanted 6 bytes and got 3 bytes, then the clean end of the stream (FIN).",
        "right up to offset 3, then 3 bytes missing",
        "client 1 connects to 127.0.0.1:",
        "source accepts 127.0.0.1:",
        "Hint: Keep the rest.",
    ];
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
}

#[test]
fn a_reset_is_no_clean_end() {
    let server = Scripted::start("server", Peer::reset);
    let client = Peer::connect(server.addr());
    client.expect_reset();
}

#[test]
fn a_sink_keeps_length_and_hash() {
    let sink = Sink::start();
    let bytes = Rng::for_test().bytes(1_000_000);
    let client = Peer::connect(sink.addr());
    client.send(&bytes);
    client.close();
    let received = sink.wait_for(1);
    assert_eq!(received[0].digest, Digest::of(&bytes));
    assert_eq!(received[0].end, End::Eof);
}

#[test]
fn a_peer_that_reads_nothing_holds_the_sender_back() {
    let silent = Scripted::options("silent")
        .receive_buffer(4096)
        .start(|_| rest_until_stopped());
    let client = Connect::new().send_buffer(4096).to(silent.addr());
    let sent = client.send_until_blocked(&[7; 4096], Duration::from_millis(100), 10_000_000);
    assert!(sent < 1_000_000, "{sent}");
    assert!(client.unread_by_peer() > 0);
}

#[test]
fn a_black_hole_answers_no_connect() {
    let hole = BlackHole::start();
    let quick = Connect::new().patience(Duration::from_millis(200));
    let error = quick.try_to(hole.addr()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn pieces_are_read_one_by_one() {
    let echo = Scripted::echo();
    let client = Peer::connect(echo.addr());
    client.send_chunked(b"hello", 1);
    client.expect(b"hello");
}
