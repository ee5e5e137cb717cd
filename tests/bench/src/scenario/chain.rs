//! Measurements of several proxies, one behind the other.

use std::io;
use std::time::Instant;

use crate::conversation::Answer;
use crate::load::churn::Churn;
use crate::peers::Job;
use crate::rows::Row;
use crate::scenario::arrival::episode_limit;
use crate::scenario::traffic::cpu_figure;
use crate::scenario::{Bench, Outcome};
use crate::upstream::Service;

impl Bench<'_> {
    /// Measures the time from connect(2) to the first byte of the upstream, one connection after the other.
    ///
    /// `rows` are that time and the CPU time of one connection in one proxy.
    pub(super) fn chain(&self, proxies: usize, rows: [Row; 2]) -> io::Result<Outcome> {
        let arrangement = self.arrange(Job::Chain(proxies), Service::Echo)?;
        let mut churn = Churn::new(arrangement.dial().then(b"?", Answer::Byte), 1)?;
        let limit = episode_limit();
        churn.run(limit / 20, Instant::now() + self.warm_up())?;
        churn.take_latencies();
        arrangement.wait_for_ends()?;
        let window = arrangement.window()?;
        let count = churn.run(limit - limit / 20, Instant::now() + self.time)?;
        arrangement.wait_for_ends()?;
        let spent = window.close()?;
        let latencies = churn.take_latencies();
        let mut figures = vec![(rows[0], latencies.quantile_us(50, 100))];
        let work = count as f64 * proxies as f64;
        figures.extend(cpu_figure(rows[1], &spent, work, 1e6));
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }
}
