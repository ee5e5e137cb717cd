//! Measurements under load: bytes, requests, connections.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use crate::arrangement::Arrangement;
use crate::load::bulk::Pump;
use crate::load::connect::Churn;
use crate::load::request::{Clients, Latencies};
use crate::peers::Job;
use crate::rows::Row;
use crate::scenario::{Bench, Outcome, WARM_UP};
use crate::upstream::Service;
use crate::window::Spent;

const GIGABYTE: f64 = 1e9;

impl Bench<'_> {
    /// Measures the bytes that pass through some connections.
    pub(super) fn bulk(&self, connections: usize, rate: Row) -> io::Result<Outcome> {
        let arrangement = self.arrange(Service::Sink)?;
        let mut pump = Pump::connect(arrangement.address(), connections)?;
        pump.run_for(WARM_UP)?;
        let before = arrangement.upstream().received();
        let window = arrangement.window()?;
        pump.run_for(self.time)?;
        let gigabytes = (arrangement.upstream().received() - before) as f64 / GIGABYTE;
        let spent = window.close()?;
        let mut figures = vec![(rate, gigabytes / spent.time.as_secs_f64())];
        if rate == Row::Bulk8 {
            figures.extend(cpu_figure(Row::BulkCpu, &spent, gigabytes, 1.0));
        }
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }

    /// Measures requests on many connections that stay open.
    pub(super) fn http(&self) -> io::Result<Outcome> {
        const CONNECTIONS: usize = 64;
        let arrangement = self.arrange(Service::Http)?;
        let (latencies, spent) = self.requests(&arrangement, CONNECTIONS)?;
        let answers = latencies.count() as f64;
        let mut figures = vec![
            (Row::HttpRate, answers / spent.time.as_secs_f64()),
            (Row::HttpMedian, latencies.quantile_us(50, 100)),
            (Row::HttpTail, latencies.quantile_us(99, 100)),
        ];
        figures.extend(cpu_figure(Row::HttpCpu, &spent, answers, 1e6));
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }

    /// Measures one request at a time, on one connection.
    pub(super) fn round_trip(&self) -> io::Result<Outcome> {
        let arrangement = self.arrange(Service::Http)?;
        let (latencies, spent) = self.requests(&arrangement, 1)?;
        let figures = vec![(Row::RoundTrip, latencies.quantile_us(50, 100))];
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }

    /// Measures requests of many clients that share one upstream connection.
    ///
    /// A proxy that opens a second one does not queue, and its figures would mean nothing.
    pub(super) fn queue(&self) -> io::Result<Outcome> {
        const CLIENTS: usize = 32;
        let arrangement = self.arrange_for(Job::Queue, Service::Http)?;
        let (latencies, spent) = self.requests(&arrangement, CLIENTS)?;
        let opened = arrangement.upstream().accepted();
        if opened != 1 {
            let sentence = format!("{opened} upstream connections instead of one");
            return Err(io::Error::other(sentence));
        }
        let answers = latencies.count() as f64;
        let mut figures = vec![
            (Row::QueueRate, answers / spent.time.as_secs_f64()),
            (Row::QueueMedian, latencies.quantile_us(50, 100)),
            (Row::QueueTail, latencies.quantile_us(99, 100)),
        ];
        figures.extend(cpu_figure(Row::QueueCpu, &spent, answers, 1e6));
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }

    fn requests(
        &self,
        arrangement: &Arrangement,
        connections: usize,
    ) -> io::Result<(Latencies, Spent)> {
        let mut clients = Clients::connect(arrangement.address(), connections)?;
        clients.run_for(WARM_UP)?;
        clients.take_latencies();
        let window = arrangement.window()?;
        clients.run_for(self.time)?;
        let spent = window.close()?;
        Ok((clients.take_latencies(), spent))
    }

    /// Measures new connections, in episodes.
    ///
    /// The side that closes first keeps its port in TIME-WAIT for a minute: the client towards the
    /// proxy, the proxy towards the upstream. Each episode therefore has a fresh proxy and a fresh
    /// upstream, each on a port of its own, and stays well below the number of local ports, so that
    /// `connect(2)` never searches long for a free one. The clock runs until the upstream has seen every end.
    pub(super) fn connect(&self) -> io::Result<Outcome> {
        let mut total: Option<Spent> = None;
        let mut connections = 0;
        let episode_limit = episode_limit();
        loop {
            let left = self
                .time
                .saturating_sub(total.map_or(Duration::ZERO, |spent| spent.time));
            if left.is_zero() {
                break;
            }
            let (count, spent) = self.connect_episode(left, episode_limit)?;
            connections += count;
            total = Some(total.map_or(spent, |total| total.plus(&spent)));
        }
        let spent = total.ok_or_else(|| io::Error::other("no time to connect"))?;
        let count = connections as f64;
        let mut figures = vec![(Row::ConnectRate, count / spent.time.as_secs_f64())];
        figures.extend(cpu_figure(Row::ConnectCpu, &spent, count, 1e6));
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }

    fn connect_episode(&self, left: Duration, limit: usize) -> io::Result<(usize, Spent)> {
        const IN_FLIGHT: usize = 32;
        let warm_up = limit / 20;
        let arrangement = self.arrange(Service::Echo)?;
        let mut churn = Churn::new(arrangement.address(), IN_FLIGHT)?;
        churn.run(warm_up, Instant::now() + WARM_UP)?;
        arrangement.wait_for_ends()?;
        let window = arrangement.window()?;
        let count = churn.run(limit - warm_up, Instant::now() + left)?;
        arrangement.wait_for_ends()?;
        Ok((count, window.close()?))
    }
}

/// Returns the CPU time of the proxy for each unit of work, in seconds times `scale`.
fn cpu_figure(row: Row, spent: &Spent, work: f64, scale: f64) -> Option<(Row, f64)> {
    let cpu = spent.proxy_cpu?.as_secs_f64();
    (work > 0.0).then_some((row, cpu * scale / work))
}

/// Returns how many connections may follow each other between the same two addresses.
///
/// `connect(2)` takes even ports first and looks at every one of them before it takes an odd one,
/// so this stays below half of `ip_local_port_range` in `ip(7)`.
fn episode_limit() -> usize {
    const USUAL: usize = 28_000;
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ports = text
        .split_whitespace()
        .filter_map(|word| word.parse::<usize>().ok());
    let range = ports
        .next()
        .zip(ports.next())
        .map_or(USUAL, |(first, last)| last - first);
    range * 2 / 5
}
