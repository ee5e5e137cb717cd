//! Measurements under load: bytes and requests.

use std::io;

use crate::arrangement::Arrangement;
use crate::http::{REQUEST, absolute_request};
use crate::load::bulk::Pump;
use crate::load::latencies::Latencies;
use crate::load::request::Clients;
use crate::peers::Job;
use crate::rows::Row;
use crate::scenario::{Bench, Outcome};
use crate::upstream::Service;
use crate::window::Spent;

const GIGABYTE: f64 = 1e9;

impl Bench<'_> {
    /// Measures the bytes that pass through some connections.
    ///
    /// `rows` are the rate and, if it is wanted, the CPU time.
    pub(super) fn bulk(&self, job: Job, connections: usize, rows: &[Row]) -> io::Result<Outcome> {
        let arrangement = self.arrange(job, Service::Sink)?;
        let mut pump = Pump::connect(arrangement.dial(), connections)?;
        pump.run_for(self.warm_up())?;
        let before = arrangement.upstream().received();
        let window = arrangement.window()?;
        pump.run_for(self.time)?;
        let gigabytes = (arrangement.upstream().received() - before) as f64 / GIGABYTE;
        let spent = window.close()?;
        let rate = gigabytes / spent.time.as_secs_f64();
        let cpu = |&row: &Row| cpu_figure(row, &spent, gigabytes, 1.0);
        let mut figures: Vec<(Row, f64)> = rows.iter().take(1).map(|&row| (row, rate)).collect();
        figures.extend(rows.iter().skip(1).filter_map(cpu));
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }

    /// Measures requests on many connections that stay open.
    pub(super) fn http(&self) -> io::Result<Outcome> {
        const CONNECTIONS: usize = 64;
        let arrangement = self.arrange(Job::Relay, Service::Http)?;
        let (latencies, spent) = self.requests(&arrangement, REQUEST, CONNECTIONS)?;
        let answers = latencies.count() as f64;
        let mut figures = vec![
            (Row::HttpRate, answers / spent.time.as_secs_f64()),
            (Row::HttpMedian, latencies.quantile_us(50, 100)),
            (Row::HttpTail, latencies.quantile_us(99, 100)),
            (Row::HttpLongest, latencies.quantile_us(1, 1)),
        ];
        figures.extend(cpu_figure(Row::HttpCpu, &spent, answers, 1e6));
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }

    /// Measures one request at a time, on one connection.
    pub(super) fn round_trip(&self) -> io::Result<Outcome> {
        let arrangement = self.arrange(Job::Relay, Service::Http)?;
        let (latencies, spent) = self.requests(&arrangement, REQUEST, 1)?;
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
        let arrangement = self.arrange_unproven(Job::Queue, Service::Http)?;
        let (latencies, spent) = self.requests(&arrangement, REQUEST, CLIENTS)?;
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
            (Row::QueueLongest, latencies.quantile_us(1, 1)),
        ];
        figures.extend(cpu_figure(Row::QueueCpu, &spent, answers, 1e6));
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }

    /// Measures requests with a whole URL, of clients that keep their connections as far as the proxy does.
    pub(super) fn forward(&self) -> io::Result<Outcome> {
        const CONNECTIONS: usize = 64;
        let arrangement = self.arrange_unproven(Job::Forward, Service::Http)?;
        let request = absolute_request(arrangement.upstream().address());
        let (latencies, spent) = self.requests(&arrangement, &request, CONNECTIONS)?;
        let answers = latencies.count() as f64;
        let mut figures = vec![
            (Row::ForwardRate, answers / spent.time.as_secs_f64()),
            (Row::ForwardTail, latencies.quantile_us(99, 100)),
        ];
        figures.extend(cpu_figure(Row::ForwardCpu, &spent, answers, 1e6));
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }

    fn requests(
        &self,
        arrangement: &Arrangement,
        request: &[u8],
        connections: usize,
    ) -> io::Result<(Latencies, Spent)> {
        let mut clients = Clients::connect(arrangement.dial(), request, connections)?;
        clients.run_for(self.warm_up())?;
        clients.take_latencies();
        let window = arrangement.window()?;
        clients.run_for(self.time)?;
        let spent = window.close()?;
        Ok((clients.take_latencies(), spent))
    }
}

/// Returns the CPU time of the proxy for each unit of work, in seconds times `scale`.
pub(super) fn cpu_figure(row: Row, spent: &Spent, work: f64, scale: f64) -> Option<(Row, f64)> {
    let cpu = spent.proxy_cpu?.as_secs_f64();
    (work > 0.0).then_some((row, cpu * scale / work))
}
