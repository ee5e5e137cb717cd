//! Exercise 4.6 through the library: names with several addresses, and slow lookups (E11, E13). The
//! addresses are injected, because `localhost` may have one family only.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::{
    BlackHole, Client, ClosedPort, Gate, Hand, PATIENCE, Scripted, Test, eventually,
    eventually_equal,
};
use stage2_client::Target;
use stage4_proxy::ingress::Fixed;
use stage4_proxy::resolve::Lookup;
use stage4_proxy::{Config, Limits, Proxy as InProcess};

use crate::support::{Proxy, connect_and_be_closed, echoes, session, talk};

/// A time limit to wait for, and one that never passes.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);

/// A proxy in this process whose names are looked up by the test.
struct Injected(Option<InProcess>);

impl Injected {
    fn start(
        connect_timeout: Duration,
        lookup: impl Fn() -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        let target: Target = "injected.example:80".parse().expect("a target");
        let lookup = Lookup::new(move |_| lookup());
        let limits = Limits {
            connect_timeout,
            ..Limits::default()
        };
        let config = Config {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            ingress: Arc::new(Fixed::new(target)),
            lookup,
            threads: 1,
            limits: limits.within_fds(1000, 1),
            inspect: None,
        };
        Self(Some(
            InProcess::start(&config).expect("a proxy in this process"),
        ))
    }

    fn proxy(&self) -> &InProcess {
        self.0.as_ref().expect("it runs until it is dropped")
    }

    fn connect(&self) -> Client {
        Client::connect(self.proxy().local_addr())
    }

    fn failures(&self) -> [(&'static str, u64); 6] {
        self.proxy()
            .control()
            .snapshot()
            .totals
            .failures
            .by_reason()
    }
}

impl Drop for Injected {
    fn drop(&mut self) {
        if let Some(proxy) = self.0.take() {
            proxy.control().stop();
            drop(proxy.wait());
        }
    }
}

/// Starts a proxy whose target has these addresses.
fn with_addresses(addresses: &[SocketAddr]) -> Injected {
    let addresses = addresses.to_vec();
    Injected::start(SHORT, move || Ok(addresses.clone()))
}

#[test]
fn e46_the_next_address_is_tried_after_a_refusal() {
    let _test =
        Test::begin("If an address refuses, try the next; only the last one's failure counts.");
    let (closed, echo) = (ClosedPort::start(), Scripted::echo());
    let proxy = with_addresses(&[closed.addr(), closed.addr(), echo.addr()]);
    echoes(&proxy.connect());
    assert!(proxy.failures().iter().all(|&(_, count)| count == 0));
}

#[test]
fn e46_an_ipv6_address_that_refuses_gives_way_to_ipv4() {
    let _test =
        Test::begin("An address of another family is an address like any other: a new socket.");
    let Some(closed) = ClosedPort::ipv6() else {
        return;
    };
    let echo = Scripted::echo();
    echoes(&with_addresses(&[closed.addr(), echo.addr()]).connect());
}

#[test]
fn e46_the_next_address_is_tried_after_the_time_limit() {
    let _test = Test::begin("Each address has a time limit of its own.");
    let (hole, echo) = (BlackHole::start(), Scripted::echo());
    let proxy = with_addresses(&[hole.addr(), echo.addr()]);
    let begun = Instant::now();
    let client = proxy.connect();
    client.send(b"early bytes");
    client.expect(b"early bytes");
    assert!(begun.elapsed() >= SHORT);
    echoes(&client);
    assert_eq!(
        proxy.failures()[3],
        ("timed_out", 0),
        "the session did not fail"
    );
}

#[test]
fn e46_an_address_that_fails_at_once_is_passed_over() {
    let _test = Test::begin("connect(2) may fail at once: go on with the next address.");
    let echo = Scripted::echo();
    let unreachable = "127.255.255.255:80".parse().unwrap();
    echoes(&with_addresses(&[unreachable, echo.addr()]).connect());
}

#[test]
fn e46_when_no_address_answers_the_last_reason_counts() {
    let _test =
        Test::begin("After the last address the client is closed, and one reason is counted.");
    let (hole, closed) = (BlackHole::start(), ClosedPort::start());
    let proxy = with_addresses(&[hole.addr(), closed.addr()]);
    connect_and_be_closed(proxy.proxy().local_addr());
    let expected = [
        ("resolve", 0),
        ("denied", 0),
        ("refused", 1),
        ("timed_out", 0),
        ("unreachable", 0),
        ("other", 0),
    ];
    eventually_equal("failures", &expected, || proxy.failures());
}

#[test]
fn e46_a_name_without_addresses() {
    let _test = Test::begin("A name without an address is a failure.");
    let proxy = with_addresses(&[]);
    connect_and_be_closed(proxy.proxy().local_addr());
    eventually_equal("failures", &("resolve", 1), || proxy.failures()[0]);
}

#[test]
fn e46_a_slow_lookup_delays_nobody() {
    let _test = Test::begin(
        "getaddrinfo blocks: ask it on another thread, and let the answer wake the loop.",
    );
    let (gate, echo) = (Gate::new("lookup"), Scripted::echo());
    let (inside, address) = (gate.clone(), echo.addr());
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let proxy = Injected::start(LONG, move || {
        if counter.fetch_add(1, Ordering::SeqCst) == 0 {
            inside.wait();
        }
        Ok(vec![address])
    });
    let first = proxy.connect();
    first.send(b"I can wait");
    // Its session alone is not enough: the lookup of the second client must not overtake this one.
    eventually("the first lookup is running", PATIENCE, || {
        asked.load(Ordering::SeqCst) == 1
    });
    for _ in 0..10 {
        echoes(&proxy.connect());
    }
    gate.open();
    first.expect(b"I can wait");
}

#[test]
fn e46_a_late_answer_reaches_nobody() {
    let _test = Test::begin(
        "The answer carries the token of the client that asked; it is stale if that client has left.",
    );
    let (late, echo) = (Scripted::echo(), Scripted::echo());
    let gates = [Gate::new("first lookup"), Gate::new("second lookup")];
    let (inside, addresses) = (gates.clone(), [late.addr(), echo.addr()]);
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let proxy = Injected::start(LONG, move || {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        inside[number].wait();
        Ok(vec![addresses[number]])
    });
    let control = proxy.proxy().control();
    let leaving = proxy.connect();
    eventually_equal("sessions", &1, || control.snapshot().sessions.len());
    // Another thread answers the next one, and must not overtake this lookup.
    eventually_equal("lookups", &1, || asked.load(Ordering::SeqCst));
    leaving.reset();
    eventually_equal("sessions", &0, || control.snapshot().sessions.len());
    // It gets the row of the client that left, and waits for an answer as that one did.
    let next = proxy.connect();
    eventually_equal("sessions", &1, || control.snapshot().sessions.len());
    gates[0].open();
    eventually_equal("stale answers", &1, || {
        control.snapshot().totals.stale_events
    });
    gates[1].open();
    echoes(&next);
    assert_eq!((late.accepts(), echo.accepts()), (0, 1));
}

#[test]
fn e46_a_lookup_that_fails_or_never_ends() {
    let _test = Test::begin("A lookup has a time limit, and its failure is one of resolving.");
    let (gate, asked) = (Gate::new("lookup"), AtomicUsize::new(0));
    let inside = gate.clone();
    let proxy = Injected::start(SHORT, move || {
        if asked.fetch_add(1, Ordering::SeqCst) > 0 {
            inside.wait();
        }
        Err(io::Error::other("no such name"))
    });
    connect_and_be_closed(proxy.proxy().local_addr());
    eventually_equal("failures", &("resolve", 1), || proxy.failures()[0]);
    connect_and_be_closed(proxy.proxy().local_addr());
    eventually_equal("failures", &("resolve", 2), || proxy.failures()[0]);
    gate.open();
}

/// Listens on one port in both families, if this machine has both and `localhost` means both.
fn both_families() -> Option<(TcpListener, TcpListener)> {
    let names: Vec<_> = std::net::ToSocketAddrs::to_socket_addrs("localhost:1")
        .ok()?
        .collect();
    let both = names.iter().any(SocketAddr::is_ipv4) && names.iter().any(SocketAddr::is_ipv6);
    let six = both.then(|| TcpListener::bind("[::1]:0").ok())??;
    let four = TcpListener::bind(("127.0.0.1", six.local_addr().ok()?.port())).ok()?;
    Some((six, four))
}

#[test]
fn e46_ipv6_comes_first_unless_ipv4_is_preferred() {
    let _test = Test::begin("--prefer decides which family is tried first.");
    let Some((six, four)) = both_families() else {
        eprintln!("skipped: localhost has not both an IPv6 and an IPv4 address");
        return;
    };
    let target = format!("localhost:{}", six.local_addr().unwrap().port());
    for (prefer, listener) in [("ipv6", &six), ("ipv4", &four)] {
        let proxy = Proxy::with(&target, &["--prefer", prefer]);
        let client = Client::connect(proxy.addr());
        let (upstream, _) = listener.accept().unwrap();
        drop(upstream);
        client.expect_eof();
    }
}

#[test]
fn e46_a_name_is_looked_up_by_the_system() {
    let _test = Test::begin("localhost is a name: its addresses come from getaddrinfo.");
    let hand = Hand::start();
    let proxy = Proxy::to(&format!("localhost:{}", hand.addr().port()));
    let (client, upstream) = session(&proxy, &hand);
    talk(&client, &upstream);
}
