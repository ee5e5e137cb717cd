//! All programs, upstreams and the link of a soak, which its loads share.
//!
//! ```text
//!   loads ── SOCKS5 ──▶ stage4-proxy ──────────────────────▶ upstream, or one that never reads
//!         ── UDP ─────▶ stage4-proxy --udp ────────────────▶ sink
//!         ── streams ─▶ stage5-mux client ── link ── server ─▶ upstream
//! ```

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::cores::Cores;
use crate::load::datagrams::{Datagrams, Entrance, Sending};
use crate::load::dial::{Dial, Way};
use crate::load::latencies::Latencies;
use crate::load::sink::Sink;
use crate::soak::journal::{Journal, Load};
use crate::soak::link::Link;
use crate::soak::name_server::{ADDRESS, NameServer};
use crate::soak::own_resolver::with_name_server;
use crate::soak::pace::Pace;
use crate::soak::program::Program;
use crate::soak::series::PROGRAMS;
use crate::upstream::{Service, Upstream};

/// The sessions that the relay may have at the same time, so few that its table can be filled again and again.
pub(super) const TABLE: u64 = 400;

/// Streams may fail so long after a cut of the link; then it has to be back.
const REPAIR: Duration = Duration::from_secs(3);

/// The programs and upstreams; dropping it ends the programs first.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) relay: Program,
    datagrams: Program,
    client: Program,
    server: Program,
    pub(super) link: Link,
    upstream: Upstream,
    /// It never reads.
    deaf: Upstream,
    pub(super) flows: Mutex<Datagrams>,
    name_server: Option<NameServer>,
    pub(super) probes: Probes,
    pub(super) journal: Journal,
    pub(super) is_over: AtomicBool,
}

/// The round trips of this second.
#[derive(Debug, Default)]
pub(super) struct Probes {
    pub(super) relay: Mutex<Latencies>,
    pub(super) tunnel: Mutex<Latencies>,
    /// Without any program of ours: they show how busy the machine is.
    pub(super) direct: Mutex<Latencies>,
}

/// The paths of our programs, and the places for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Programs<'a> {
    pub(super) proxy: &'a Path,
    pub(super) mux: &'a Path,
    pub(super) cores: Cores,
    pub(super) folder: &'a Path,
}

impl Scene {
    /// Starts everything.
    pub(super) fn start(programs: Programs<'_>) -> io::Result<Self> {
        let upstream = Upstream::start(Service::Tagged)?;
        let sink = Sink::open()?;
        let (relay, name_server) = programs.relay_with_names()?;
        let datagrams = programs.datagrams(&sink)?;
        let server = programs.server(&upstream)?;
        let link = Link::start(server.address)?;
        let client = programs.client(&link)?;
        Ok(Self {
            relay,
            datagrams,
            client,
            server,
            link,
            upstream,
            deaf: Upstream::start(Service::Ignore)?,
            flows: Mutex::new(Datagrams::new(sink, Sending::Each, Entrance::Plain)?),
            name_server,
            probes: Probes::default(),
            journal: Journal::default(),
            is_over: AtomicBool::new(false),
        })
    }

    /// Returns the programs that are watched.
    pub(super) fn programs(&self) -> [&Program; PROGRAMS] {
        [&self.relay, &self.datagrams, &self.client, &self.server]
    }

    /// Returns the way through the relay.
    pub(super) fn dial(&self) -> Dial {
        self.dial_to(&self.upstream)
    }

    /// Returns the way through the relay to the upstream that never reads.
    pub(super) fn dial_to_deaf(&self) -> Dial {
        self.dial_to(&self.deaf)
    }

    fn dial_to(&self, upstream: &Upstream) -> Dial {
        Dial::new(Way::Socks5, &[self.relay.address], upstream.address())
    }

    /// Returns the way through the relay to a name; `None` without a name server.
    pub(super) fn dial_name(&self, name: &str) -> Option<Dial> {
        self.name_server.as_ref()?;
        let port = self.upstream.address().port();
        Some(Dial::to_name(self.relay.address, name, port))
    }

    /// Returns the way to the upstream itself.
    pub(super) fn dial_direct(&self) -> Dial {
        Dial::new(Way::Plain, &[], self.upstream.address())
    }

    /// Returns the way through the tunnel.
    pub(super) fn dial_stream(&self) -> Dial {
        Dial::new(Way::Plain, &[], self.client.address)
    }

    /// Returns the address for datagrams.
    pub(super) fn datagram_address(&self) -> SocketAddr {
        self.datagrams.address
    }

    /// Returns a clock that ticks so often in a second.
    pub(super) fn pace(&self, per_second: u32) -> Pace<'_> {
        self.pace_of(Duration::from_secs(1) / per_second)
    }

    /// Returns a clock that ticks once in an interval.
    pub(super) fn pace_of(&self, interval: Duration) -> Pace<'_> {
        Pace::new(interval, &self.is_over)
    }

    /// Counts an outcome; a stream may fail while the link is cut.
    pub(super) fn outcome(&self, load: Load, outcome: io::Result<()>) {
        let is_stream = matches!(load, Load::Streams | Load::StreamBulk);
        match outcome {
            Err(_) if is_stream && self.link.was_cut_within(REPAIR) => {
                self.journal.caused(load, "the link was cut", 1);
            }
            outcome => self.journal.outcome(load, outcome),
        }
    }
}

impl Programs<'_> {
    /// Starts the relay, if possible with a name server whose answers are late.
    fn relay_with_names(self) -> io::Result<(Program, Option<NameServer>)> {
        let with_names = NameServer::start().and_then(|name_server| {
            let relay = with_name_server(ADDRESS, self.folder, || self.relay())?;
            Ok((relay, Some(name_server)))
        });
        with_names.or_else(|error| {
            eprintln!("relay-bench: without slow names: {error}");
            Ok((self.relay()?, None))
        })
    }

    fn relay(self) -> io::Result<Program> {
        let table = TABLE.to_string();
        // With short time limits, sessions that nobody ends are soon as many as they ever will be.
        let words = [
            &["--ingress", "socks5", "--listen", "127.0.0.1:0"][..],
            &["--max-connections", &table, "--handshake-timeout", "5s"],
            &["--half-close-timeout", "2s", "--idle-timeout", "5s"],
        ];
        self.start("relay", self.proxy, &words.concat())
    }

    fn datagrams(self, sink: &Sink) -> io::Result<Program> {
        let upstream = sink.address()?.to_string();
        let words = [
            &["--udp", "--listen", "127.0.0.1:0", "--upstream", &upstream][..],
            &["--max-flows", "100", "--flow-timeout", "2s"],
        ];
        self.start("udp", self.proxy, &words.concat())
    }

    fn server(self, upstream: &Upstream) -> io::Result<Program> {
        let upstream = upstream.address().to_string();
        let words = ["server", "--via", "tcp-listen:127.0.0.1:0"];
        let words = [&words[..], &["--upstream", &upstream], &TUNNEL_LIMITS].concat();
        self.start("server", self.mux, &words)
    }

    fn client(self, link: &Link) -> io::Result<Program> {
        let via = format!("tcp:{}", link.address());
        let words = ["client", "--via", &via, "--listen", "127.0.0.1:0"];
        let words = [&words[..], &TUNNEL_LIMITS].concat();
        self.start("client", self.mux, &words)
    }

    fn start(self, name: &'static str, path: &Path, words: &[&str]) -> io::Result<Program> {
        Program::start(name, (path, words), self.cores, self.folder)
    }
}

const TUNNEL_LIMITS: [&str; 4] = ["--half-close-timeout", "2s", "--idle-timeout", "5s"];
