//! Exercise 4.6 through the library: names with several addresses, and slow lookups (E11, E13). The
//! addresses are injected, because `localhost` may have one family only.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::{
    BlackHole, Client, ClosedPort, Gate, Hand, PATIENCE, Scripted, Test, eventually,
    eventually_equal, sockets,
};
use stage2_client::Target;
use stage4_proxy::access::Policy;
use stage4_proxy::ingress::{self, Fixed, Ingress, Opening};
use stage4_proxy::inspect::{Scope, Snapshot};
use stage4_proxy::proxy_protocol::ProxyProtocol;
use stage4_proxy::resolve::{Lookup, ResolverLimits};
use stage4_proxy::{Config, Control, Limits, Proxy as InProcess};

use crate::support::{Proxy, connect_and_be_closed, echoes, session, talk};

/// A time limit to wait for, and one that never passes.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);

/// Gives each client a target of its own, `name-0.example:80` and so on: the answer for a name is kept for some
/// seconds, and a test that wants to see several lookups needs several names.
#[derive(Debug, Default)]
struct Numbered {
    clients: AtomicUsize,
    hold: Option<Hold>,
}

/// Holds the worker back while it opens the session of one client.
#[derive(Clone, Debug)]
struct Hold {
    client: usize,
    entered: Gate,
    release: Gate,
}

impl Ingress for Numbered {
    fn name(&self) -> &'static str {
        "numbered"
    }

    fn open(&self, _: &ingress::Client<'_>) -> Opening {
        let number = self.clients.fetch_add(1, Ordering::SeqCst);
        if let Some(hold) = &self.hold
            && hold.client == number
        {
            hold.entered.open();
            hold.release.wait();
        }
        let target: Target = format!("name-{number}.example:80")
            .parse()
            .expect("a target");
        Opening::Target(Arc::new(target))
    }
}

/// A proxy in this process whose names are looked up by the test.
pub(crate) struct Injected(Option<InProcess>);

impl Injected {
    pub(crate) fn start(
        connect_timeout: Duration,
        lookup: impl Fn() -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        let limits = Limits {
            connect_timeout,
            drain_timeout: LONG,
            ..Limits::default()
        };
        Self::start_with(Numbered::default(), limits, move |_| lookup())
    }

    pub(crate) fn start_with(
        ingress: impl Ingress + 'static,
        limits: Limits,
        lookup: impl Fn(&Target) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        let config = Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into(),
            ingress: Arc::new(ingress),
            access: Policy::for_fixed(&[]),
            proxy_protocol: ProxyProtocol::default(),
            chain: Vec::new(),
            lookup: Lookup::new(lookup),
            threads: 1,
            udp: false,
            limits: limits.within_fds(1000, 1),
            inspect: None,
        };
        Self(Some(
            InProcess::start(&config).expect("a proxy in this process"),
        ))
    }

    pub(crate) fn proxy(&self) -> &InProcess {
        self.0.as_ref().expect("it runs until it is dropped")
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.proxy().local_addr())
    }

    fn failures(&self) -> [(&'static str, u64); 6] {
        snapshot(&self.proxy().control())
            .totals
            .failures
            .by_reason()
    }
}

/// Returns what the inspector shows, or nothing if the worker is too busy to answer.
pub(crate) fn snapshot(control: &Control) -> Snapshot {
    control.snapshot(Scope::Sessions).unwrap_or_default()
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
    let failures = proxy.failures();
    assert!(
        failures.iter().all(|&(_, count)| count == 0),
        "the last address answers, so nothing has failed: {failures:?}"
    );
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
    let _test = Test::begin(
        "Each address has a time limit of its own, and a proxy does not try more than a few at the same time.",
    );
    let (holes, echo) = ([(); 3].map(|()| BlackHole::start()), Scripted::echo());
    let mut addresses = holes.each_ref().map(BlackHole::addr).to_vec();
    addresses.push(echo.addr());
    let proxy = with_addresses(&addresses);
    let begun = Instant::now();
    let client = proxy.connect();
    client.send(b"early bytes");
    client.expect(b"early bytes");
    let took = begun.elapsed();
    assert!(
        took >= SHORT,
        "the silent addresses were given up after {took:?}, before their time was over"
    );
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
fn e46_when_no_address_answers_the_last_failure_counts() {
    let _test =
        Test::begin("After the last failure the client is closed, and one reason is counted.");
    let (hole, closed) = (BlackHole::start(), ClosedPort::start());
    for addresses in [[hole.addr(), closed.addr()], [closed.addr(), hole.addr()]] {
        let proxy = with_addresses(&addresses);
        connect_and_be_closed(proxy.proxy().local_addr());
        let expected = [
            ("resolve", 0),
            ("denied", 0),
            ("refused", 0),
            ("timed_out", 1),
            ("unreachable", 0),
            ("other", 0),
        ];
        eventually_equal("failures", &expected, || proxy.failures());
    }
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

/// The first client leaves while its answer is on its way, and another one gets its row before the worker reads the answer.
///
/// The test holds the worker to fix that order: its next turn finds the reset of the first client, then its mail. There
/// the request to drain comes first, which accepts the last client into the free row; the answer comes second.
#[test]
fn e46_a_late_answer_reaches_nobody() {
    let _test = Test::begin(
        "The answer carries the token of the client that asked; it is stale if that client has left.",
    );
    let (late, echo) = (Scripted::echo(), Scripted::echo());
    let gates = [Gate::new("first lookup"), Gate::new("other lookups")];
    let (inside, addresses) = (gates.clone(), [late.addr(), echo.addr()]);
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let hold = Hold {
        client: 2,
        entered: Gate::new("the worker is held"),
        release: Gate::new("the worker goes on"),
    };
    let ingress = Numbered {
        hold: Some(hold.clone()),
        ..Numbered::default()
    };
    let proxy = Injected::start_with(ingress, one_at_a_time(), move |_| {
        let number = counter.fetch_add(1, Ordering::SeqCst).min(1);
        inside[number].wait();
        Ok(vec![addresses[number]])
    });
    let (address, control) = (proxy.proxy().local_addr(), proxy.proxy().control());
    let leaving = proxy.connect();
    eventually_equal("lookups", &1, || asked.load(Ordering::SeqCst));
    // There is one thread: once it looks up this client's name, the answer before is in the worker's mailbox.
    let _waiting = proxy.connect();
    eventually_equal("sessions", &2, || snapshot(&control).sessions.len());
    let _held = proxy.connect();
    hold.entered.wait();
    let next = proxy.connect();
    let gone = leaving.local();
    leaving.reset();
    eventually("the reset is there", PATIENCE, || {
        !sockets::is_established(address, gone)
    });
    control.drain();
    gates[0].open();
    eventually_equal("lookups", &2, || asked.load(Ordering::SeqCst));
    hold.release.open();
    eventually_equal("stale answers", &1, || {
        snapshot(&control).totals.stale_events
    });
    gates[1].open();
    echoes(&next);
    assert_eq!(
        late.accepts(),
        0,
        "connections that the late upstream has accepted"
    );
}

/// One thread for names, and one client accepted in a turn.
pub(crate) fn one_at_a_time() -> Limits {
    let resolver = ResolverLimits {
        threads: 1,
        ..ResolverLimits::default()
    };
    Limits {
        connect_timeout: LONG,
        drain_timeout: LONG,
        accepts_per_turn: 1,
        resolver,
        ..Limits::default()
    }
}

/// Starts a proxy to one name, and counts the lookups of it, which wait at the gate.
fn one_name(gate: &Gate, answer: io::Result<SocketAddr>) -> (Injected, Arc<AtomicUsize>) {
    let (asked, inside) = (Arc::new(AtomicUsize::new(0)), gate.clone());
    let counter = Arc::clone(&asked);
    let answer = answer.map_err(|error| error.kind());
    let target = "example:80".parse().expect("a target");
    let limits = Limits {
        connect_timeout: LONG,
        ..Limits::default()
    };
    let proxy = Injected::start_with(Fixed::new(target), limits, move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        inside.wait();
        Ok(vec![answer?])
    });
    (proxy, asked)
}

#[test]
fn e46_a_burst_of_clients_costs_one_lookup() {
    let _test = Test::begin("All clients that wait for a name share one lookup and its answer.");
    let (gate, echo) = (Gate::new("lookup"), Scripted::echo());
    let (proxy, asked) = one_name(&gate, Ok(echo.addr()));
    let control = proxy.proxy().control();
    let burst: Vec<Client> = (0..300).map(|_| proxy.connect()).collect();
    eventually_equal("sessions", &300, || snapshot(&control).sessions.len());
    for client in burst {
        client.reset();
    }
    eventually_equal("sessions", &0, || snapshot(&control).sessions.len());
    let next = proxy.connect();
    gate.open();
    echoes(&next);
    echoes(&proxy.connect());
    assert_eq!(
        asked.load(Ordering::SeqCst),
        1,
        "lookups of a name that all clients wait for"
    );
    assert_eq!(echo.accepts(), 2, "no connect for clients that have left");
}

#[test]
fn e46_a_failed_lookup_is_the_answer_for_all() {
    let _test =
        Test::begin("All clients that wait for a name share the failure of its lookup, too.");
    let gate = Gate::new("lookup");
    let (proxy, asked) = one_name(&gate, Err(io::ErrorKind::NotFound.into()));
    let control = proxy.proxy().control();
    let clients: Vec<Client> = (0..10).map(|_| proxy.connect()).collect();
    eventually_equal("sessions", &10, || snapshot(&control).sessions.len());
    gate.open();
    for client in clients {
        client.expect_closed();
    }
    eventually_equal("failures", &("resolve", 10), || proxy.failures()[0]);
    assert_eq!(
        asked.load(Ordering::SeqCst),
        1,
        "lookups of a name that all clients wait for"
    );
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
