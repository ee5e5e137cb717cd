//! The measurements: the programs they start, the traffic they send, the rows they fill.

mod rest;
mod traffic;

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::arrangement::Arrangement;
use crate::cores::Cores;
use crate::peers::{Job, Subject};
use crate::rows::Row;
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
}

/// Buffers grow, caches fill, threads wake: none of it is measured.
const WARM_UP: Duration = Duration::from_millis(300);

impl Scenario {
    /// All of them, in the order in which they run.
    pub(crate) const ALL: [Self; 9] = [
        Self::Bulk1,
        Self::Bulk8,
        Self::Http,
        Self::RoundTrip,
        Self::Connect,
        Self::Idle,
        Self::Stalled,
        Self::Empty,
        Self::Queue,
    ];

    /// Returns the rows that it measures.
    pub(crate) fn rows(self) -> &'static [Row] {
        match self {
            Self::Bulk1 => &[Row::Bulk1],
            Self::Bulk8 => &[Row::Bulk8, Row::BulkCpu],
            Self::Http => &[Row::HttpRate, Row::HttpCpu, Row::HttpMedian, Row::HttpTail],
            Self::RoundTrip => &[Row::RoundTrip],
            Self::Connect => &[Row::ConnectRate, Row::ConnectCpu],
            Self::Idle => &[Row::IdleMemory, Row::IdleFds, Row::IdleCpu],
            Self::Stalled => &[Row::StalledMemory, Row::StalledCpu],
            Self::Empty => &[Row::EmptyMemory],
            Self::Queue => &[
                Row::QueueRate,
                Row::QueueCpu,
                Row::QueueMedian,
                Row::QueueTail,
            ],
        }
    }

    /// Returns the work of the subject.
    pub(crate) fn job(self) -> Job {
        match self {
            Self::Queue => Job::Queue,
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
        let has_work = match self {
            Self::Idle | Self::Stalled | Self::Empty => !subject.is_direct(),
            Self::Bulk1
            | Self::Bulk8
            | Self::Http
            | Self::RoundTrip
            | Self::Connect
            | Self::Queue => true,
        };
        has_work && subject.can(self.job())
    }

    /// Measures.
    pub(crate) fn run(self, bench: &Bench<'_>) -> io::Result<Outcome> {
        match self {
            Self::Bulk1 => bench.bulk(1, Row::Bulk1),
            Self::Bulk8 => bench.bulk(8, Row::Bulk8),
            Self::Http => bench.http(),
            Self::RoundTrip => bench.round_trip(),
            Self::Connect => bench.connect(),
            Self::Idle => bench.idle(),
            Self::Stalled => bench.stalled(),
            Self::Empty => bench.empty(),
            Self::Queue => bench.queue(),
        }
    }
}

impl Bench<'_> {
    /// Starts an upstream and the subject in front of it, and sees that it relays.
    fn arrange(&self, service: Service) -> io::Result<Arrangement> {
        let arrangement = self.arrange_for(Job::Relay, service)?;
        arrangement.prove()?;
        Ok(arrangement)
    }

    /// Starts an upstream and the subject in front of it.
    fn arrange_for(&self, job: Job, service: Service) -> io::Result<Arrangement> {
        let upstream = Upstream::start(service)?;
        let (cores, folder) = (self.cores, self.folder);
        let proxy = self.subject.start(job, upstream.address(), cores, folder)?;
        Ok(Arrangement::new(proxy, upstream, cores))
    }
}
