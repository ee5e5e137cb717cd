//! Exercises 4.2 and 4.7: a session that exceeds its time limit ends, and no other does.

use std::thread;
use std::time::{Duration, Instant};

use harness::{Client, Connect, Hand, Peer, Rng, Test, proc, scaled};

use crate::support::{
    HALF_A_SECOND, KIB, MIB, Proxy, expect_reset_after_eof, expect_reset_while_sending,
    proxy_and_hand, session, talk,
};

const HALF_CLOSE: &str = "--half-close-timeout";
const IDLE: &str = "--idle-timeout";
/// The time limit of most proxies here; a slow machine gets more.
const LIMIT: Duration = Duration::from_millis(700);
/// The time limit where something must happen before it passes: longer than any delay of a busy machine.
const LONG_LIMIT: Duration = Duration::from_millis(2100);
/// A pause that is much shorter than the long limit, and so many of them that together they are longer.
const PAUSE: Duration = Duration::from_millis(120);
const PAUSES: usize = 20;

/// Starts a proxy with [`LIMIT`] for `option`, to an upstream that is played by hand.
#[track_caller]
fn limited(option: &str) -> (Proxy, Hand) {
    limited_to(LIMIT, option)
}

/// The same with another limit.
#[track_caller]
fn limited_to(limit: Duration, option: &str) -> (Proxy, Hand) {
    proxy_and_hand(&[option, &harness::option(limit)])
}

/// Checks that at least a time limit has passed.
#[track_caller]
fn not_too_early(limit: Duration, since: Instant) {
    let took = since.elapsed();
    harness::ensure(
        took >= scaled(limit) - Duration::from_millis(10),
        format!("Reset after {took:?} already."),
    );
}

/// Checks that both ends of a session are reset, not too early, after `ended` has ended its direction.
#[track_caller]
fn half_closed_is_reset(limit: Duration, since: Instant, ended: &Peer, other: &Peer) {
    ended.expect_reset();
    expect_reset_after_eof(other);
    not_too_early(limit, since);
}

/// Checks that both ends of an open session are reset, not too early.
#[track_caller]
fn both_are_reset(since: Instant, client: &Client, upstream: &Peer) {
    client.expect_reset();
    upstream.expect_reset();
    not_too_early(LIMIT, since);
}

#[test]
fn e48_half_closed_and_silent_is_over() {
    let _test = Test::begin(
        "After one FIN the other side may never answer: reset a silent session after a while.",
    );
    let (proxy, hand) = limited(HALF_CLOSE);
    let since = Instant::now();
    let (client, upstream) = session(&proxy, &hand);
    client.half_close();
    upstream.expect_eof();
    half_closed_is_reset(LIMIT, since, &client, &upstream);
    let since = Instant::now();
    let (client, upstream) = session(&proxy, &hand);
    upstream.half_close();
    client.expect_eof();
    half_closed_is_reset(LIMIT, since, &upstream, &client);
    proxy.wait_for_metric("proxy_timeouts_total{kind=\"half_close\"}", 2.0);
    proxy.wait_for_stderr("half-close time limit reached");
    proxy.wait_for_rows(0);
}

#[test]
fn e48_the_half_close_limit_begins_with_the_end() {
    let _test =
        Test::begin("A client that ends after a long silence gets the whole limit for its answer.");
    let (proxy, hand) = limited_to(LONG_LIMIT, HALF_CLOSE);
    let (client, upstream) = session(&proxy, &hand);
    client.send(b"a question that takes its time");
    upstream.expect(b"a question that takes its time");
    client.expect_silence(LONG_LIMIT + 2 * PAUSE);
    client.half_close();
    upstream.expect_eof();
    upstream.send(b"the answer");
    client.expect(b"the answer");
}

#[test]
fn e48_a_slow_reader_keeps_what_was_sent_before_the_limit() {
    let _test = Test::begin(
        "The end was passed on, but its bytes are still in the kernel: close(2) delivers them, a reset would not.",
    );
    let (proxy, hand) = limited(HALF_CLOSE);
    let client = Connect::new().receive_buffer(16 * 1024).to(proxy.addr());
    let upstream = hand.next();
    let answer = Rng::for_test().bytes(MIB);
    upstream.send(&answer);
    upstream.half_close();
    proxy.wait_for_metric("proxy_timeouts_total{kind=\"half_close\"}", 1.0);
    proxy.wait_for_rows(0);
    client.expect(&answer);
    client.expect_eof();
}

#[test]
fn e48_any_byte_puts_the_half_close_limit_off() {
    let _test = Test::begin("The limit counts silence: each byte that moves restarts it.");
    let (proxy, hand) = limited_to(LONG_LIMIT, HALF_CLOSE);
    let (client, upstream) = session(&proxy, &hand);
    client.half_close();
    upstream.expect_eof();
    let mut since = Instant::now();
    for _ in 0..PAUSES {
        client.expect_silence(PAUSE);
        since = Instant::now();
        upstream.send(b".");
        client.expect(b".");
    }
    half_closed_is_reset(LONG_LIMIT, since, &client, &upstream);
}

#[test]
fn e48_an_open_tunnel_may_be_silent_for_ever() {
    let _test =
        Test::begin("Without --idle-timeout, a session with both directions open never times out.");
    let (proxy, hand) = proxy_and_hand(&["--half-close-timeout", "50ms"]);
    let (client, upstream) = session(&proxy, &hand);
    talk(&client, &upstream);
    client.expect_silence(Duration::from_millis(500));
    talk(&client, &upstream);
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND / 2);
}

#[test]
fn e42_an_idle_session_is_reset() {
    let _test = Test::begin("--idle-timeout: no byte in either direction for that long.");
    let (proxy, hand) = limited(IDLE);
    let since = Instant::now();
    let (client, upstream) = session(&proxy, &hand);
    both_are_reset(since, &client, &upstream);
    proxy.wait_for_metric("proxy_timeouts_total{kind=\"idle\"}", 1.0);
    proxy.wait_for_stderr("idle time limit reached");
    let (client, upstream) = session(&proxy, &hand);
    talk(&client, &upstream);
    let since = Instant::now();
    upstream.send(b".");
    client.expect(b".");
    both_are_reset(since, &client, &upstream);
    proxy.wait_for_rows(0);
}

#[test]
fn e42_a_byte_in_either_direction_keeps_a_session_alive() {
    let _test = Test::begin("A direction may be silent for long while the other is busy.");
    let (proxy, hand) = limited_to(LONG_LIMIT, IDLE);
    let up = session(&proxy, &hand);
    let down = session(&proxy, &hand);
    for _ in 0..PAUSES {
        up.1.expect_silence(PAUSE);
        for (from, to) in [(&up.0, &up.1), (&down.1, &down.0)] {
            from.send(b".");
            to.expect(b".");
        }
    }
}

#[test]
fn e42_many_deadlines_pass_together() {
    let _test = Test::begin("Each row has its own deadline; all that are due expire in one turn.");
    let (proxy, hand) = limited(IDLE);
    let sessions: Vec<_> = (0..50).map(|_| session(&proxy, &hand)).collect();
    for (client, _) in &sessions {
        client.expect_reset();
    }
    proxy.wait_for_metric("proxy_timeouts_total{kind=\"idle\"}", 50.0);
    proxy.wait_for_rows(0);
    let (client, upstream) = session(&proxy, &hand);
    talk(&client, &upstream);
}

#[test]
fn e48_a_deadline_of_the_past_does_not_meet_the_next_session() {
    let _test =
        Test::begin("A row that is free has no deadline; its next session gets one of its own.");
    let (proxy, hand) = limited(HALF_CLOSE);
    let (client, upstream) = session(&proxy, &hand);
    client.half_close();
    upstream.expect_eof();
    upstream.close();
    client.expect_eof();
    client.close();
    proxy.wait_for_rows(0);
    let (client, upstream) = session(&proxy, &hand);
    client.expect_silence(2 * HALF_A_SECOND);
    talk(&client, &upstream);
}

#[test]
fn e48_a_reader_that_stalls_after_the_end_is_over_too() {
    let _test = Test::begin(
        "Bytes that the peer does not take do not move: the half-closed session is silent.",
    );
    let (proxy, hand) = limited(HALF_CLOSE);
    let client = Connect::new().receive_buffer(4096).to(proxy.addr());
    let upstream = hand.next();
    client.half_close();
    upstream.expect_eof();
    // More than all buffers on the path take: the kernel's default lets a receive buffer grow to 32 MiB.
    expect_reset_while_sending(&upstream.try_send(&vec![1; 64 * MIB]));
    proxy.wait_for_metric("proxy_timeouts_total{kind=\"half_close\"}", 1.0);
    proxy.wait_for_rows(0);
}

#[test]
fn e48_a_slow_reader_is_not_silent_while_the_kernel_sends() {
    let _test = Test::begin(
        "A slow reader takes bytes from the kernel, which asks for more only after a megabyte: the limit counts from the last byte that left, not from the last write.",
    );
    // A third of a send buffer lasts longer than the limit, and the reading for three limits.
    const PIECE: usize = 16 * KIB;
    const PIECES: usize = 60;
    let limit = Duration::from_secs(1);
    let (proxy, hand) = limited_to(limit, HALF_CLOSE);
    let (other, _upstream) = session(&proxy, &hand);
    let client = Connect::new().receive_buffer(PIECE).to(proxy.addr());
    let upstream = hand.next();
    client.half_close();
    upstream.expect_eof();
    let bytes = Rng::for_test().bytes(8 * MIB);
    let sending = upstream.send_in_background(bytes.clone());
    let since = Instant::now();
    let mut read = 0;
    while read < PIECES * PIECE || since.elapsed() < scaled(3 * limit) {
        client.expect(&bytes[read..read + PIECE]);
        read += PIECE;
        // The pause.
        other.expect_silence(limit / 20);
    }
    client.expect(&bytes[read..]);
    sending.join();
    upstream.close();
    client.expect_eof();
    assert_eq!(
        proxy.metrics()["proxy_timeouts_total{kind=\"half_close\"}"],
        0.0,
        "sessions that were ended because they were half-closed for too long: the bytes of this one moved"
    );
}

#[test]
fn e48_a_transfer_that_flows_is_never_idle() {
    let _test = Test::begin("Each byte that moves postpones the deadline, in bulk and one by one.");
    // The kernel's buffers take some MiB: only bytes that the proxy moves count, so each piece is larger than that.
    const PIECE: usize = 6 * MIB;
    // The transfer takes longer than the limit.
    let bytes = vec![7; 26 * PIECE];
    let (proxy, hand) = limited_to(LONG_LIMIT, IDLE);
    let (client, upstream) = session(&proxy, &hand);
    thread::scope(|scope| {
        let sending = scope.spawn(|| upstream.try_send(&bytes));
        for _ in 0..24 {
            client.expect(&bytes[..PIECE]);
            upstream.expect_silence(PAUSE);
        }
        assert_eq!(
            proxy.metrics()["proxy_timeouts_total{kind=\"idle\"}"],
            0.0,
            "sessions that were ended as idle: the bytes of this one moved all the time"
        );
        client.reset();
        // It is done, or it is reset: both are fine.
        drop(sending.join());
    });
}
