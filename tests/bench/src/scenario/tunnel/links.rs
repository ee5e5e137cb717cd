//! Links that are slow or long.

use std::io;
use std::thread;
use std::time::Duration;

use crate::arrangement::Arrangement;
use crate::delay::{DelayRelay, Distance};
use crate::load::background::Background;
use crate::load::probe::Probe;
use crate::rows::{Row, TunnelRow};
use crate::scenario::tunnel::bulk::readers;
use crate::scenario::{Bench, Outcome};
use crate::site::{Cable, Sites};
use crate::wait;
use crate::window::Spent;

impl Bench<'_> {
    /// Measures small requests beside eight bulk streams over a cable of a given rate, and how much of it is used.
    ///
    /// `rows` are the time of a request and the share of the cable.
    pub(super) fn tunnel_over_cable(
        &self,
        cable: Cable,
        rows: [TunnelRow; 2],
    ) -> io::Result<Outcome> {
        // The thread moves into another network, and there is no way back.
        let measure = || -> io::Result<Outcome> {
            let sites = Sites::with_cable(self.cores, cable)?;
            let arrangement = self.arrange_tunnel(&sites)?;
            self.beside_bulk(&arrangement, cable, rows)
        };
        let outcome = thread::scope(|scope| scope.spawn(measure).join());
        outcome.map_err(|_| io::Error::other("the thread of the measurement has panicked"))?
    }

    fn beside_bulk(
        &self,
        arrangement: &Arrangement,
        cable: Cable,
        rows: [TunnelRow; 2],
    ) -> io::Result<Outcome> {
        const STREAMS: usize = 8;
        arrangement.prove_by_echo()?;
        let mut background = Background::start(arrangement.dial(), &readers(STREAMS))?;
        let probe = Probe::connect(arrangement.dial())?;
        // The queues have to fill, and a slow link takes its time.
        probe.run_for(self.time)?;
        let before = received(arrangement);
        let window = arrangement.window()?;
        let latencies = probe.run_for(self.time)?;
        let bytes = received(arrangement) - before;
        let spent = window.close()?;
        background.check()?;
        let [tail, share] = rows.map(Row::Tunnel);
        let figures = vec![
            (tail, latencies.quantile_us(99, 100) / 1000.0),
            (
                share,
                100.0 * per_second(bytes, &spent) / cable.payload_bytes(),
            ),
        ];
        Ok(Outcome {
            figures,
            spent: Some(spent),
        })
    }

    /// Measures one stream over a link of 1 Gbit/s and 100 ms, in its fourth second.
    pub(super) fn tunnel_over_distance(&self) -> io::Result<Outcome> {
        const BEGINNING: Duration = Duration::from_secs(3);
        const DISTANCE: Distance = Distance {
            delay: Duration::from_millis(50),
            bytes_per_second: 125_000_000,
        };
        let (arrangement, _relay) = self.arrange_distant_tunnel(DISTANCE)?;
        arrangement.prove_by_echo()?;
        let mut background = Background::start(arrangement.dial(), &readers(1))?;
        wait::pass(BEGINNING)?;
        let before = received(&arrangement);
        let window = arrangement.window()?;
        wait::pass(self.time)?;
        let bytes = received(&arrangement) - before;
        let spent = window.close()?;
        background.check()?;
        let rate = per_second(bytes, &spent) / 1e6;
        Ok(Outcome {
            figures: vec![(Row::Tunnel(TunnelRow::LongLink), rate)],
            spent: Some(spent),
        })
    }

    /// Starts a tunnel whose link goes through a delay relay.
    fn arrange_distant_tunnel(&self, distance: Distance) -> io::Result<(Arrangement, DelayRelay)> {
        let sites = Sites::on_loopback(self.cores);
        let mut relay = None;
        let arrangement = self.arrange_tunnel_through(&sites, |far| {
            let started = relay.insert(DelayRelay::start(far, distance)?);
            Ok(started.address())
        })?;
        let relay = relay.ok_or_else(|| io::Error::other("the link has no delay"))?;
        Ok((arrangement, relay))
    }
}

fn received(arrangement: &Arrangement) -> u64 {
    arrangement.upstream().tallies().iter().sum()
}

fn per_second(bytes: u64, spent: &Spent) -> f64 {
    bytes as f64 / spent.time.as_secs_f64()
}
