//! Measurements by curl itself, through a SOCKS5 proxy and an HTTP proxy behind it.
//!
//! With `--preproxy`, curl connects to its HTTP proxy through a SOCKS proxy. It cannot do so with two SOCKS proxies: curl 7.88
//! takes the first and, without a word, leaves the second out.

use std::io;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::load::latencies::Latencies;
use crate::peers::{Job, find_curl};
use crate::rows::Row;
use crate::scenario::traffic::cpu_figure;
use crate::scenario::{Bench, Outcome};
use crate::stop;
use crate::upstream::{Service, Upstream};
use crate::window::Window;

/// Checks that there is a curl; the error says how to install it.
pub(super) fn check() -> Result<(), String> {
    find_curl()
}

impl Bench<'_> {
    /// Measures the time to the first byte of a response as curl tells it, one process after the other.
    pub(super) fn preproxy(&self) -> io::Result<Outcome> {
        let upstream = Upstream::start(Service::Http)?;
        let (cores, folder) = (self.cores, self.folder);
        let started = (self.subject).start(Job::Preproxy, upstream.address(), cores, folder)?;
        let fetch = || fetch(&started.addresses, upstream.address());
        repeat(self.warm_up(), fetch)?;
        let window = Window::open(&started.processes, cores)?;
        let mut times = repeat(self.time, fetch)?;
        let spent = window.close()?;
        let times = times.take();
        let work = times.count() as f64 * Job::Preproxy.proxy_count() as f64;
        let mut figures = vec![(Row::PreproxyTime, times.quantile_us(50, 100))];
        figures.extend(cpu_figure(Row::PreproxyCpu, &spent, work, 1e6));
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }
}

/// Does something again and again, at least once, until the time is over.
fn repeat(time: Duration, fetch: impl Fn() -> io::Result<Duration>) -> io::Result<Latencies> {
    let end = Instant::now() + time;
    let mut times = Latencies::default();
    loop {
        times.add(fetch()?);
        stop::check()?;
        if Instant::now() >= end {
            return Ok(times);
        }
    }
}

/// Fetches a page through the proxies; returns the time from the start to the first byte of the response.
fn fetch(proxies: &[SocketAddr], upstream: SocketAddr) -> io::Result<Duration> {
    let mut command = Command::new("curl");
    // -q: no .curlrc of the user.
    command.args([
        "-q",
        "--silent",
        "--show-error",
        "--fail",
        "--max-time",
        "5",
    ]);
    command.args([
        "--output",
        "/dev/null",
        "--write-out",
        "%{time_starttransfer}",
    ]);
    match proxies {
        [socks, http] => {
            command.args(["--preproxy", &format!("socks5://{socks}")]);
            command.args(["--proxy", &format!("http://{http}"), "--proxytunnel"]);
        }
        _ => {
            command.args(["--noproxy", "*"]);
        }
    }
    command.arg(format!("http://{upstream}/"));
    let output = command.stdin(Stdio::null()).output()?;
    let (time, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let seconds = time.parse().ok().filter(|_| output.status.success());
    let sentence = || io::Error::other(format!("curl: {}", errors.trim()));
    seconds.map(Duration::from_secs_f64).ok_or_else(sentence)
}
