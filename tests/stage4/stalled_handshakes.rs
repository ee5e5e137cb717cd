//! Clients that send half a handshake and stall: they cost rows for a while, and no other client waits.

use std::time::{Duration, Instant};

use harness::{Client, Connect, Rng, Scripted, Test, eventually, proc, scaled};
use nix::sys::resource::{Resource, getrlimit};

use crate::support::{Proxy, echoes};
use crate::ways::{expect_connected, handshake};

/// How many clients stall at the same time.
const CLIENTS: usize = 1000;
/// The time limit of a handshake.
const LIMIT: Duration = Duration::from_secs(4);
/// The most memory that may be kept when all of them are gone.
const MOST_KIB: u64 = 128;

/// Connects clients that send a part of a handshake each: from nothing to all but its last byte.
fn stall(proxy: &Proxy, whole: &[u8]) -> Vec<Client> {
    let mut rng = Rng::for_test();
    let connect = Connect::new().patience(5 * LIMIT);
    let stalled = (0..CLIENTS).map(|_| {
        let client = connect.to(proxy.addr());
        client.send(&whole[..rng.below(whole.len())]);
        client
    });
    stalled.collect()
}

/// Lets the clients of one ingress stall, and serves another client meanwhile.
#[track_caller]
fn a_thousand_stalled_clients(ingress: &str) {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit can be read");
    if hard < 8000 {
        eprintln!("skipped: the limit of open files is {hard}, below 8,000");
        return;
    }
    let proxy = Proxy::choosing(ingress, &["--handshake-timeout", &harness::option(LIMIT)]);
    let echo = Scripted::echo();
    // A first crowd, because the rows of a table stay allocated.
    let crowd = stall(&proxy, &[0]);
    proxy.wait_for_rows(CLIENTS);
    drop(crowd);
    proxy.wait_for_rows(0);
    let fds = proc::fd_count(proxy.pid());
    let memory = proc::private_kib(proxy.pid());

    let begun = Instant::now();
    let whole = handshake(ingress, echo.addr());
    let stalled = stall(&proxy, &whole);
    let asked = Instant::now();
    let good = Client::connect(proxy.addr());
    good.send(&whole);
    expect_connected(ingress, &good);
    echoes(&good);
    let took = asked.elapsed();
    harness::ensure(
        took < scaled(LIMIT / 4),
        format!("the good client waited {took:?}"),
    );
    let all_were_there = begun.elapsed() < scaled(LIMIT);
    harness::ensure(all_were_there, "the clients took too long to come");

    for client in &stalled {
        let _ = client.drain();
    }
    harness::ensure(
        begun.elapsed() >= scaled(LIMIT),
        "they are closed too early",
    );
    echoes(&good);
    drop((good, stalled));
    proxy.wait_for_rows(0);
    let counted = "proxy_timeouts_total{kind=\"handshake\"}";
    proxy.wait_for_metric(counted, CLIENTS as f64);
    proc::fds_return_to(proxy.pid(), fds);
    eventually("the memory is given back", harness::PATIENCE, || {
        proc::private_kib(proxy.pid()).saturating_sub(memory) <= MOST_KIB
    });
    eprintln!(
        "{ingress}: the good client waited {took:?}, {} KiB are kept",
        proc::private_kib(proxy.pid()).saturating_sub(memory)
    );
}

#[test]
fn stalled_handshakes_of_socks5_keep_no_other_client_waiting() {
    let _test = Test::begin("The time limit is for the whole handshake, and each has its own.");
    a_thousand_stalled_clients("socks5");
}

#[test]
fn stalled_handshakes_of_http_keep_no_other_client_waiting() {
    let _test = Test::begin("The time limit is for the whole head, and each has its own.");
    a_thousand_stalled_clients("http");
}

#[test]
fn stalled_handshakes_of_a_hop_keep_no_other_client_waiting() {
    let _test = Test::begin("The time limit is for the whole header, and each has its own.");
    a_thousand_stalled_clients("hop");
}
