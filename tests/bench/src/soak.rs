//! `cargo relay-bench soak`: everything at once, at a bounded rate, and nothing may grow.
//!
//! ```text
//!   loads (a thread each) ──▶ our programs ──▶ upstreams        once in a second:
//!     churn, resets, bulk, stalls, names,                       memory, fds, /metrics, latency
//!     full tables, datagrams, streams, cuts ──▶ journal              │
//!                                                                    ▼
//!                                    table over time ──▶ verdict: last third against first
//! ```
//!
//! The measurements say how fast; this says whether it stays so. It is no measurement: the machine may be busy.

mod journal;
mod link;
mod loads;
mod metrics;
mod name_server;
mod own_resolver;
mod pace;
mod program;
mod scene;
mod series;
mod streams;
mod verdict;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use crate::cores::{Cores, pin_this_thread};
use crate::limits;
use crate::load::latencies::Latencies;
use crate::output::print;
use crate::peers::ours::{self, Package};
use crate::soak::journal::Load;
use crate::soak::metrics::Metrics;
use crate::soak::program::Program;
use crate::soak::scene::{Programs, Scene};
use crate::soak::series::{Reading, Sample, Series, Times};
use crate::stop;

/// Loads our programs with everything at once for a while, and fails if memory, descriptors or latency grow.
///
/// On loopback and at a bounded rate: connections opened and closed, resets, bulk, stalled readers, slow names (as root), full
/// tables, flows of datagrams, a tunnel whose link is cut, and /metrics read each second.
#[derive(Debug, Args)]
pub(crate) struct SoakOptions {
    /// How long it lasts; the link is cut each minute, or each five seconds if there are fewer than ten
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    minutes: u32,

    /// Our stage4-proxy; without this it is built in release
    #[arg(long, value_name = "PATH")]
    ours: Option<PathBuf>,

    /// Our stage5-mux; without this it is built in release
    #[arg(long, value_name = "PATH")]
    ours_queue: Option<PathBuf>,
}

const LOADS: [fn(&Scene); 13] = [
    streams::probe_direct,
    streams::probe_relay,
    streams::probe_tunnel,
    streams::streams,
    streams::bulk,
    loads::churn,
    loads::resets,
    loads::bulk,
    loads::stalls,
    loads::names,
    loads::more_names,
    loads::full_table,
    loads::datagrams,
];

impl SoakOptions {
    fn time(&self) -> Duration {
        Duration::from_secs(60) * self.minutes
    }

    fn time_between_cuts(&self) -> Duration {
        const SHORT_SOAK: u32 = 10;
        Duration::from_secs(if self.minutes < SHORT_SOAK { 5 } else { 60 })
    }

    /// Returns how many seconds a line of the table has.
    fn line_seconds(&self) -> usize {
        const LINES: u32 = 20;
        let seconds = (60 * self.minutes / LINES).clamp(5, 60);
        usize::try_from(seconds).unwrap_or(60)
    }

    /// Returns how many seconds at the beginning do not count, because caches, pools and windows fill.
    fn warm_up_seconds(&self) -> usize {
        const FEWEST: u32 = 12;
        const SHARE: u32 = 10;
        let seconds = (60 * self.minutes / SHARE).max(FEWEST);
        usize::try_from(seconds).unwrap_or(usize::MAX)
    }
}

/// Runs the soak, prints the table and the verdict.
///
/// # Errors
///
/// Fails if something has grown or failed, or if a load has done nothing.
pub(crate) fn run(options: &SoakOptions) -> io::Result<()> {
    let find = |given: &Option<PathBuf>, package| match given {
        None => ours::build(package),
        Some(path) => path.canonicalize(),
    };
    let proxy = find(&options.ours, Package::Proxy)?;
    let mux = find(&options.ours_queue, Package::Mux)?;
    limits::raise_fd_limit()?;
    let cores = Cores::choose()?;
    pin_this_thread(cores.load)?;
    let folder = tempfile::tempdir()?;
    let scene = start(&proxy, &mux, cores, folder.path())?;
    let series = with_loads(&scene, options)?;
    conclude(&scene, &series, options.warm_up_seconds())
}

/// Watches while all loads run.
fn with_loads(scene: &Scene, options: &SoakOptions) -> io::Result<Series> {
    thread::scope(|scope| {
        for load in LOADS {
            scope.spawn(move || load(scene));
        }
        scope.spawn(|| cut_the_link(scene, options.time_between_cuts()));
        let outcome = watch(scene, options);
        scene.is_over.store(true, Ordering::Relaxed);
        outcome
    })
}

fn start(proxy: &Path, mux: &Path, cores: Cores, folder: &Path) -> io::Result<Scene> {
    Scene::start(Programs {
        proxy,
        mux,
        cores,
        folder,
    })
}

fn cut_the_link(scene: &Scene, interval: Duration) {
    let mut pace = scene.pace_of(interval);
    // The first tick is now, and the tunnel has only just begun.
    pace.tick();
    while pace.tick() {
        scene.link.cut();
        scene.journal.done(Load::Cuts, 1);
    }
}

/// Reads everything once in a second, and prints a line now and then.
fn watch(scene: &Scene, options: &SoakOptions) -> io::Result<Series> {
    let mut series = Series::new(scene.programs().map(|program| program.name));
    print(&series.header())?;
    let mut pace = scene.pace(1);
    let end = Instant::now() + options.time();
    while pace.tick() && Instant::now() < end {
        series.add(sample(scene)?);
        if series.unseen() >= options.line_seconds() {
            print(&series.line(&scene.journal))?;
        }
    }
    stop::check()?;
    Ok(series)
}

fn sample(scene: &Scene) -> io::Result<Sample> {
    for program in scene.programs() {
        let outcome = Metrics::read(program.inspector).map(drop);
        scene.outcome(Load::Metrics, outcome);
    }
    let [relay, datagrams, client, server] = scene.programs().map(reading);
    Ok(Sample {
        programs: [relay?, datagrams?, client?, server?],
        relay: times(&scene.probes.relay),
        tunnel: times(&scene.probes.tunnel),
        direct: times(&scene.probes.direct),
    })
}

fn reading(program: &Program) -> io::Result<Reading> {
    const KIB: f64 = 1024.0;
    let usage = program.usage()?;
    Ok(Reading {
        private_kib: usage.private_bytes as f64 / KIB,
        descriptors: usage.fds as f64,
    })
}

fn times(latencies: &Mutex<Latencies>) -> Times {
    let taken = latencies
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    Times {
        median: taken.quantile_us(50, 100),
        tail: taken.quantile_us(99, 100),
        longest: taken.quantile_us(1, 1),
    }
}

/// Prints what was done, what has failed, and what has grown.
fn conclude(scene: &Scene, series: &Series, warm_up: usize) -> io::Result<()> {
    let journal = &scene.journal;
    let mut text = String::from("\nDone:\n");
    for load in Load::ALL {
        text += &format!("- {load}: {}\n", journal.count(load));
    }
    let repair = scene.link.longest_repair().as_secs_f64();
    text += &format!("- longest time until the tunnel worked again after a cut: {repair:.2} s\n");
    text += "\nFailures that the soak causes:\n";
    for line in journal.consequences() {
        text += &format!("- {line}\n");
    }
    let findings = series.findings(warm_up);
    text += &format!(
        "\nMedians of the first third and of the last, without the first {warm_up} s, and the limit:\n"
    );
    for finding in &findings {
        text += &format!("- {}\n", finding.sentence());
    }
    print(&text)?;
    let mut faults = journal.faults();
    let grown = findings.iter().filter(|finding| !finding.is_flat());
    faults.extend(grown.map(|finding| finding.sentence()));
    let idle = Load::ALL.into_iter().filter(|&load| {
        let is_possible = load != Load::Names || scene.dial_name("").is_some();
        is_possible && journal.count(load) == 0
    });
    faults.extend(idle.map(|load| format!("{load}: none")));
    if faults.is_empty() {
        return print("\nVerdict: memory, descriptors and latency are flat.\n");
    }
    print("\nVerdict: not flat, or with faults.\n")?;
    Err(io::Error::other(faults.join("; ")))
}
