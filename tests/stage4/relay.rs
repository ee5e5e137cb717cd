//! Exercise 4.4: bytes go both ways, unchanged and in order, however they come.

use std::thread;
use std::time::Duration;

use harness::{Client, Connect, Digest, Hand, Peer, Rng, Scripted, Test, proc};

use crate::support::{
    HALF_A_SECOND, KIB, MIB, Proxy, echoes, proxy_and_echo, proxy_and_hand, session, talk, unread,
};

/// The patience for transfers that take seconds even on an idle machine.
const LONG: Duration = Duration::from_secs(40);

/// Opens a session and plays one direction after the other.
#[track_caller]
fn both_ways(play: impl Fn(&Peer, &Peer)) {
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    play(&client, &upstream);
    play(&upstream, &client);
    proxy.expect_alive();
}

#[test]
fn e44_a_question_and_an_answer() {
    let _test = Test::begin("Write to one side the bytes that were read from the other.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    for _ in 0..5 {
        talk(&client, &upstream);
    }
}

#[test]
fn e44_the_upstream_may_speak_first() {
    let _test = Test::begin("Neither side has to wait for the other: mail and SSH servers greet.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    upstream.send(b"220 welcome\r\n");
    client.expect(b"220 welcome\r\n");
    talk(&client, &upstream);
}

#[test]
fn e44_one_byte_at_a_time() {
    let _test = Test::begin("One read is not one message.");
    both_ways(|from, to| {
        let nonce = Rng::for_test().nonce(40);
        for byte in &nonce {
            from.send(&[*byte]);
            to.expect(&[*byte]);
        }
        from.send_chunked(&nonce, 1);
        to.expect(&nonce);
    });
}

#[test]
fn e44_two_requests_in_one_write() {
    let _test = Test::begin("One read may be several messages: none of them may be lost.");
    both_ways(|from, to| {
        let mut rng = Rng::for_test();
        let (one, two) = (rng.nonce(100), rng.nonce(100));
        from.send(&[&one[..], &two].concat());
        to.expect(&one);
        to.expect(&two);
    });
}

#[test]
fn e44_bytes_are_not_text() {
    let _test = Test::begin("00, FF, CR and LF are bytes like all others.");
    both_ways(|from, to| {
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        from.send(&all);
        to.expect(&all);
        let nonce = Rng::for_test().nonce(5000);
        from.send(&nonce);
        to.expect(&nonce);
    });
}

#[test]
fn e44_a_pause_is_not_the_end() {
    let _test = Test::begin("EAGAIN says \"nothing now\", not \"nothing more\".");
    both_ways(|from, to| {
        from.send(b"first half, ");
        to.expect(b"first half, ");
        to.expect_silence(Duration::from_millis(300));
        from.send(b"second half");
        to.expect(b"second half");
    });
}

#[test]
fn e44_a_burst_and_then_nothing() {
    let _test = Test::begin(
        "An edge is reported once: read until EAGAIN, or come back to the rest without an event.",
    );
    both_ways(|from, to| {
        // A proxy chooses the sizes of its reads, so these are no multiples of anything.
        for length in [300 * KIB, 32 * KIB + 1, 3 * MIB + 7] {
            let bytes = Rng::for_test().bytes(length);
            let sending = from.send_in_background(bytes.clone());
            to.expect(&bytes);
            sending.join();
        }
        to.expect_silence(Duration::from_millis(50));
    });
}

#[test]
fn e44_a_burst_that_waits_before_the_proxy_looks() {
    let _test = Test::begin(
        "All bytes before the first event are reported by that one event: take all of them.",
    );
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    let bytes = Rng::for_test().bytes(300 * KIB);
    proxy.stop();
    let up = client.send_in_background(bytes.clone());
    let down = upstream.send_in_background(bytes.clone());
    client.expect_silence(Duration::from_millis(50));
    proxy.cont();
    upstream.expect(&bytes);
    client.expect(&bytes);
    up.join();
    down.join();
}

/// Sends 8 MiB to a peer with a tiny window that begins to read late.
#[track_caller]
fn through_a_tiny_window(from: &Peer, to: &Peer) {
    let bytes = Rng::for_test().bytes(8 * MIB);
    let sending = from.send_in_background(bytes.clone());
    harness::eventually("bytes wait for the slow reader", harness::PATIENCE, || {
        unread(to) > 0
    });
    for piece in bytes.chunks(7 * KIB).take(40) {
        to.expect(piece);
    }
    let rest = &bytes[7 * KIB * 40..];
    assert!(
        to.read_exact(rest.len()) == rest,
        "the rest is not the same"
    );
    sending.join();
}

#[test]
fn e44_a_tiny_receive_buffer_at_the_client() {
    let _test =
        Test::begin("A write may take less than it was given: keep the rest and go on later.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let client = Connect::new().receive_buffer(4 * KIB).to(proxy.addr());
    through_a_tiny_window(
        &hand.next().with_patience(LONG),
        &client.with_patience(LONG),
    );
}

#[test]
fn e44_a_tiny_receive_buffer_at_the_upstream() {
    let _test =
        Test::begin("Register for EPOLLOUT while bytes are pending, or they are pending forever.");
    let hand = Hand::with(Scripted::options("upstream").receive_buffer(4 * KIB));
    let proxy = Proxy::to(hand.addr());
    let (client, upstream) = session(&proxy, &hand);
    through_a_tiny_window(&client.with_patience(LONG), &upstream.with_patience(LONG));
}

#[test]
fn e44_big_streams_in_both_directions_at_once() {
    let _test = Test::begin("The directions share nothing: neither may wait for the other.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    let mut rng = Rng::for_test();
    let (up, down) = (rng.bytes(16 * MIB), rng.bytes(16 * MIB));
    let sendings = [
        client.send_in_background(up.clone()),
        upstream.send_in_background(down.clone()),
    ];
    thread::scope(|scope| {
        scope.spawn(|| assert!(upstream.read_exact(up.len()) == up, "up"));
        assert!(client.read_exact(down.len()) == down, "down");
    });
    for sending in sendings {
        sending.join();
    }
}

/// A4: 64 MiB in each direction, through 100 clients at once.
#[test]
fn e44_a_hundred_clients_send_and_receive_at_once() {
    let _test = Test::begin("Every byte reaches its own session, however busy the others are.");
    const CLIENTS: usize = 100;
    const EACH: usize = 64 * MIB / CLIENTS + 1;
    let (proxy, _echo) = proxy_and_echo(&[]);
    let patient = Connect::new().patience(LONG);
    let mut rng = Rng::for_test();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| (patient.to(proxy.addr()), rng.bytes(EACH)))
        .collect();
    let sendings: Vec<_> = clients
        .iter()
        .map(|(client, bytes)| client.send_in_background(bytes.clone()))
        .collect();
    // All of them read at the same time: otherwise only the first reader would make progress.
    thread::scope(|scope| {
        for (client, bytes) in &clients {
            scope.spawn(move || {
                let seen = Digest::of(&client.read_exact(EACH));
                assert_eq!(seen, Digest::of(bytes), "{}", client.name());
            });
        }
    });
    for sending in sendings {
        sending.join();
    }
}

#[test]
fn e44_a_stop_and_a_continue_change_nothing() {
    let _test = Test::begin("A system call that a signal interrupted (EINTR) is made again.");
    let (proxy, _echo) = proxy_and_echo(&[]);
    let before = Client::connect(proxy.addr());
    echoes(&before);
    for _ in 0..5 {
        proxy.stop();
        proxy.cont();
    }
    proxy.stop();
    let nonce = Rng::for_test().nonce(64);
    before.send(&nonce);
    let meanwhile = Client::connect(proxy.addr());
    meanwhile.send(&nonce);
    proxy.cont();
    before.expect(&nonce);
    meanwhile.expect(&nonce);
}

#[test]
fn e44_a_session_that_waits_costs_no_cpu() {
    let _test = Test::begin(
        "A socket is nearly always writable: register for that only while bytes are pending.",
    );
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    talk(&client, &upstream);
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND);
}
