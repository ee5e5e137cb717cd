//! The threads around the cache, without a proxy.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use harness::{Gate, PATIENCE};

use crate::connect_error::ConnectError;
use crate::resolve::*;

fn address() -> SocketAddr {
    "127.0.0.1:80".parse().unwrap()
}

/// Asks for a name as a worker does; the answer comes through the channel.
fn ask(resolver: &Resolver, name: &str) -> (Resolution, Receiver<Answer>) {
    let (sender, answers) = channel();
    let target = Arc::new(name.parse().unwrap());
    let deliver = move |answer| drop(sender.send(answer));
    let resolution = resolver.resolve(&target, Instant::now(), deliver);
    (resolution.unwrap(), answers)
}

fn start(threads: usize, lookup: &Lookup) -> Resolver {
    let limits = ResolverLimits {
        threads,
        ..ResolverLimits::default()
    };
    Resolver::start(&limits, lookup).unwrap()
}

/// A lookup that waits at the gate.
fn behind(gate: &Gate) -> Lookup {
    let gate = gate.clone();
    Lookup::new(move |_| {
        gate.wait();
        Ok(vec![address()])
    })
}

#[test]
fn an_address_needs_no_thread() {
    let never = Gate::new("never");
    let resolver = start(1, &behind(&never));
    let (resolution, _) = ask(&resolver, "127.0.0.1:80");
    assert!(matches!(resolution, Resolution::Known(addresses) if addresses == [address()]));
    assert_eq!(resolver.counts(), Counts::default());
}

#[test]
fn a_ticket_that_is_dropped_drops_the_closure() {
    let gate = Gate::new("lookup");
    let resolver = start(1, &behind(&gate));
    let (leaving, gone) = ask(&resolver, "name:80");
    let (_staying, answers) = ask(&resolver, "name:80");
    drop(leaving);
    assert!(gone.recv_timeout(PATIENCE).is_err(), "closed, and not late");
    gate.open();
    let answer = answers.recv_timeout(PATIENCE).unwrap();
    assert_eq!(answer.unwrap(), [address()]);
    let (known, _) = ask(&resolver, "name:80");
    assert!(matches!(known, Resolution::Known(_)));
    let expected = Counts {
        lookups: 1,
        cached: 1,
    };
    assert_eq!(resolver.counts(), expected);
}

#[test]
fn every_client_gets_the_reason_of_a_failure() {
    let gate = Gate::new("lookup");
    let open = gate.clone();
    let lookup = Lookup::new(move |_| {
        open.wait();
        Err(io::Error::new(io::ErrorKind::NotFound, "no such host"))
    });
    let resolver = start(1, &lookup);
    let asked: Vec<_> = (0..3).map(|_| ask(&resolver, "name:80")).collect();
    gate.open();
    for (_ticket, answers) in asked {
        let error = answers.recv_timeout(PATIENCE).unwrap().unwrap_err();
        let ConnectError::Resolve(cause) = error else {
            panic!("{error}");
        };
        assert_eq!(cause.kind(), io::ErrorKind::NotFound);
        assert_eq!(cause.to_string(), "no such host");
    }
}

#[test]
fn the_last_resolver_ends_its_threads_but_waits_for_none() {
    let (begun, gate) = (Gate::new("a lookup has begun"), Gate::new("lookup"));
    let alive = Arc::new(());
    let (held, entered, open) = (Arc::clone(&alive), begun.clone(), gate.clone());
    let lookup = Lookup::new(move |_| {
        let _ = &held;
        entered.open();
        open.wait();
        Ok(vec![address()])
    });
    let resolver = start(4, &lookup);
    let (ticket, answers) = ask(&resolver, "name:80");
    begun.wait();
    drop((resolver, lookup));
    gate.open();
    assert!(answers.recv_timeout(PATIENCE).unwrap().is_ok());
    drop(ticket);
    harness::eventually("all threads have ended", PATIENCE, || {
        Arc::strong_count(&alive) == 1
    });
}
