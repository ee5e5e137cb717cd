use super::*;

use std::collections::VecDeque;
use std::net::TcpListener;
use std::sync::Mutex;

use harness::connect::Connect;
use harness::receive::End;
use harness::{
    BlackHole, Digest, Gate, PATIENCE, Peer, Rng, Scripted, eventually, eventually_equal, sockets,
};
use stage2_client::Target;

use crate::connect::ConnectError;
use crate::ingress::{Fixed, Handshake, Opening, Step, Verdict};
use crate::inspect::Totals;

/// A time limit that is meant to pass.
const SHORT: Duration = Duration::from_millis(300);

/// A proxy that ends with its test.
struct Running {
    proxy: Option<Proxy>,
}

impl Running {
    fn start(ingress: impl Ingress + 'static, lookup: Lookup, limits: Limits) -> Self {
        let config = Config {
            listen: anywhere(),
            ingress: Arc::new(ingress),
            lookup,
            threads: 1,
            limits,
            inspect: None,
        };
        let proxy = Some(Proxy::start(&config).unwrap());
        Self { proxy }
    }

    fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().unwrap()
    }

    fn client(&self) -> Peer {
        Peer::connect(self.proxy().local_addr())
    }

    fn totals(&self) -> Totals {
        self.proxy().control().snapshot().totals
    }

    fn await_sessions(&self, count: u64) {
        eventually_equal("open sessions", &count, || self.totals().sessions_open);
    }

    fn await_stale_events(&self, count: u64) {
        eventually_equal("stale events", &count, || self.totals().stale_events);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(proxy) = self.proxy.take() {
            proxy.control().stop();
            let ended = proxy.wait();
            assert!(ended.is_ok() || thread::panicking(), "{ended:?}");
        }
    }
}

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn target(text: &str) -> Target {
    text.parse().unwrap()
}

fn by_name() -> Fixed {
    Fixed::new(target("example:80"))
}

/// A lookup that always answers with `addresses`.
fn answering(addresses: Vec<SocketAddr>) -> Lookup {
    Arc::new(move |_| Ok(addresses.clone()))
}

/// The same, but only once `gate` is open: a client that is reset before its connect(2) has
/// returned is told so by connect(2).
fn answering_behind(gate: &Gate, answer: Lookup) -> Lookup {
    let gate = gate.clone();
    Arc::new(move |target| {
        gate.wait();
        answer(target)
    })
}

/// An address that refuses, as long as the socket lives; without IPv6, one that cannot be reached.
fn refusing() -> (Option<Socket>, SocketAddr) {
    use socket2::{Domain, Type};
    let loopback: SocketAddr = "[::1]:0".parse().unwrap();
    let bound = || {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
        socket.bind(&loopback.into())?;
        let address = local_address(&socket)?;
        io::Result::Ok((socket, address))
    };
    match bound() {
        Ok((socket, address)) => (Some(socket), address),
        Err(_) => (None, "[::1]:9".parse().unwrap()),
    }
}

fn assert_echoes(client: &Peer) {
    client.send(b"are you there?");
    client.expect(b"are you there?");
}

mod addresses {
    use super::*;

    #[test]
    fn the_next_address_is_tried_when_one_refuses() {
        let echo = Scripted::echo();
        let (_refusing, v6) = refusing();
        let lookup = answering(vec![v6, echo.addr()]);
        let proxy = Running::start(by_name(), lookup, Limits::default());
        assert_echoes(&proxy.client());
        assert_eq!(proxy.totals().failures, Default::default());
    }

    #[test]
    fn the_next_address_is_tried_when_one_stays_silent() {
        let echo = Scripted::echo();
        let hole = BlackHole::start();
        let limits = Limits {
            connect_timeout: SHORT,
            ..Limits::default()
        };
        let lookup = answering(vec![hole.addr(), echo.addr()]);
        let proxy = Running::start(by_name(), lookup, limits);
        let begin = Instant::now();
        assert_echoes(&proxy.client());
        assert!(begin.elapsed() >= SHORT, "the first address had its time");
        assert_eq!(proxy.totals().failures, Default::default());
    }

    #[test]
    fn the_last_address_s_reason_is_the_client_s() {
        let (_refusing, v6) = refusing();
        let hole = BlackHole::start();
        let limits = Limits {
            connect_timeout: SHORT,
            ..Limits::default()
        };
        let connected = Gate::new("the client is connected");
        let lookup = answering_behind(&connected, answering(vec![v6, hole.addr()]));
        let proxy = Running::start(by_name(), lookup, limits);
        let client = proxy.client();
        connected.open();
        client.expect_reset();
        let failures = proxy.totals().failures;
        assert_eq!((failures.timed_out, failures.refused), (1, 0));
    }

    #[test]
    fn a_name_without_an_address_is_a_failure_of_resolving() {
        let answers: [Lookup; 2] = [
            answering(Vec::new()),
            Arc::new(|_| Err(io::Error::other("no such host"))),
        ];
        for answer in answers {
            let connected = Gate::new("the client is connected");
            let lookup = answering_behind(&connected, answer);
            let proxy = Running::start(by_name(), lookup, Limits::default());
            let client = proxy.client();
            connected.open();
            client.expect_reset();
            assert_eq!(proxy.totals().failures.resolve, 1);
        }
    }
}

/// Sends each client to the next target of a list.
#[derive(Debug)]
struct InTurn(Mutex<VecDeque<Arc<Target>>>);

impl InTurn {
    fn new(targets: &[&str]) -> Self {
        let targets = targets.iter().map(|text| Arc::new(target(text)));
        Self(Mutex::new(targets.collect()))
    }
}

impl Ingress for InTurn {
    fn name(&self) -> &'static str {
        "in-turn"
    }

    fn open(&self) -> Opening {
        Opening::Target(self.0.lock().unwrap().pop_front().expect("one more target"))
    }
}

/// A lookup that answers with one address, but holds `slow` up.
struct Held {
    /// Opens when the slow name was asked for.
    asked: Gate,
    /// Lets the answer go.
    release: Gate,
    lookup: Lookup,
}

fn holding_slow(address: SocketAddr) -> Held {
    let (asked, release) = (
        Gate::new("the name was asked for"),
        Gate::new("the answer may go"),
    );
    let (entered, open) = (asked.clone(), release.clone());
    let lookup = move |target: &Target| {
        if target.to_string() == "slow:80" {
            entered.open();
            open.wait();
        }
        Ok(vec![address])
    };
    Held {
        asked,
        release,
        lookup: Arc::new(lookup),
    }
}

mod resolving {
    use super::*;

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
        let limits = Limits {
            resolver_threads: 1,
            ..Limits::default()
        };
        let proxy = Running::start(ingress, held.lookup, limits);
        let slow = proxy.client();
        held.asked.wait();
        assert_echoes(&proxy.client());
        held.release.open();
        assert_echoes(&slow);
    }

    #[test]
    fn an_answer_for_a_client_that_is_gone_is_counted_and_dropped() {
        let echo = Scripted::echo();
        let held = holding_slow(echo.addr());
        let ingress = InTurn::new(&["slow:80", "quick:80"]);
        let proxy = Running::start(ingress, held.lookup, Limits::default());
        let gone = proxy.client();
        held.asked.wait();
        gone.reset();
        proxy.await_sessions(0);
        let next = proxy.client();
        assert_echoes(&next);
        held.release.open();
        proxy.await_stale_events(1);
        assert_eq!(echo.accepts(), 1, "nobody connects for who is gone");
        assert_echoes(&next);
    }

    /// Goes to `slow:80` at once, and says why if it does not work.
    #[derive(Debug)]
    struct Asking;

    impl Ingress for Asking {
        fn name(&self) -> &'static str {
            "asking"
        }

        fn open(&self) -> Opening {
            Opening::Handshake(Box::new(Self))
        }
    }

    impl Handshake for Asking {
        fn advance(&mut self, _: &[u8]) -> Step {
            Step {
                consumed: 0,
                reply: Vec::new(),
                verdict: Verdict::Connect(Arc::new(target("slow:80"))),
            }
        }

        fn connected(&mut self, _: Option<SocketAddr>) -> Vec<u8> {
            b"connected".to_vec()
        }

        fn failed(&mut self, error: &ConnectError) -> Vec<u8> {
            error.to_string().into_bytes()
        }
    }

    #[test]
    #[ignore = "a known fault: a late answer brings a session back that is seeing its client off"]
    fn an_answer_for_a_client_that_was_refused_meanwhile_is_dropped_too() {
        let echo = Scripted::echo();
        let held = holding_slow(echo.addr());
        let limits = Limits {
            connect_timeout: SHORT,
            ..Limits::default()
        };
        let proxy = Running::start(Asking, held.lookup, limits);
        let client = proxy.client();
        held.asked.wait();
        assert_eq!(client.read_to_end(), b"name resolution failed");
        held.release.open();
        proxy.await_stale_events(1);
        assert_eq!(echo.accepts(), 0, "the client has had its answer");
    }
}

/// A client is watched for room only from the first time on that there was none.
#[test]
fn a_client_that_is_slow_to_read_gets_everything() {
    let bytes = Rng::for_test().bytes(8 << 20);
    let source = Scripted::source(bytes.clone());
    let ingress = Fixed::new(target(&source.addr_text()));
    let proxy = Running::start(ingress, answering(Vec::new()), Limits::default());
    let slow = Connect::new().receive_buffer(4096);
    let slow = slow.to(proxy.proxy().local_addr());
    eventually("bytes are under way", PATIENCE, || {
        proxy.totals().bytes_down > 0
    });
    let drained = slow.drain();
    assert_eq!(drained.digest, Digest::of(&bytes));
    assert_eq!(drained.end, End::Eof);
}

mod stale {
    use super::*;

    /// Goes to one target, but stops the whole event loop at the second client.
    #[derive(Debug)]
    struct Stopping {
        clients: Mutex<usize>,
        target: Arc<Target>,
        stopped: Gate,
        go_on: Gate,
    }

    impl Ingress for Stopping {
        fn name(&self) -> &'static str {
            "stopping"
        }

        fn open(&self) -> Opening {
            let mut clients = self.clients.lock().unwrap();
            *clients += 1;
            if *clients == 2 {
                self.stopped.open();
                self.go_on.wait();
            }
            Opening::Target(Arc::clone(&self.target))
        }
    }

    /// While the loop stands still, a session's client resets and its upstream sends: the kernel
    /// gives both events in one batch, and the first one ends the session.
    #[test]
    fn an_event_of_a_session_that_ended_in_the_same_batch_reaches_nobody() {
        let listener = TcpListener::bind(anywhere()).unwrap();
        let (stopped, go_on) = (Gate::new("the loop stands still"), Gate::new("it goes on"));
        let ingress = Stopping {
            clients: Mutex::new(0),
            target: Arc::new(target(&listener.local_addr().unwrap().to_string())),
            stopped: stopped.clone(),
            go_on: go_on.clone(),
        };
        let proxy = Running::start(ingress, answering(Vec::new()), Limits::default());
        let first = proxy.client();
        let (upstream, _) = listener.accept().unwrap();
        eventually("the first session relays", PATIENCE, || {
            let sessions = proxy.proxy().control().snapshot().sessions;
            sessions.iter().any(|session| session.phase == "relay")
        });
        let second = proxy.client();
        stopped.wait();

        let (proxy_s, client_s) = (first.remote(), first.local());
        first.reset();
        eventually("the reset has arrived", PATIENCE, || {
            sockets::find(proxy_s, client_s).is_none()
        });
        io::Write::write_all(&mut &upstream, b"for whom?").unwrap();
        let arrived = |row: sockets::SocketRow| row.unread == 9;
        let (here, there) = (
            upstream.local_addr().unwrap(),
            upstream.peer_addr().unwrap(),
        );
        eventually("the upstream's bytes have arrived", PATIENCE, || {
            sockets::find(there, here).is_some_and(arrived)
        });
        go_on.open();

        proxy.await_stale_events(1);
        let (next_upstream, _) = listener.accept().unwrap();
        io::Write::write_all(&mut &next_upstream, b"for the second").unwrap();
        second.expect(b"for the second");
    }
}
