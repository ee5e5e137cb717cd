//! Exercise 4.6: the addresses of a name in a race, the next beside the first (RFC 8305).

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::sockets::Attempts;
use harness::{
    BlackHole, ClosedPort, PATIENCE, Scripted, Test, eventually, eventually_equal, expect_bytes,
    scaled,
};

use crate::addresses::{Injected, snapshot};
use crate::connecting::FullQueue;
use crate::support::echoes;

/// The time after which the next address is tried, as RFC 8305 recommends it.
const DELAY: Duration = Duration::from_millis(250);

/// Starts a proxy whose target has these addresses, with a time limit that never passes.
fn racing(addresses: &[SocketAddr]) -> Injected {
    let addresses = addresses.to_vec();
    Injected::start(Duration::from_secs(600), move || Ok(addresses.clone()))
}

#[test]
fn e46_a_silent_address_costs_a_quarter_of_a_second() {
    let _test = Test::begin(
        "Do not wait for the time limit of a silent address: try the next one beside it.",
    );
    let (hole, echo) = (BlackHole::start(), Scripted::echo());
    let proxy = racing(&[hole.addr(), echo.addr()]);
    let begun = Instant::now();
    let client = proxy.connect();
    client.send(b"early bytes");
    client.expect(b"early bytes");
    let took = begun.elapsed();
    assert!(took >= DELAY * 9 / 10, "after {took:?} already");
    assert!(took < scaled(PATIENCE / 2), "after {took:?}");
    echoes(&client);
    let view = snapshot(&proxy.proxy().control());
    let upstream = view.sessions[0].upstream.as_ref();
    assert_eq!(
        upstream.and_then(|it| it.peer),
        Some(echo.addr()),
        "the upstream is the address that answered"
    );
}

#[test]
fn e46_addresses_that_refuse_cost_no_delay() {
    let _test = Test::begin("A failed attempt makes the next address due at once.");
    let (closed, echo) = (ClosedPort::start(), Scripted::echo());
    let mut addresses = vec![closed.addr(); 40];
    addresses.push(echo.addr());
    let proxy = racing(&addresses);
    let begun = Instant::now();
    echoes(&proxy.connect());
    let took = begun.elapsed();
    assert!(took < DELAY * 40, "after {took:?}");
}

#[test]
fn e46_the_loser_of_a_race_is_closed() {
    let _test = Test::begin("When an attempt has won, close the others.");
    let (hole, slow) = (BlackHole::start(), FullQueue::bind().unwrap());
    slow.fill().unwrap();
    let attempts = Attempts::to(hole.addr());
    let proxy = racing(&[hole.addr(), slow.address]);
    let client = proxy.connect();
    eventually_equal("attempts", &1, || attempts.count());
    // The filler leaves the queue, and the kernel's next SYN finds room.
    drop(slow.accept().unwrap());
    let mut upstream = slow.accept().unwrap();
    upstream.write_all(b"here I am").unwrap();
    client.expect(b"here I am");
    eventually_equal("attempts", &0, || attempts.count());
}

#[test]
fn e46_the_first_address_may_still_win() {
    let _test = Test::begin("The first attempt goes on while the next one is tried.");
    let (slow, hole) = (FullQueue::bind().unwrap(), BlackHole::start());
    slow.fill().unwrap();
    let attempts = Attempts::to(hole.addr());
    let proxy = racing(&[slow.address, hole.addr()]);
    let client = proxy.connect();
    client.send(b"early bytes");
    eventually_equal("attempts", &1, || attempts.count());
    drop(slow.accept().unwrap());
    let mut upstream = slow.accept().unwrap();
    let mut seen = [0; 11];
    upstream.read_exact(&mut seen).unwrap();
    expect_bytes("What the winner got first", b"early bytes", &seen);
    eventually_equal("attempts", &0, || attempts.count());
    // Events of the winner still arrive, in both directions.
    for word in [b"one", b"two"] {
        upstream.write_all(word).unwrap();
        client.expect(word);
        client.send(word);
        let mut seen = [0; 3];
        upstream.read_exact(&mut seen).unwrap();
        expect_bytes("What the winner got later", word, &seen);
    }
    drop(client);
    assert_eq!(upstream.read(&mut seen).unwrap(), 0, "its end arrives, too");
}

#[test]
fn e46_a_client_that_leaves_in_a_race_takes_all_attempts_with_it() {
    let _test = Test::begin("The sockets of a race belong to their session.");
    let holes = [BlackHole::start(), BlackHole::start()];
    let attempts = holes.each_ref().map(|hole| Attempts::to(hole.addr()));
    let counts = || attempts.each_ref().map(Attempts::count);
    let proxy = racing(&holes.each_ref().map(BlackHole::addr));
    let client = proxy.connect();
    eventually_equal("attempts", &[1, 1], counts);
    let shown = snapshot(&proxy.proxy().control()).sessions;
    let peer = shown[0].upstream.as_ref().and_then(|it| it.peer);
    assert_eq!(peer, Some(holes[1].addr()), "the newest attempt is shown");
    client.reset();
    eventually_equal("attempts", &[0, 0], counts);
    let control = proxy.proxy().control();
    eventually("the session has ended", PATIENCE, || {
        snapshot(&control).sessions.is_empty()
    });
}

#[test]
fn e46_a_drain_lets_a_race_end() {
    let _test = Test::begin("A session whose upstream is being connected is served by a drain.");
    let (hole, slow) = (BlackHole::start(), FullQueue::bind().unwrap());
    slow.fill().unwrap();
    let attempts = Attempts::to(hole.addr());
    let proxy = racing(&[hole.addr(), slow.address]);
    let client = proxy.connect();
    eventually_equal("attempts", &1, || attempts.count());
    proxy.proxy().control().drain();
    drop(slow.accept().unwrap());
    let mut upstream = slow.accept().unwrap();
    upstream.write_all(b"here I am").unwrap();
    drop(upstream);
    assert_eq!(
        client.read_to_end(),
        b"here I am",
        "all bytes that the client got"
    );
}

#[test]
fn e46_the_address_that_has_won_is_tried_first() {
    let _test = Test::begin("Remember for a while which address has worked.");
    let (hole, echo) = (BlackHole::start(), Scripted::echo());
    let attempts = Attempts::to(hole.addr());
    let proxy = racing(&[hole.addr(), echo.addr()]);
    echoes(&proxy.connect());
    let begun = Instant::now();
    let clients: Vec<_> = (0..20).map(|_| proxy.connect()).collect();
    for client in &clients {
        echoes(client);
    }
    let took = begun.elapsed();
    assert!(took < DELAY * 20, "{took:?} for 20 clients");
    assert_eq!(
        attempts.count(),
        0,
        "attempts to connect to the silent address, although the other one has won before"
    );
}
