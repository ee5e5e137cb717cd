//! Bulk transfers, and small requests beside them.

use std::io;

use crate::arrangement::Arrangement;
use crate::load::background::Background;
use crate::load::probe::Probe;
use crate::rows::{Row, TunnelRow};
use crate::scenario::traffic::cpu_figure;
use crate::scenario::{Bench, Outcome};
use crate::upstream::tag::{Reading, Tag};
use crate::wait;
use crate::window::Spent;

const GIGABYTE: f64 = 1e9;

impl Bench<'_> {
    /// Measures the bytes of some streams, all in one direction, and what a gigabyte costs both ends.
    pub(super) fn tunnel_bulk(&self, streams: usize, rows: [TunnelRow; 2]) -> io::Result<Outcome> {
        let arrangement = self.arrange_tunnel_on_loopback()?;
        let (bytes, spent) = self.pump(&arrangement, &readers(streams))?;
        let gigabytes = bytes.iter().sum::<u64>() as f64 / GIGABYTE;
        let rate = gigabytes / spent.time.as_secs_f64();
        let [rate_row, cpu_row] = rows.map(Row::Tunnel);
        let mut figures = vec![(rate_row, rate)];
        figures.extend(cpu_figure(cpu_row, &spent, gigabytes, 1.0));
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }

    /// Sends for a while; returns how many bytes of each stream have arrived.
    pub(super) fn pump(
        &self,
        arrangement: &Arrangement,
        tags: &[Tag],
    ) -> io::Result<(Vec<u64>, Spent)> {
        let mut background = Background::start(arrangement.dial(), tags)?;
        wait::pass(self.warm_up())?;
        let before = arrangement.upstream().tallies();
        let window = arrangement.window()?;
        wait::pass(self.time)?;
        let after = arrangement.upstream().tallies();
        let spent = window.close()?;
        background.check()?;
        let bytes = |tag: &Tag| after[tag.tally] - before[tag.tally];
        Ok((tags.iter().map(bytes).collect(), spent))
    }

    /// Measures a small request on an empty tunnel, beside one bulk stream, and beside eight.
    pub(super) fn tunnel_latency(&self) -> io::Result<Outcome> {
        let arrangement = self.arrange_tunnel_on_loopback()?;
        let mut figures = Vec::new();
        for (row, streams) in [
            (TunnelRow::Unloaded, 0),
            (TunnelRow::Under1, 1),
            (TunnelRow::Under8, 8),
        ] {
            let mut background = Background::start(arrangement.dial(), &readers(streams))?;
            let probe = Probe::connect(arrangement.dial())?;
            probe.run_for(self.warm_up())?;
            let latencies = probe.run_for(self.time)?;
            background.check()?;
            figures.push((Row::Tunnel(row), latencies.quantile_us(99, 100)));
        }
        Ok(Outcome {
            figures,
            spent: None,
        })
    }
}

/// Returns the tags of streams that are read at once.
pub(super) fn readers(count: usize) -> Vec<Tag> {
    let reading = Reading::AtOnce;
    (0..count).map(|tally| Tag { tally, reading }).collect()
}
