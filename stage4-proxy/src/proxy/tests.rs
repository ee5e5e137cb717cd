use super::*;

use std::collections::VecDeque;
use std::net::TcpListener;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use harness::End;
use harness::connect::Connect;
use harness::{
    BlackHole, Digest, Gate, Hand, PATIENCE, Peer, Rng, Scripted, eventually, eventually_equal,
    sockets,
};
use socket2::Socket;
use stage1_server::local_addr;
use stage2_client::Target;

use crate::ingress::{Client, Failure, Fixed, Handshake, Opening, Step, Verdict};
use crate::inspect::{Scope, Snapshot, Totals};

mod addresses;
mod between_requests;
mod resolving;
mod rules;
mod stale;

/// A time limit that the test lets pass.
const SHORT: Duration = Duration::from_millis(300);

/// A proxy that ends with its test.
struct Running {
    proxy: Option<Proxy>,
}

impl Running {
    fn start(ingress: impl Ingress + 'static, lookup: Lookup, limits: Limits) -> Self {
        Self::from(&Config {
            listen: anywhere().into(),
            ingress: Arc::new(ingress),
            access: Policy::for_fixed(&[]),
            proxy_protocol: ProxyProtocol::default(),
            chain: Vec::new(),
            lookup,
            threads: 1,
            udp: false,
            limits,
            inspect: None,
        })
    }

    fn from(config: &Config) -> Self {
        let proxy = Some(Proxy::start(config).unwrap());
        Self { proxy }
    }

    fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().unwrap()
    }

    fn client(&self) -> Peer {
        Peer::connect(self.proxy().local_addr())
    }

    /// Returns what the inspector shows, or nothing if the worker is too busy to answer.
    fn snapshot(&self) -> Snapshot {
        let control = self.proxy().control();
        control.snapshot(Scope::Sessions).unwrap_or_default()
    }

    fn totals(&self) -> Totals {
        self.snapshot().totals
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
    Lookup::new(move |_| Ok(addresses.clone()))
}

/// The same, but only once `gate` is open, because the connect(2) of a client that is reset at once
/// could fail itself.
fn answering_behind(gate: &Gate, answer: Lookup) -> Lookup {
    let gate = gate.clone();
    Lookup::new(move |target| {
        gate.wait();
        answer.resolve(target)
    })
}

/// An address that refuses, as long as the socket lives; without IPv6, one that cannot be reached.
fn refusing() -> (Option<Socket>, SocketAddr) {
    use socket2::{Domain, Type};
    let loopback: SocketAddr = "[::1]:0".parse().unwrap();
    let bound = || {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
        socket.bind(&loopback.into())?;
        let address = local_addr(&socket)?;
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

    fn open(&self, _: &Client<'_>) -> Opening {
        Opening::Target(self.0.lock().unwrap().pop_front().expect("one more target"))
    }
}

/// A lookup that answers with one address, but holds back the answer for `slow`.
struct Held {
    /// Opens when the slow name was asked for.
    asked: Gate,
    /// Releases the answer.
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
        lookup: Lookup::new(lookup),
    }
}

/// Greets first, as mail servers do, and then waits for input.
#[derive(Debug)]
struct Greeting {
    greeted: bool,
}

impl Ingress for Greeting {
    fn name(&self) -> &'static str {
        "greeting"
    }

    fn open(&self, _: &Client<'_>) -> Opening {
        Opening::Handshake(Box::new(Self { greeted: false }))
    }
}

impl Handshake for Greeting {
    fn advance(&mut self, _: &[u8]) -> Step {
        let greeted = std::mem::replace(&mut self.greeted, true);
        Step {
            consumed: 0,
            reply: if greeted { &b""[..] } else { b"welcome" }.to_vec(),
            forward: Vec::new(),
            exchange: None,
            verdict: Verdict::More,
        }
    }

    fn connected(&mut self, _: Option<SocketAddr>) -> Vec<u8> {
        Vec::new()
    }

    fn failed(&mut self, _: &Failure<'_>) -> Vec<u8> {
        Vec::new()
    }
}

#[test]
fn a_handshake_may_speak_first() {
    let ingress = Greeting { greeted: false };
    let proxy = Running::start(ingress, answering(Vec::new()), Limits::default());
    proxy.client().expect(b"welcome");
}

/// `EPOLLOUT` is added only after the first short write.
#[test]
fn a_client_that_is_slow_to_read_gets_everything() {
    let bytes = Rng::for_test().bytes(16 << 20);
    let source = Scripted::source(bytes.clone());
    let ingress = Fixed::new(target(&source.addr_text()));
    let proxy = Running::start(ingress, answering(Vec::new()), Limits::default());
    let slow = Connect::new().receive_buffer(32 * 1024);
    let slow = slow.to(proxy.proxy().local_addr());
    let mut moved = 0;
    eventually("the transfer stalls", PATIENCE, || {
        let before = std::mem::replace(&mut moved, proxy.totals().bytes_down);
        moved > 0 && moved == before
    });
    let drained = slow.drain();
    assert_eq!(drained.digest, Digest::of(&bytes));
    assert_eq!(drained.end, End::Eof);
}
