//! One timed stretch: its length, and the CPU time of each part meanwhile.

use std::io;
use std::time::{Duration, Instant};

use nix::unistd::getpid;

use crate::cores::Cores;
use crate::process::Process;
use crate::readings;

/// A stretch of time that has begun.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    proxies: &'a [Process],
    cores: Cores,
    started: Instant,
    before: Clocks,
}

/// The costs of a stretch of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) time: Duration,
    /// CPU time of all proxies; none without one.
    pub(crate) proxy_cpu: Option<Duration>,
    /// Share of the load's core that load and upstream used, 0 to 1.
    pub(crate) load_share: f64,
    /// Share of the two cores that went to other processes, 0 to 1.
    pub(crate) foreign_share: f64,
}

impl Spent {
    /// Returns two stretches added together.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        let time = self.time + other.time;
        let part = self.time.div_duration_f64(time);
        let mix = |first: f64, second: f64| first * part + second * (1.0 - part);
        Self {
            time,
            proxy_cpu: self
                .proxy_cpu
                .zip(other.proxy_cpu)
                .map(|(first, second)| first + second),
            load_share: mix(self.load_share, other.load_share),
            foreign_share: mix(self.foreign_share, other.foreign_share),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Clocks {
    proxy: Duration,
    own: Duration,
    busy: Duration,
}

impl<'a> Window<'a> {
    /// Begins a stretch of time.
    pub(crate) fn open(proxies: &'a [Process], cores: Cores) -> io::Result<Self> {
        let before = Clocks::read(proxies, cores)?;
        Ok(Self {
            proxies,
            cores,
            started: Instant::now(),
            before,
        })
    }

    /// Ends it.
    pub(crate) fn close(&self) -> io::Result<Spent> {
        let time = self.started.elapsed();
        let after = Clocks::read(self.proxies, self.cores)?;
        let proxy = after.proxy.saturating_sub(self.before.proxy);
        let own = after.own.saturating_sub(self.before.own);
        let busy = after.busy.saturating_sub(self.before.busy);
        let foreign = busy.saturating_sub(proxy + own);
        let core_count = if self.cores.proxy == self.cores.load {
            1.0
        } else {
            2.0
        };
        Ok(Spent {
            time,
            proxy_cpu: (!self.proxies.is_empty()).then_some(proxy),
            load_share: own.div_duration_f64(time),
            foreign_share: foreign.div_duration_f64(time) / core_count,
        })
    }
}

impl Clocks {
    fn read(proxies: &[Process], cores: Cores) -> io::Result<Self> {
        let mut busy = readings::core_busy_time(cores.proxy)?;
        if cores.load != cores.proxy {
            busy += readings::core_busy_time(cores.load)?;
        }
        Ok(Self {
            proxy: proxies
                .iter()
                .map(Process::cpu_time)
                .sum::<io::Result<_>>()?,
            own: readings::cpu_time(getpid())?,
            busy,
        })
    }
}
