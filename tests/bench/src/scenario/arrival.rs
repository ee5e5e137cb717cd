//! Measurements of new connections.

use std::io;
use std::time::{Duration, Instant};

use crate::arrangement::Arrangement;
use crate::conversation::Answer;
use crate::http::absolute_request;
use crate::limits::local_ports;
use crate::load::churn::Churn;
use crate::load::dial::Dial;
use crate::peers::Job;
use crate::rows::Row;
use crate::scenario::traffic::cpu_figure;
use crate::scenario::{Bench, Outcome};
use crate::upstream::Service;
use crate::window::Spent;

impl Bench<'_> {
    /// Measures new connections, in episodes.
    ///
    /// The side that closes first keeps its port in TIME-WAIT for a minute: the client towards the
    /// proxy, the proxy towards the upstream. Each episode therefore has a fresh proxy and a fresh
    /// upstream, each on a port of its own, and stays well below the number of local ports, so that
    /// `connect(2)` never searches long for a free one. The clock runs until the upstream has seen every end.
    ///
    /// `rows` are the rate and the CPU time of each.
    pub(super) fn connect(&self, job: Job, rows: [Row; 2]) -> io::Result<Outcome> {
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
            let (count, spent) = self.connect_episode(job, left, episode_limit)?;
            connections += count;
            total = Some(total.map_or(spent, |total| total.plus(&spent)));
        }
        let spent = total.ok_or_else(|| io::Error::other("no time to connect"))?;
        let count = connections as f64;
        let mut figures = vec![(rows[0], count / spent.time.as_secs_f64())];
        figures.extend(cpu_figure(rows[1], &spent, count, 1e6));
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }

    fn connect_episode(
        &self,
        job: Job,
        left: Duration,
        limit: usize,
    ) -> io::Result<(usize, Spent)> {
        const IN_FLIGHT: usize = 32;
        let warm_up = limit / 20;
        let arrangement = self.arrange_for_new(job)?;
        let mut churn = Churn::new(whole(job, &arrangement), IN_FLIGHT)?;
        churn.run(warm_up, Instant::now() + self.warm_up())?;
        wait_for_ends(job, &arrangement)?;
        let window = arrangement.window()?;
        let count = churn.run(limit - warm_up, Instant::now() + left)?;
        wait_for_ends(job, &arrangement)?;
        Ok((count, window.close()?))
    }

    fn arrange_for_new(&self, job: Job) -> io::Result<Arrangement> {
        if job == Job::Forward {
            self.arrange_unproven(job, Service::Http)
        } else if job == Job::Tunnel {
            self.arrange_tunnel_on_loopback()
        } else {
            self.arrange(job, Service::Echo)
        }
    }
}

/// Returns all that one connection says: the handshake, and one byte there and back, or a request and its response.
fn whole(job: Job, arrangement: &Arrangement) -> Dial {
    let dial = arrangement.dial();
    if job == Job::Forward {
        let request = absolute_request(arrangement.upstream().address());
        dial.then(&request, Answer::HttpMessage)
    } else {
        dial.then(b"?", Answer::Byte)
    }
}

/// Waits for the last ends, unless the proxy may keep connections to the upstream for further requests.
fn wait_for_ends(job: Job, arrangement: &Arrangement) -> io::Result<()> {
    if job == Job::Forward {
        Ok(())
    } else {
        arrangement.wait_for_ends()
    }
}

/// Returns how many connections may follow each other between the same two addresses.
///
/// `connect(2)` takes even ports first and looks at every one of them before it takes an odd one,
/// so this stays below half of `ip_local_port_range` in `ip(7)`.
pub(super) fn episode_limit() -> usize {
    local_ports() * 2 / 5
}
