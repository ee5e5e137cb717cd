//! What the tests of stage 4 share: a proxy with its inspector, and an upstream that a test plays by hand.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use harness::scripted::Options;
use harness::{
    Client, Connect, PATIENCE, Peer, Program, Scripted, Server, eventually, eventually_equal, fail,
    scaled, sockets,
};
use serde::Deserialize;

/// A window in which a waiting program uses no CPU.
pub(crate) const HALF_A_SECOND: Duration = Duration::from_millis(500);

/// One KiB and one MiB, in bytes.
pub(crate) const KIB: usize = 1024;
pub(crate) const MIB: usize = 1024 * 1024;

/// The program under test.
pub(crate) fn program() -> PathBuf {
    harness::bin!("stage4-proxy")
}

/// A running proxy whose inspector can be asked.
#[derive(Debug)]
pub(crate) struct Proxy {
    server: Server,
    inspector: SocketAddr,
}

impl Proxy {
    /// Starts a proxy to `upstream`.
    #[track_caller]
    pub(crate) fn to(upstream: impl Display + Copy) -> Self {
        Self::with(upstream, &[])
    }

    /// Starts a proxy to `upstream` with further arguments.
    #[track_caller]
    pub(crate) fn with(upstream: impl Display + Copy, arguments: &[&str]) -> Self {
        Self::start(&Program::new(program()).args(arguments), upstream)
    }

    /// Starts a proxy from a prepared program.
    #[track_caller]
    pub(crate) fn start(program: &Program, upstream: impl Display + Copy) -> Self {
        let program = program.clone().args(["--listen", "127.0.0.1:0"]);
        let program = program.args(["--upstream", &upstream.to_string(), "--inspect", "0"]);
        let server = program.serve();
        let line = server.wait_for_stderr("inspector on http://");
        let (_, rest) = line.split_once("http://").unwrap_or_default();
        let Ok(inspector) = rest.trim_end_matches('/').parse() else {
            fail(format!("no address of the inspector in {line:?}"))
        };
        Self { server, inspector }
    }

    /// Returns the address of the inspector.
    pub(crate) fn inspector(&self) -> SocketAddr {
        self.inspector
    }

    /// Asks the inspector with one GET and returns the head and the body of its answer.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> (String, String) {
        self.ask("GET", path)
    }

    /// Asks the inspector and returns the head and the body of its answer.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str) -> (String, String) {
        let client = Client::connect(self.inspector);
        let host = self.inspector;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        client.send(head.as_bytes());
        let answer = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) => (head.to_owned(), body.to_owned()),
            None => fail(format!("the inspector answers {answer:?}")),
        }
    }

    /// Returns what `/routes.json` says.
    #[track_caller]
    pub(crate) fn routes(&self) -> Routes {
        let (_, body) = self.get("/routes.json");
        serde_json::from_str(&body)
            .unwrap_or_else(|error| fail(format!("/routes.json cannot be read: {error}: {body}")))
    }

    /// Returns the row of one client.
    #[track_caller]
    pub(crate) fn row_of(&self, client: &Client) -> Row {
        let mut routes = self.routes().sessions;
        routes.retain(|row| row.client.peer == Some(client.local()));
        match <[Row; 1]>::try_from(routes) {
            Ok([row]) => row,
            Err(rows) => fail(format!("{} has {} rows", client.name(), rows.len())),
        }
    }

    /// Waits until the route table has `count` rows.
    #[track_caller]
    pub(crate) fn wait_for_rows(&self, count: usize) {
        eventually_equal("rows of the route table", &count, || {
            self.routes().sessions.len()
        });
    }

    /// Waits until the rows of the table are in these phases, in the order of the alphabet.
    #[track_caller]
    pub(crate) fn wait_for_phases(&self, phases: &[&str]) {
        let expected: Vec<String> = phases.iter().map(|&phase| phase.to_owned()).collect();
        eventually_equal("phases of the sessions", &expected, || {
            let mut phases: Vec<_> = self
                .routes()
                .sessions
                .into_iter()
                .map(|row| row.phase)
                .collect();
            phases.sort();
            phases
        });
    }

    /// Returns what `/metrics` says, by sample.
    #[track_caller]
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let (_, body) = self.get("/metrics");
        let lines = body.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let sample = line
                    .rsplit_once(' ')
                    .and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
                sample.unwrap_or_else(|| fail(format!("no sample: {line:?}")))
            })
            .collect()
    }

    /// Waits until a sample of `/metrics` has this value.
    #[track_caller]
    pub(crate) fn wait_for_metric(&self, name: &str, value: f64) {
        eventually_equal(name, &Some(value), || self.metrics().get(name).copied());
    }
}

impl Deref for Proxy {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// `/routes.json`, as the design has it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Routes {
    pub(crate) sessions: Vec<Row>,
    pub(crate) totals: serde_json::Value,
}

/// One row of the route table.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) client: Cell,
    pub(crate) upstream: Option<Cell>,
    pub(crate) phase: String,
    pub(crate) description: String,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
    pub(crate) age_ms: u64,
}

/// One socket of a row.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Cell {
    pub(crate) fd: i32,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) peer: Option<SocketAddr>,
}

/// An upstream whose connections the test plays itself, in the order of their arrival.
#[derive(Debug)]
pub(crate) struct Hand {
    scripted: Scripted,
    arrivals: Receiver<Peer>,
}

impl Hand {
    /// Starts an upstream with the kernel's buffers.
    pub(crate) fn start() -> Self {
        Self::with(Scripted::options("upstream"))
    }

    /// Starts an upstream from options.
    pub(crate) fn with(options: Options) -> Self {
        let (arrive, arrivals) = mpsc::channel();
        let scripted = options.start(move |peer| {
            // A test that is over no longer wants its connections.
            drop(arrive.send(peer));
        });
        Self { scripted, arrivals }
    }

    /// Waits for the next connection.
    #[track_caller]
    pub(crate) fn next(&self) -> Peer {
        let arrival = self.arrivals.recv_timeout(scaled(PATIENCE));
        arrival.unwrap_or_else(|_| fail("The proxy did not connect to the upstream."))
    }
}

impl Deref for Hand {
    type Target = Scripted;

    fn deref(&self) -> &Scripted {
        &self.scripted
    }
}

/// Connects a client that the proxy closes, with a reset or not, as soon as it likes: even before it is here.
#[track_caller]
pub(crate) fn connect_and_be_closed(proxy: SocketAddr) {
    match Connect::new().try_to(proxy) {
        Ok(client) => drop(client.expect_closed()),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => fail(format!("A client cannot connect to {proxy}: {error}.")),
    }
}

/// Checks that a peer that has read the end of its stream is reset now: read(2) goes on to say 0 then, so ask `SO_ERROR`.
#[track_caller]
pub(crate) fn expect_reset_after_eof(peer: &Peer) {
    eventually(&format!("{} is reset", peer.name()), PATIENCE, || {
        matches!(peer.stream().take_error(), Ok(Some(_)))
    });
}

/// Checks that `bytes` cannot all be sent, because the connection is reset meanwhile.
#[track_caller]
pub(crate) fn expect_reset_while_sending(sent: &std::io::Result<()>) {
    let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    match sent {
        Err(error) if kinds.contains(&error.kind()) => {}
        Err(error) => fail(format!("The sender is not reset but {error}.")),
        Ok(()) => fail("Everything was sent, although nobody reads."),
    }
}

/// Starts a proxy to an upstream that is played by hand.
#[track_caller]
pub(crate) fn proxy_and_hand(arguments: &[&str]) -> (Proxy, Hand) {
    let hand = Hand::start();
    (Proxy::with(hand.addr(), arguments), hand)
}

/// Starts a proxy to an echo.
#[track_caller]
pub(crate) fn proxy_and_echo(arguments: &[&str]) -> (Proxy, Scripted) {
    let echo = Scripted::echo();
    (Proxy::with(echo.addr(), arguments), echo)
}

/// Opens a session and returns both its ends.
#[track_caller]
pub(crate) fn session(proxy: &Proxy, hand: &Hand) -> (Client, Peer) {
    let client = Client::connect(proxy.addr());
    let upstream = hand.next();
    (client, upstream)
}

/// Checks that two ends are connected: a nonce each way.
#[track_caller]
pub(crate) fn talk(client: &Client, upstream: &Peer) {
    let mut rng = harness::Rng::for_test();
    let (question, answer) = (rng.nonce(24), rng.nonce(24));
    client.send(&question);
    upstream.expect(&question);
    upstream.send(&answer);
    client.expect(&answer);
}

/// Checks that a client is served by an echo.
#[track_caller]
pub(crate) fn echoes(client: &Client) {
    let nonce = harness::Rng::for_test().nonce(24);
    client.send(&nonce);
    client.expect(&nonce);
}

/// Returns how many bytes have arrived at a peer that it has not read.
pub(crate) fn unread(peer: &Peer) -> u64 {
    sockets::find(peer.local(), peer.remote()).map_or(0, |row| row.unread)
}

/// Waits until nothing more moves: the proxy has given all it has, or is held back.
#[track_caller]
pub(crate) fn wait_until_still(proxy: &Proxy) {
    let mut before = u64::MAX;
    let mut still = 0;
    eventually("the transfer stands still", PATIENCE, || {
        let totals = proxy.routes().totals;
        let moved = ["bytes_up", "bytes_down"].map(|name| totals[name].as_u64().unwrap_or(0));
        let moved = moved.iter().sum();
        still = if moved == before { still + 1 } else { 0 };
        before = moved;
        still > 50
    });
}

/// Returns how many sockets listen on an IPv4 address.
pub(crate) fn listeners(address: SocketAddr) -> usize {
    let IpAddr::V4(ip) = address.ip() else {
        return 0;
    };
    // The kernel prints the four bytes as one number in the machine's own order; state 0A is LISTEN.
    let ip = u32::from_ne_bytes(ip.octets());
    let row = format!(" {ip:08X}:{:04X} 00000000:0000 0A ", address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    table.matches(&row).count()
}
