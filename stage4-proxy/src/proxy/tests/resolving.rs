//! Lookups that are slow, too late, or for a client that has left.

use super::*;

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::resolve::ResolverLimits;

#[test]
fn a_slow_name_delays_no_other_name() {
    let echo = Scripted::echo();
    let held = holding_slow(echo.addr());
    let ingress = InTurn::new(&["slow:80", "quick:80"]);
    let proxy = Running::start(ingress, held.lookup, Limits::default());
    let slow = proxy.client();
    held.asked.wait();
    assert_echoes(&proxy.client());
    held.release.open();
    assert_echoes(&slow);
}

#[test]
fn an_address_waits_for_no_name() {
    let echo = Scripted::echo();
    let held = holding_slow(echo.addr());
    let ingress = InTurn::new(&["slow:80", &echo.addr_text()]);
    let limits = with_one_thread();
    let proxy = Running::start(ingress, held.lookup, limits);
    let slow = proxy.client();
    held.asked.wait();
    assert_echoes(&proxy.client());
    held.release.open();
    assert_echoes(&slow);
}

/// Counts the lookups of `holding_slow`, or of another lookup.
fn counting(lookup: Lookup) -> (Arc<AtomicUsize>, Lookup) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let lookup = Lookup::new(move |target| {
        counter.fetch_add(1, Ordering::SeqCst);
        lookup.resolve(target)
    });
    (count, lookup)
}

fn with_one_thread() -> Limits {
    let resolver = ResolverLimits {
        threads: 1,
        ..ResolverLimits::default()
    };
    Limits {
        resolver,
        ..Limits::default()
    }
}

#[test]
fn a_hundred_clients_of_one_name_cost_one_lookup() {
    let echo = Scripted::echo();
    let held = holding_slow(echo.addr());
    let (lookups, lookup) = counting(held.lookup);
    let proxy = Running::start(Fixed::new(target("slow:80")), lookup, Limits::default());
    let clients: Vec<Peer> = (0..100).map(|_| proxy.client()).collect();
    proxy.await_sessions(100);
    held.release.open();
    clients.iter().for_each(assert_echoes);
    assert_echoes(&proxy.client());
    assert_eq!(lookups.load(Ordering::SeqCst), 1);
    let sections = proxy.snapshot().sections;
    let names = sections.iter().find(|section| section.name == "names");
    let expected = serde_json::json!({"lookups": 1, "cached": 1});
    assert_eq!(names.unwrap().json, expected);
}

#[test]
fn the_case_of_a_name_means_nothing() {
    let echo = Scripted::echo();
    let (lookups, lookup) = counting(answering(vec![echo.addr()]));
    let ingress = InTurn::new(&["Example:80", "EXAMPLE:80", "example:80", "example:81"]);
    let proxy = Running::start(ingress, lookup, Limits::default());
    for expected in [1, 1, 1, 2] {
        assert_echoes(&proxy.client());
        assert_eq!(lookups.load(Ordering::SeqCst), expected);
    }
}

#[test]
fn names_that_only_clients_wanted_that_have_left_are_not_looked_up() {
    let echo = Scripted::echo();
    let held = holding_slow(echo.addr());
    let (lookups, lookup) = counting(held.lookup);
    let names: Vec<String> = (0..300).map(|number| format!("name-{number}:80")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.insert(0, "slow:80");
    names.push("quick:80");
    let proxy = Running::start(InTurn::new(&names), lookup, with_one_thread());
    let slow = proxy.client();
    held.asked.wait();
    let burst: Vec<Peer> = (0..300).map(|_| proxy.client()).collect();
    proxy.await_sessions(301);
    burst.into_iter().for_each(Peer::reset);
    proxy.await_sessions(1);
    let next = proxy.client();
    proxy.await_sessions(2);
    held.release.open();
    assert_echoes(&next);
    assert_echoes(&slow);
    assert_eq!(lookups.load(Ordering::SeqCst), 2, "slow and quick");
}

#[test]
fn a_client_that_has_left_gets_no_answer() {
    let echo = Scripted::echo();
    let held = holding_slow(echo.addr());
    let proxy = Running::start(
        Fixed::new(target("slow:80")),
        held.lookup,
        Limits::default(),
    );
    let gone = proxy.client();
    held.asked.wait();
    gone.reset();
    proxy.await_sessions(0);
    let next = proxy.client();
    held.release.open();
    assert_echoes(&next);
    assert_eq!(echo.accepts(), 1, "no connect for a client that has left");
    assert_eq!(proxy.totals().stale_events, 0, "it has left the line");
}

#[test]
fn a_failed_lookup_is_the_answer_of_all_who_wait_and_of_the_next() {
    let asked = Gate::new("all clients are connected");
    let failing = Lookup::new(|_| Err(io::Error::other("no such host")));
    let (lookups, lookup) = counting(answering_behind(&asked, failing));
    let proxy = Running::start(Asking, lookup, Limits::default());
    let clients: Vec<Peer> = (0..10).map(|_| proxy.client()).collect();
    clients.iter().for_each(|client| client.send(b"please"));
    proxy.await_sessions(10);
    asked.open();
    for client in &clients {
        assert_eq!(client.read_to_end(), b"name resolution failed");
    }
    let next = proxy.client();
    next.send(b"please");
    assert_eq!(next.read_to_end(), b"name resolution failed");
    assert_eq!(proxy.totals().failures.resolve, 11);
    assert_eq!(lookups.load(Ordering::SeqCst), 1);
}

#[test]
fn a_name_whose_addresses_fail_is_looked_up_again_soon() {
    let (echo, (_refusing, old)) = (Scripted::echo(), refusing());
    let (moved, address) = (Gate::new("the upstream has moved"), echo.addr());
    let has_moved = moved.clone();
    let lookup = move |_: &Target| match has_moved.is_open() {
        true => Ok(vec![address]),
        false => Ok(vec![old]),
    };
    let resolver = ResolverLimits {
        failure_lifetime: Duration::ZERO,
        ..ResolverLimits::default()
    };
    let limits = Limits {
        resolver,
        ..Limits::default()
    };
    let proxy = Running::start(Asking, Lookup::new(lookup), limits);
    let client = proxy.client();
    client.send(b"please");
    assert_eq!(client.read_to_end(), b"connection refused");
    moved.open();
    let next = proxy.client();
    next.send(b"please");
    next.expect(b"connectedplease");
}

#[test]
fn a_proxy_that_stops_does_not_wait_for_a_lookup() {
    let held = holding_slow(anywhere());
    let proxy = Running::start(
        Fixed::new(target("slow:80")),
        held.lookup,
        Limits::default(),
    );
    let client = proxy.client();
    held.asked.wait();
    drop(proxy);
    client.expect_reset();
    held.release.open();
}

/// Sends every client to `slow:80`, and replies with the error if that fails.
#[derive(Debug)]
struct Asking;

impl Ingress for Asking {
    fn name(&self) -> &'static str {
        "asking"
    }

    fn open(&self, _: &Client<'_>) -> Opening {
        Opening::Handshake(Box::new(Self))
    }
}

impl Handshake for Asking {
    fn advance(&mut self, input: &[u8]) -> Step {
        let verdict = match input {
            [] => Verdict::More,
            _ => Verdict::Connect(Arc::new(target("slow:80"))),
        };
        Step {
            consumed: 0,
            reply: Vec::new(),
            forward: Vec::new(),
            exchange: None,
            verdict,
        }
    }

    fn connected(&mut self, _: Option<SocketAddr>) -> Vec<u8> {
        b"connected".to_vec()
    }

    fn failed(&mut self, error: &Failure<'_>) -> Vec<u8> {
        error.to_string().into_bytes()
    }
}

#[test]
fn a_client_waits_no_longer_than_its_time_limit() {
    let echo = Scripted::echo();
    let held = holding_slow(echo.addr());
    let limits = Limits {
        connect_timeout: SHORT,
        ..Limits::default()
    };
    let proxy = Running::start(Asking, held.lookup, limits);
    let client = proxy.client();
    client.send(b"please");
    held.asked.wait();
    assert_eq!(client.read_to_end(), b"name resolution failed");
    held.release.open();
    let next = proxy.client();
    next.send(b"please");
    next.expect(b"connectedplease");
    assert_eq!(echo.accepts(), 1, "the client has had its answer");
}
