//! The measurements: the programs they start, the traffic they send, the rows they fill.

mod arrival;
mod chain;
mod datagrams;
mod growth;
mod preproxy;
mod rest;
mod traffic;
mod tunnel;

pub(crate) use tunnel::TunnelScenario;

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::arrangement::Arrangement;
use crate::cores::Cores;
use crate::growth::Growth;
use crate::load::datagrams::Sending;
use crate::peers::{Job, Role, Subject};
use crate::rows::{GrowthRow, Row};
use crate::upstream::{Service, Upstream};
use crate::window::Spent;

/// The subject of a measurement and its surroundings.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) cores: Cores,
    /// How long one measure takes.
    pub(crate) time: Duration,
    /// For configuration and output of the proxy.
    pub(crate) folder: &'a Path,
}

/// The figures of one measurement.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) figures: Vec<(Row, f64)>,
    /// The timed stretch, when there was one.
    pub(crate) spent: Option<Spent>,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    Bulk1,
    Bulk8,
    Http,
    RoundTrip,
    Connect,
    Idle,
    Stalled,
    Empty,
    Queue,
    SocksConnect,
    SocksBulk,
    ConnectMethod,
    Forward,
    ForwardNew,
    Chain1,
    Chain3,
    Chain5,
    Datagrams,
    DatagramRuns,
    DatagramLoss,
    Flows,
    Associate,
    AssociateLoss,
    Associations,
    Preproxy,
    Growth(Growth),
    Tunnel(TunnelScenario),
}

impl Scenario {
    /// Those that have no family of their own, in the order in which they run.
    const PLAIN: [Self; 25] = [
        Self::Bulk1,
        Self::Bulk8,
        Self::Http,
        Self::RoundTrip,
        Self::Connect,
        Self::Idle,
        Self::Stalled,
        Self::Empty,
        Self::Queue,
        Self::SocksConnect,
        Self::SocksBulk,
        Self::ConnectMethod,
        Self::Forward,
        Self::ForwardNew,
        Self::Chain1,
        Self::Chain3,
        Self::Chain5,
        Self::Datagrams,
        Self::DatagramRuns,
        Self::DatagramLoss,
        Self::Flows,
        Self::Associate,
        Self::AssociateLoss,
        Self::Associations,
        Self::Preproxy,
    ];

    /// Returns all of them, in the order in which they run.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let growth = Growth::all().map(Self::Growth);
        let tunnel = TunnelScenario::ALL.into_iter().map(Self::Tunnel);
        Self::PLAIN.into_iter().chain(growth).chain(tunnel)
    }

    /// Returns the rows that it measures.
    pub(crate) fn rows(self) -> Vec<Row> {
        match self {
            Self::Bulk1 => vec![Row::Bulk1, Row::Bulk1Cpu],
            Self::Bulk8 => vec![Row::Bulk8, Row::BulkCpu],
            Self::Http => vec![
                Row::HttpRate,
                Row::HttpCpu,
                Row::HttpMedian,
                Row::HttpTail,
                Row::HttpLongest,
            ],
            Self::RoundTrip => vec![Row::RoundTrip],
            Self::Connect => vec![Row::ConnectRate, Row::ConnectCpu],
            Self::Idle => vec![Row::IdleMemory, Row::IdleFds, Row::IdleCpu],
            Self::Stalled => vec![Row::StalledMemory, Row::StalledBytes, Row::StalledCpu],
            Self::Empty => vec![Row::EmptyMemory],
            Self::Queue => vec![
                Row::QueueRate,
                Row::QueueCpu,
                Row::QueueMedian,
                Row::QueueTail,
                Row::QueueLongest,
            ],
            Self::SocksConnect => vec![Row::SocksRate, Row::SocksCpu],
            Self::SocksBulk => vec![Row::SocksBulk, Row::SocksBulkCpu],
            Self::ConnectMethod => vec![Row::ConnectMethodRate, Row::ConnectMethodCpu],
            Self::Forward => vec![Row::ForwardRate, Row::ForwardCpu, Row::ForwardTail],
            Self::ForwardNew => vec![Row::ForwardNewRate, Row::ForwardNewCpu],
            Self::Chain1 => vec![Row::Chain1Time, Row::Chain1Cpu],
            Self::Chain3 => vec![Row::Chain3Time, Row::Chain3Cpu],
            Self::Chain5 => vec![Row::Chain5Time, Row::Chain5Cpu],
            Self::Datagrams => vec![Row::DatagramRate],
            Self::DatagramRuns => vec![Row::DatagramRunRate],
            Self::DatagramLoss => vec![Row::DatagramLoss, Row::DatagramCpu],
            Self::Flows => vec![Row::FlowMemory, Row::FlowFds],
            Self::Associate => vec![Row::AssociateRate],
            Self::AssociateLoss => vec![Row::AssociateLoss, Row::AssociateCpu],
            Self::Associations => vec![Row::AssociationMemory, Row::AssociationFds],
            Self::Preproxy => vec![Row::PreproxyTime, Row::PreproxyCpu],
            Self::Growth(growth) => GrowthRow::of(growth).map(Row::Growth).to_vec(),
            Self::Tunnel(scenario) => scenario.rows().iter().copied().map(Row::Tunnel).collect(),
        }
    }

    /// Returns the work of the subject.
    pub(crate) fn job(self) -> Job {
        match self {
            Self::Queue => Job::Queue,
            Self::Growth(growth) => Job::Grow(growth),
            Self::Tunnel(_) => Job::Tunnel,
            Self::SocksConnect | Self::SocksBulk => Job::Socks5,
            Self::ConnectMethod => Job::Connect,
            Self::Forward | Self::ForwardNew => Job::Forward,
            Self::Chain1 => Job::Chain(1),
            Self::Chain3 => Job::Chain(3),
            Self::Chain5 => Job::Chain(5),
            Self::Datagrams | Self::DatagramRuns | Self::DatagramLoss | Self::Flows => {
                Job::Datagrams
            }
            Self::Associate | Self::AssociateLoss | Self::Associations => Job::Associate,
            Self::Preproxy => Job::Preproxy,
            Self::Bulk1
            | Self::Bulk8
            | Self::Http
            | Self::RoundTrip
            | Self::Connect
            | Self::Idle
            | Self::Stalled
            | Self::Empty => Job::Relay,
        }
    }

    /// Returns whether it says anything about a subject: direct has no memory to read, and few can queue.
    pub(crate) fn suits(self, subject: &Subject) -> bool {
        let watches_the_proxy = matches!(
            self,
            Self::Idle | Self::Stalled | Self::Flows | Self::Associations | Self::Growth(_)
        );
        let says_something = if let Self::Tunnel(scenario) = self {
            scenario.suits(subject)
        } else if self == Self::SocksBulk {
            subject.is_meant_for_bulk()
        } else if self == Self::Empty {
            // The bare relays are a part of this program, with all of its libraries.
            !matches!(subject.role(), Role::Direct | Role::Limit)
        } else {
            !(watches_the_proxy && subject.is_direct())
        };
        says_something && subject.can(self.job())
    }

    /// Returns whether it fits into a trial of all rows in some minutes.
    pub(crate) fn is_quick(self) -> bool {
        const MOST_SESSIONS: usize = 1_000;
        !matches!(self, Self::Growth(growth) if growth.sessions > MOST_SESSIONS)
    }

    /// Checks that this machine has room for it; the error says why not.
    pub(crate) fn check(self) -> Result<(), String> {
        if let Self::Growth(growth) = self {
            growth::check(growth)
        } else if self == Self::Preproxy {
            preproxy::check()
        } else {
            Ok(())
        }
    }

    /// Measures.
    pub(crate) fn run(self, bench: &Bench<'_>) -> io::Result<Outcome> {
        match self {
            Self::Bulk1 => bench.bulk(Job::Relay, 1, &[Row::Bulk1, Row::Bulk1Cpu]),
            Self::Bulk8 => bench.bulk(Job::Relay, 8, &[Row::Bulk8, Row::BulkCpu]),
            Self::Http => bench.http(),
            Self::RoundTrip => bench.round_trip(),
            Self::Connect => bench.connect(Job::Relay, [Row::ConnectRate, Row::ConnectCpu]),
            Self::Idle => bench.idle(),
            Self::Stalled => bench.stalled(),
            Self::Empty => bench.empty(),
            Self::Queue => bench.queue(),
            Self::SocksConnect => bench.connect(Job::Socks5, [Row::SocksRate, Row::SocksCpu]),
            Self::SocksBulk => bench.bulk(Job::Socks5, 1, &[Row::SocksBulk, Row::SocksBulkCpu]),
            Self::ConnectMethod => bench.connect(
                Job::Connect,
                [Row::ConnectMethodRate, Row::ConnectMethodCpu],
            ),
            Self::Forward => bench.forward(),
            Self::ForwardNew => {
                bench.connect(Job::Forward, [Row::ForwardNewRate, Row::ForwardNewCpu])
            }
            Self::Chain1 => bench.chain(1, [Row::Chain1Time, Row::Chain1Cpu]),
            Self::Chain3 => bench.chain(3, [Row::Chain3Time, Row::Chain3Cpu]),
            Self::Chain5 => bench.chain(5, [Row::Chain5Time, Row::Chain5Cpu]),
            Self::Datagrams => bench.datagrams(Job::Datagrams, Sending::Each, Row::DatagramRate),
            Self::DatagramRuns => {
                bench.datagrams(Job::Datagrams, Sending::AsOne, Row::DatagramRunRate)
            }
            Self::DatagramLoss => {
                bench.datagram_loss(Job::Datagrams, [Row::DatagramLoss, Row::DatagramCpu])
            }
            Self::Flows => bench.flows(Job::Datagrams, [Row::FlowMemory, Row::FlowFds]),
            Self::Associate => bench.datagrams(Job::Associate, Sending::Each, Row::AssociateRate),
            Self::AssociateLoss => {
                bench.datagram_loss(Job::Associate, [Row::AssociateLoss, Row::AssociateCpu])
            }
            Self::Associations => bench.flows(
                Job::Associate,
                [Row::AssociationMemory, Row::AssociationFds],
            ),
            Self::Preproxy => bench.preproxy(),
            Self::Growth(growth) => bench.growth(growth),
            Self::Tunnel(scenario) => scenario.run(bench),
        }
    }
}

impl Bench<'_> {
    /// Returns the time before a measure: buffers grow, caches fill, threads wake, and none of it is measured.
    fn warm_up(&self) -> Duration {
        const WARM_UP: Duration = Duration::from_millis(300);
        WARM_UP.min(self.time)
    }

    /// Starts an upstream and the subject in front of it, and sees that it passes sessions on.
    fn arrange(&self, job: Job, service: Service) -> io::Result<Arrangement> {
        let arrangement = self.arrange_unproven(job, service)?;
        arrangement.prove()?;
        Ok(arrangement)
    }

    /// Starts an upstream and the subject in front of it.
    fn arrange_unproven(&self, job: Job, service: Service) -> io::Result<Arrangement> {
        let upstream = Upstream::start(service)?;
        let (cores, folder) = (self.cores, self.folder);
        let proxies = self.subject.start(job, upstream.address(), cores, folder)?;
        let way = self.subject.way(job);
        Ok(Arrangement::new(proxies, way, upstream, cores))
    }
}
