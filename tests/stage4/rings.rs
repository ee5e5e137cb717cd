//! Proxies whose upstream is another one of them: nothing on plain TCP tells their connections from a client's.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use harness::{Client, Hand, Program, Test, eventually, fail, proc};

use crate::connecting::reserved_address;
use crate::support::{HALF_A_SECOND, Proxy, program, proxy_and_hand, session, talk};

/// The sessions that each proxy of a ring may have.
const MOST: &str = "20";

/// How often a slot of a proxy is given back, if clients leave without having got a byte and all slots are taken.
const REST: Duration = Duration::from_millis(10);

/// Starts proxies each of which has the next one as its upstream, and the last one the first.
fn ring(count: usize) -> io::Result<Vec<Proxy>> {
    let reserved: io::Result<Vec<_>> = (0..count).map(|_| reserved_address()).collect();
    let reserved = reserved?;
    let start = |number: usize| {
        let upstream = reserved[(number + 1) % count].1.to_string();
        let arguments = ["--upstream", &upstream, "--max-connections", MOST];
        Proxy::listening(Program::new(program()).args(arguments), reserved[number].1)
    };
    Ok((0..count).map(start).collect())
}

/// Fills a ring by one client, which then leaves with a reset: the ring rests.
fn a_reset_does_not_go_round(proxies: &[Proxy]) {
    let client = Client::connect(proxies[0].addr());
    client.send(b"x");
    for proxy in proxies {
        eventually("the ring fills the table", harness::PATIENCE, || {
            proc::fd_count(proxy.pid()) >= 2 * 20
        });
    }
    client.reset();
    for proxy in proxies {
        a_slot_is_given_back_now_and_then(proxy);
        proxy.expect_alive();
    }
}

/// Checks that a proxy opens no more sessions than its slots that rest allow, in one of a few windows: some slots are
/// free when the first one begins. Its time of the CPU would not do: on a busy machine each short turn waits for a
/// processor, and the turns of a ring are many.
fn a_slot_is_given_back_now_and_then(proxy: &Proxy) {
    let opened = || proxy.metrics()["proxy_sessions_total"];
    let mut windows = Vec::new();
    for _ in 0..4 {
        let (begun, before) = (Instant::now(), opened());
        thread::sleep(HALF_A_SECOND); // The window itself is measured.
        let (sessions, window) = (opened() - before, begun.elapsed());
        if sessions <= window.as_secs_f64() / REST.as_secs_f64() {
            return;
        }
        windows.push((sessions, window));
    }
    fail(format!(
        "A ring rests if each proxy opens at most one session in {REST:?}. One has opened these, and in this time: {windows:?}."
    ));
}

#[test]
fn ring_of_two_rests_when_its_client_has_left() {
    let _test = Test::begin(
        "Each slot that a reset frees accepts the ring's own next connection: such a slot rests first.",
    );
    a_reset_does_not_go_round(&ring(2).unwrap());
}

#[test]
fn ring_of_three_rests_when_its_client_has_left() {
    let _test = Test::begin("A reset goes round a ring of any size.");
    a_reset_does_not_go_round(&ring(3).unwrap());
}

#[test]
fn ring_breaker_keeps_no_client_waiting_for_long() {
    let _test = Test::begin("A slot that rests is given back, one after the other.");
    let (proxy, hand) = proxy_and_hand(&["--max-connections", "3"]);
    let sessions: Vec<_> = (0..3).map(|_| session(&proxy, &hand)).collect();
    let waiting: Vec<_> = (0..3).map(|_| Client::connect(proxy.addr())).collect();
    proxy.wait_for_metric("proxy_accept_pauses_total", 1.0);
    for (client, upstream) in sessions {
        client.reset();
        upstream.expect_closed();
    }
    let begun = Instant::now();
    let upstreams: Vec<_> = waiting.iter().map(|_| hand.next()).collect();
    let took = begun.elapsed();
    // Three rests, and much more than that on a busy machine.
    assert!(took < Duration::from_secs(2), "after {took:?}");
    drop(upstreams);
    for client in waiting {
        client.expect_closed();
    }
    proxy.wait_for_rows(0);
    talk_anew(&proxy, &hand);
}

/// Checks that the proxy serves one more client.
fn talk_anew(proxy: &Proxy, hand: &Hand) {
    let (client, upstream) = session(proxy, hand);
    talk(&client, &upstream);
}
