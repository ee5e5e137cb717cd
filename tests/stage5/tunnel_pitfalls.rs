//! What implementers of tunnels got wrong, one test for each: both ends of a tunnel, or one end and a link by hand.
//!
//! | pitfall | test |
//! |---|---|
//! | both ends stop reading while their writes block | `tunnel_pitfall_both_ends_write_at_once_yamux`, `.._multiplex` |
//! | the answer to a ping waits for the link, and reading for the answer | `tunnel_pitfall_a_flood_of_pings_does_not_wait_for_blocked_output` |
//! | one unread stream stalls all | `tunnel_an_unread_stream_delays_no_other_and_holds_bounded_memory`; with a wire that has no windows it must: `tunnel_pitfall_an_unread_stream_stalls_multiplex` |
//! | a stream is opened lazily, or its acceptance is waited for | `tunnel_a_server_may_speak_first_and_two_hundred_clients_share_one_link`, `tunnel_pitfall_no_acceptance_is_waited_for` |
//! | a number is used again while late frames travel | `tunnel_pitfall_a_number_is_used_again_while_late_bytes_travel` |
//! | a slow dial freezes the session | `tunnel_pitfall_a_slow_dial_delays_nothing_else`, `tunnel_ways_a_black_hole_on_one_stream_delays_no_other` |
//! | a window overflows, a length of 4 GiB, bytes with the opening | `tunnel_pitfall_each_violation_is_answered_with_go_away`, and the targets of `tests/fuzz` |
//! | a dead peer is never noticed | `tunnel_a_frozen_far_end_ends_every_stream_within_the_keepalive_and_service_resumes` |
//! | a client is gone before the link is up | `tunnel_pitfall_clients_may_be_gone_before_the_link_is_up` |
//! | credit is given only when one stream's client reads | `tunnel_an_unread_stream_delays_no_other_and_holds_bounded_memory` |
//! | a window grows by a wrong round trip, or never | `one_stream_fills_a_long_link` and `a_small_request_under_bulk_waits_for_little_more_than_the_kernel_holds` in `session/tests/traffic.rs` |

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::{
    BlackHole, Client, Connect, Digest, End, Hand, PATIENCE, Rng, Scripted, Sending, Sink, Test,
    eventually, proc,
};

use crate::support::MIB;
use crate::tunnel_bytes::{ACK, DATA, FIN, Link, PING, RST, SYN, UPDATE, data, header};
use crate::tunnel_ends::{Tunnel, WIRES, client_program, echoes, server_on, wait_until_it_carries};

/// A window of yamux before any credit.
const WINDOW: usize = 256 * 1024;

#[test]
fn tunnel_pitfall_both_ends_write_at_once_yamux() {
    sixty_four_mebibytes_both_ways("yamux");
}

#[test]
fn tunnel_pitfall_both_ends_write_at_once_multiplex() {
    sixty_four_mebibytes_both_ways("multiplex");
}

/// Lets twelve clients and the upstream send 64 MiB each way at the same time, through small socket buffers.
#[track_caller]
fn sixty_four_mebibytes_both_ways(wire: &str) {
    let _test = Test::begin(
        "An end that stops reading while its write blocks waits for the other, which waits for it.",
    );
    const STREAMS: usize = 12;
    const BUFFER: usize = 16 * 1024;
    let each = 64 * MIB / STREAMS;
    let nonce = Rng::for_test().nonce(1000);
    let bytes = |first: u8| [&[first], &nonce[..]].concat().repeat(each.div_ceil(1001));
    let (up, down) = (bytes(b'u'), bytes(b'd'));
    let (length, expected, answer) = (up.len(), Digest::of(&up), down.clone());
    let options = Scripted::options("both ways");
    let options = options.receive_buffer(BUFFER).send_buffer(BUFFER);
    let upstream = options.start(move |peer| {
        let sending = peer.send_in_background(answer.clone());
        assert_eq!(
            Digest::of(&peer.read_exact(length)),
            expected,
            "length and hash of all that was received"
        );
        sending.join();
        peer.half_close();
    });
    let tunnel = Tunnel::to(upstream.addr(), &["--wire", wire]);
    let small = Connect::new().receive_buffer(BUFFER).send_buffer(BUFFER);
    let clients: Vec<_> = (0..STREAMS)
        .map(|_| small.to(tunnel.client.addr()))
        .collect();
    let sendings: Vec<_> = clients
        .iter()
        .map(|client| client.send_in_background(up.clone()))
        .collect();
    let receivings: Vec<_> = clients
        .into_iter()
        .map(|client| thread::spawn(move || client.drain()))
        .collect();
    for receiving in receivings {
        let drained = receiving.join().expect("a client has failed");
        assert_eq!((drained.digest, drained.end), (Digest::of(&down), End::Eof));
    }
    sendings.into_iter().for_each(Sending::join);
    upstream.finish();
}

#[test]
fn tunnel_pitfall_a_flood_of_pings_does_not_wait_for_blocked_output() {
    let _test =
        Test::begin("What is owed to a peer is state, and reading never waits for writing.");
    const PINGS: u32 = 200_000;
    let upstream = Scripted::start("pour", |peer| {
        let chunk = vec![7; MIB];
        while peer.try_send(&chunk).is_ok() {}
    });
    let server = server_on("127.0.0.1:0", upstream.addr(), &[]);
    let link = Link::from(Connect::new().receive_buffer(4096).to(server.addr()));
    // Streams and credit enough to fill every buffer on the way to us, who read nothing.
    for stream in [1, 3, 5, 7] {
        link.send(&header(UPDATE, SYN, stream, u32::MAX / 2));
    }
    eventually("the output is blocked", PATIENCE, || {
        proc::is_asleep(server.pid())
    });
    let before = proc::rss_kib(server.pid());
    for first in (0..PINGS).step_by(1000) {
        let pings: Vec<u8> = (first..first + 1000)
            .flat_map(|value| header(PING, SYN, 0, value))
            .collect();
        link.send(&pings);
    }
    // Everything is read, although no answer could be written.
    link.peer().wait_until_read();
    let grown = proc::rss_kib(server.pid()).saturating_sub(before);
    assert!(grown < 4096, "{grown} KiB for pings");
    // The last one is answered, in front of what the upstream still has.
    loop {
        let frame = link.next();
        if (frame.kind, frame.length) == (PING, PINGS - 1) {
            break;
        }
    }
}

#[test]
fn tunnel_pitfall_an_unread_stream_stalls_multiplex() {
    let _test = Test::begin(
        "multiplex has no windows: this is what it costs, and a reset of the stream ends it.",
    );
    let poured = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&poured);
    let upstream = Scripted::start("pour or echo", move |peer| match peer.read_exact(1)[..] {
        [b'p'] => {
            let chunk = vec![7; 16 * 1024];
            while peer.try_send(&chunk).is_ok() {
                counter.fetch_add(chunk.len(), Ordering::Relaxed);
            }
        }
        _ => peer.send(&peer.read_until(b"\n")),
    });
    let tunnel = Tunnel::to(upstream.addr(), &["--wire", "multiplex"]);
    let unread = Connect::new().receive_buffer(4096).to(tunnel.client.addr());
    unread.send(b"p");
    let mut seen = (0, Instant::now());
    eventually("the pouring stream is stuck", PATIENCE, || {
        let now = poured.load(Ordering::Relaxed);
        if now != seen.0 {
            seen = (now, Instant::now());
        }
        now > WINDOW && seen.1.elapsed() > Duration::from_millis(500)
    });
    let other = tunnel.connect();
    other.send(b"eline\n");
    other.expect_silence(Duration::from_millis(300));
    for end in [&tunnel.client, &tunnel.server] {
        let rss = proc::rss_kib(end.pid());
        assert!(rss < 40 * 1024, "{rss} KiB");
        proc::assert_cpu_idle(end.pid(), Duration::from_millis(300));
    }
    unread.reset();
    other.expect(b"line\n");
}

#[test]
fn tunnel_pitfall_no_acceptance_is_waited_for() {
    let _test = Test::begin("Bytes may follow an opening at once, and a FIN as well.");
    let upstream = Hand::start();
    let server = server_on("127.0.0.1:0", upstream.addr(), &[]);
    let link = Link::to(server.addr());
    link.send(&data(SYN | FIN, 1, b"all at once"));
    let peer = upstream.next();
    peer.expect(b"all at once");
    peer.expect_eof();
    peer.send(b"answer");
    link.expect(UPDATE, ACK, 1, 0);
    link.expect_data(1, b"answer");
    // And our own end waits for no acceptance either: this peer never accepts.
    let far = Hand::start();
    let client = client_program(far.addr(), &[]).serve();
    let link = far.next();
    let local = Client::connect(client.addr());
    local.send(b"hello");
    let expected = [header(UPDATE, SYN, 1, 0), data(0, 1, b"hello")];
    link.expect(&expected.concat());
    link.send(&data(0, 1, b"greeting"));
    local.expect(b"greeting");
}

#[test]
fn tunnel_pitfall_a_number_is_used_again_while_late_bytes_travel() {
    let _test = Test::begin("A handle names one stream, whatever the peer does with numbers.");
    let upstream = Hand::start();
    // yamux: reset, late bytes for the old stream, and the number once more.
    let server = server_on("127.0.0.1:0", upstream.addr(), &[]);
    let link = Link::to(server.addr());
    link.send(&data(SYN, 1, b"old"));
    let old = upstream.next();
    old.expect(b"old");
    let again = [
        header(UPDATE, RST, 1, 0),
        data(FIN, 1, b"late"),
        data(SYN, 1, b"new"),
    ];
    link.send(&again.concat());
    old.expect_reset();
    let new = upstream.next();
    new.expect(b"new");
    new.send(b"yes");
    link.expect(UPDATE, ACK, 1, 0);
    link.expect(UPDATE, ACK, 1, 0);
    link.expect_data(1, b"yes");
    // multiplex: the same with channel 0; the original library does this after every stream.
    let server = server_on("127.0.0.1:0", upstream.addr(), &["--wire", "multiplex"]);
    let link = Client::connect(server.addr());
    link.send(b"\x00\x00\x02\x03old");
    let old = upstream.next();
    old.expect(b"old");
    link.send(b"\x06\x00\x02\x04late\x00\x00\x02\x03new");
    old.expect_reset();
    let new = upstream.next();
    new.expect(b"new");
    new.send(b"yes");
    link.expect(b"\x01\x03yes");
}

#[test]
fn tunnel_pitfall_a_slow_dial_delays_nothing_else() {
    let _test = Test::begin("connect(2) is in progress: the session goes on meanwhile.");
    let hole = BlackHole::start();
    let server = server_on("127.0.0.1:0", hole.addr(), &["--connect-timeout", "3s"]);
    let link = Link::to(server.addr());
    link.send(&data(SYN, 1, b"into the hole"));
    link.send(&header(UPDATE, SYN, 3, 0));
    // Were the dial waited for, no ping would be answered before its time is over.
    for value in 2..20 {
        link.ping(value);
    }
    link.expect(UPDATE, RST, 1, 0);
    link.expect(UPDATE, RST, 3, 0);
    link.ping(20);
}

#[test]
fn tunnel_pitfall_each_violation_is_answered_with_go_away() {
    let _test = Test::begin(
        "A peer that breaks the protocol is told so (go-away 1), and the next link is served.",
    );
    let upstream = Scripted::echo();
    let server = server_on("127.0.0.1:0", upstream.addr(), &[]);
    let opened = header(UPDATE, SYN, 1, 0);
    let behind = |bytes: Vec<u8>| [&opened[..], &bytes].concat();
    let overrun = u32::try_from(WINDOW + 1).unwrap();
    let table = [
        ("version 1", vec![1, 0, 0, 0]),
        ("type 4", vec![0, 4]),
        ("an opening with our parity", header(UPDATE, SYN, 2, 0)),
        ("bytes of stream 0", header(DATA, SYN, 0, 1)),
        ("an opening of an open stream", behind(opened.clone())),
        (
            "a byte more than the window",
            behind(header(DATA, 0, 1, overrun)),
        ),
        ("as much with the opening", header(DATA, SYN, 1, overrun)),
        ("a length of 4 GiB", header(DATA, SYN, 1, u32::MAX)),
        (
            "credit beyond 32 bits",
            behind(header(UPDATE, 0, 1, u32::MAX)),
        ),
    ];
    let baseline = proc::fd_count(server.pid());
    for (what, bytes) in table {
        harness::Transcript::current().step(format!("next violation: {what}"));
        let link = Link::to(server.addr());
        link.send(&bytes);
        link.expect_protocol_error();
        proc::fds_return_to(server.pid(), baseline);
    }
    let link = Link::to(server.addr());
    link.send(&data(SYN, 1, b"fine"));
    link.expect(UPDATE, ACK, 1, 0);
    link.expect_data(1, b"fine");
}

#[test]
fn tunnel_pitfall_a_window_full_of_bytes_is_taken_and_credit_follows_the_reader() {
    let _test =
        Test::begin("The whole window may come at once; credit is for what the reader has taken.");
    let upstream = Sink::start();
    let server = server_on("127.0.0.1:0", upstream.addr(), &[]);
    let link = Link::to(server.addr());
    link.send(&data(SYN, 1, &vec![7; WINDOW]));
    link.expect(UPDATE, ACK, 1, 0);
    let mut credit = 0;
    // It is collected: the last part of the window may be too small to be worth a frame.
    while credit < WINDOW * 3 / 4 {
        let frame = link.next();
        assert_eq!((frame.kind, frame.flags, frame.stream), (UPDATE, 0, 1));
        credit += frame.length as usize;
    }
    assert!(credit <= WINDOW, "no credit without bytes");
    link.send(&data(FIN, 1, &vec![7; credit]));
    let drained = upstream.wait_for(1);
    assert_eq!(drained[0].digest, Digest::of(&vec![7; WINDOW + credit]));
}

#[test]
fn tunnel_pitfall_clients_may_be_gone_before_the_link_is_up() {
    let _test = Test::begin("A client that waits for nothing must leave nothing behind.");
    let upstream = Scripted::echo();
    for wire in WIRES {
        let hole = BlackHole::start();
        let arguments = ["--wire", wire, "--connect-timeout", "2s"];
        let client = client_program(hole.addr(), &arguments).serve();
        let before = proc::fd_count(client.pid());
        for _ in 0..50 {
            // It may have been reset already, which is as good.
            if let Ok(local) = Connect::new().try_to(client.addr()) {
                let _ = local.try_send(b"x");
                local.reset();
            }
        }
        proc::fds_return_to(client.pid(), before);
        let link = hole.addr();
        drop(hole);
        let _server = server_on(link, upstream.addr(), &["--wire", wire]);
        wait_until_it_carries(client.addr());
        echoes(&Client::connect(client.addr()));
    }
}
