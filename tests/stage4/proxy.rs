//! A running proxy as the tests see it: the server, and the replies of its inspector.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use harness::{Client, Inspector, PATIENCE, Program, Server, eventually, eventually_equal, fail};
use serde::Deserialize;

use crate::support::program;

/// A pause without a byte, after which a transfer counts as stalled.
const STILL: Duration = Duration::from_millis(100);

/// A running proxy whose inspector can be asked.
#[derive(Debug)]
pub(crate) struct Proxy {
    server: Server,
    /// Found when it is first asked: a program from an empty file need not have one.
    inspector: OnceLock<Inspector>,
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

    /// Starts a proxy whose clients choose their targets, with further arguments.
    #[track_caller]
    pub(crate) fn choosing(ingress: &str, arguments: &[&str]) -> Self {
        Self::launch(
            Program::new(program())
                .args(["--ingress", ingress])
                .args(arguments),
        )
    }

    /// Starts a proxy from a prepared program.
    #[track_caller]
    pub(crate) fn start(program: &Program, upstream: impl Display + Copy) -> Self {
        Self::launch(program.clone().args(["--upstream", &upstream.to_string()]))
    }

    /// Starts a proxy from a program that has all other arguments.
    #[track_caller]
    pub(crate) fn launch(program: Program) -> Self {
        Self::listening(program, ([127, 0, 0, 1], 0).into())
    }

    /// Starts a proxy that listens on an address.
    #[track_caller]
    pub(crate) fn listening(program: Program, address: SocketAddr) -> Self {
        let program = program.args(["--listen", &address.to_string(), "--inspect", "0"]);
        let server = program.serve();
        let inspector = OnceLock::new();
        let proxy = Self { server, inspector };
        if std::env::var_os("COURSE_BIN").is_none() {
            // At once, while the line is among the first ones of the log.
            proxy.inspector();
        }
        proxy
    }

    /// Returns the inspector.
    #[track_caller]
    pub(crate) fn inspector(&self) -> Inspector {
        *self.inspector.get_or_init(|| Inspector::of(&self.server))
    }

    /// Returns whether the program has an inspector: one from an empty file need not have any.
    pub(crate) fn has_inspector(&self) -> bool {
        self.inspector.get().is_some()
    }

    /// Waits until the route table is empty, if the program shows it.
    #[track_caller]
    pub(crate) fn wait_until_empty(&self) {
        if self.has_inspector() {
            self.wait_for_rows(0);
        }
    }

    /// Returns the content of `/routes.json`.
    #[track_caller]
    pub(crate) fn routes(&self) -> Routes {
        let body = self.inspector().body("/routes.json");
        serde_json::from_str(&body)
            .unwrap_or_else(|error| fail(format!("/routes.json cannot be read: {error}: {body}")))
    }

    /// Returns the flows of datagrams.
    #[track_caller]
    pub(crate) fn flows(&self) -> Vec<Flow> {
        self.routes().flows
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

    /// Returns the samples of `/metrics`.
    #[track_caller]
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let body = self.inspector().body("/metrics");
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
    pub(crate) flows: Vec<Flow>,
    pub(crate) totals: serde_json::Value,
}

/// One row of the route table.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) client: Cell,
    pub(crate) upstream: Option<Cell>,
    pub(crate) ingress: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) dialled: Option<String>,
    #[serde(default)]
    pub(crate) hops: Vec<HopRow>,
    pub(crate) phase: String,
    pub(crate) description: String,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
    pub(crate) age_ms: u64,
}

/// One hop of a row.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct HopRow {
    pub(crate) hop: String,
    pub(crate) answer: Option<String>,
}

/// One flow of datagrams.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Flow {
    pub(crate) client: Option<SocketAddr>,
    pub(crate) target: String,
    pub(crate) datagrams_up: u64,
    pub(crate) datagrams_down: u64,
}

/// One socket of a row.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Cell {
    pub(crate) fd: i32,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) peer: Option<SocketAddr>,
}

/// Waits until nothing more moves: the proxy has given all it has, or is held back.
#[track_caller]
pub(crate) fn wait_until_still(proxy: &Proxy) {
    let (mut before, mut since, mut looks) = (u64::MAX, Instant::now(), 0);
    eventually("the transfer stalls", PATIENCE, || {
        let totals = proxy.routes().totals;
        let moved = ["bytes_up", "bytes_down"].map(|name| totals[name].as_u64().unwrap_or(0));
        let moved = moved.iter().sum();
        looks += 1;
        if moved != before {
            (before, since, looks) = (moved, Instant::now(), 0);
        }
        looks > 10 && since.elapsed() >= STILL
    });
}
