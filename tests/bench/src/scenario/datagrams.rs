//! Measurements of datagrams: their rate, the losses at a fixed rate, and the cost of a flow.

use std::io;
use std::net::SocketAddr;

use crate::load::datagrams::{Datagrams, Entrance, Sending};
use crate::load::sink::Sink;
use crate::peers::Job;
use crate::process::{Process, Usage};
use crate::rows::Row;
use crate::scenario::traffic::cpu_figure;
use crate::scenario::{Bench, Outcome};
use crate::wait;
use crate::window::Window;

/// The flows of the rows with traffic.
const FLOWS: usize = 64;

/// A proxy between flows and their sink.
struct Stage {
    proxies: Vec<Process>,
    load: Datagrams,
    address: SocketAddr,
    at_once: usize,
}

impl Bench<'_> {
    /// Measures as many datagrams as go through, one way.
    pub(super) fn datagrams(&self, job: Job, sending: Sending, row: Row) -> io::Result<Outcome> {
        let mut stage = self.stage(job, sending)?;
        stage.open(FLOWS)?;
        stage.load.run_for(self.warm_up())?;
        stage.load.late()?;
        let window = Window::open(&stage.proxies, self.cores)?;
        let tally = stage.load.run_for(self.time)?;
        let spent = window.close()?;
        let figures = vec![(row, tally.received as f64 / spent.time.as_secs_f64())];
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }

    /// Measures losses in per cent and CPU time in microseconds at a fixed rate.
    pub(super) fn datagram_loss(&self, job: Job, rows: [Row; 2]) -> io::Result<Outcome> {
        const PER_SECOND: u32 = 100_000;
        let mut stage = self.stage(job, Sending::Each)?;
        stage.open(FLOWS)?;
        stage.load.run_at(PER_SECOND, self.warm_up())?;
        let window = Window::open(&stage.proxies, self.cores)?;
        let tally = stage.load.run_at(PER_SECOND, self.time)?;
        let spent = window.close()?;
        let lost = tally.sent.saturating_sub(tally.received);
        let share = lost as f64 * 100.0 / tally.sent.max(1) as f64;
        let mut figures = vec![(rows[0], share)];
        let work = tally.received as f64;
        figures.extend(cpu_figure(rows[1], &spent, work, 1e6));
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }

    /// Measures memory and fds of flows that have carried one datagram each way.
    pub(super) fn flows(&self, job: Job, rows: [Row; 2]) -> io::Result<Outcome> {
        const WARM_UP_FLOWS: usize = 8;
        const WATCHED: usize = 1_000;
        let mut stage = self.stage(job, Sending::Each)?;
        stage.open(WARM_UP_FLOWS)?;
        wait::pass(self.warm_up())?;
        let before = stage.usage()?;
        let count = WATCHED.min(self.subject.session_limit());
        stage.open(count)?;
        wait::pass(self.warm_up())?;
        let after = stage.usage()?;
        let bytes = after.private_bytes.saturating_sub(before.private_bytes);
        let fds = after.fds.saturating_sub(before.fds);
        let count = stage.load.flow_count() - WARM_UP_FLOWS;
        let figures = vec![
            (rows[0], bytes as f64 / count as f64),
            (rows[1], fds as f64 / count as f64),
        ];
        Ok(Outcome {
            figures,
            spent: None,
        })
    }

    fn stage(&self, job: Job, sending: Sending) -> io::Result<Stage> {
        let sink = Sink::open()?;
        let upstream = sink.address()?;
        let started = self.subject.start(job, upstream, self.cores, self.folder)?;
        let address = started.addresses.first().copied().unwrap_or(upstream);
        let entrance = if job == Job::Associate && !self.subject.is_direct() {
            Entrance::Association
        } else {
            Entrance::Plain
        };
        let load = Datagrams::new(sink, sending, entrance)?;
        Ok(Stage {
            proxies: started.processes,
            load,
            address,
            at_once: self.subject.flows_at_once(),
        })
    }
}

impl Stage {
    fn open(&mut self, flows: usize) -> io::Result<()> {
        let outcome = self.load.open(self.address, flows, self.at_once);
        // A proxy that has ended has the better reason.
        self.proxies.iter_mut().try_for_each(Process::check_alive)?;
        outcome
    }

    fn usage(&self) -> io::Result<Usage> {
        self.proxies.iter().map(Process::usage).sum()
    }
}
