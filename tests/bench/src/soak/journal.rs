//! What the loads have done, and what has failed, by kind.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The kinds of traffic, which all run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Load {
    Probe,
    Churn,
    Resets,
    Bulk,
    Transfers,
    Stalls,
    Names,
    FullTable,
    Datagrams,
    Streams,
    StreamBulk,
    Cuts,
    Metrics,
}

impl Load {
    /// All of them, in the order of the report.
    pub(super) const ALL: [Self; 13] = [
        Self::Probe,
        Self::Churn,
        Self::Resets,
        Self::Bulk,
        Self::Transfers,
        Self::Stalls,
        Self::Names,
        Self::FullTable,
        Self::Datagrams,
        Self::Streams,
        Self::StreamBulk,
        Self::Cuts,
        Self::Metrics,
    ];
}

impl fmt::Display for Load {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Probe => "round trips of the probe",
            Self::Churn => "connections opened and closed",
            Self::Resets => "connections reset or half-closed",
            Self::Bulk => "pieces of bulk",
            Self::Transfers => "transfers of 256 MiB",
            Self::Stalls => "sessions stalled",
            Self::Names => "slow, silent and quick names",
            Self::FullTable => "full tables",
            Self::Datagrams => "datagrams",
            Self::Streams => "streams opened and closed",
            Self::StreamBulk => "pieces of bulk in the tunnel",
            Self::Cuts => "cuts of the link",
            Self::Metrics => "reads of /metrics",
        })
    }
}

/// Counts, which all threads of the soak share.
#[derive(Debug, Default)]
pub(super) struct Journal {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    done: BTreeMap<Load, u64>,
    /// Failures that the soak itself causes, for example by a cut of the link.
    caused: BTreeMap<(Load, String), u64>,
    /// Failures without such a cause.
    faults: BTreeMap<(Load, String), u64>,
}

impl Journal {
    /// Counts pieces of work that went well.
    pub(super) fn done(&self, load: Load, count: u64) {
        *self.lock().done.entry(load).or_default() += count;
    }

    /// Counts a failure that the soak has caused.
    pub(super) fn caused(&self, load: Load, kind: &str, count: u64) {
        if count > 0 {
            *self.lock().caused.entry((load, kind.into())).or_default() += count;
        }
    }

    /// Counts work that was not done in time, which happens now and then where other programs need the cores.
    pub(super) fn late(&self, load: Load) {
        self.caused(load, LATE, 1);
    }

    /// Counts a failure that must not be, or one of time.
    pub(super) fn fault(&self, load: Load, error: &io::Error) {
        if is_late(error) {
            return self.late(load);
        }
        *self
            .lock()
            .faults
            .entry((load, kind_of(error)))
            .or_default() += 1;
    }

    /// Counts the outcome of one piece of work.
    pub(super) fn outcome(&self, load: Load, outcome: io::Result<()>) {
        match outcome {
            Ok(()) => self.done(load, 1),
            Err(error) => self.fault(load, &error),
        }
    }

    /// Returns how many pieces of work went well.
    pub(super) fn count(&self, load: Load) -> u64 {
        self.lock().done.get(&load).copied().unwrap_or(0)
    }

    /// Returns the numbers of failures, caused by the soak and not.
    pub(super) fn failures(&self) -> (u64, u64) {
        let counts = self.lock();
        (counts.caused.values().sum(), counts.faults.values().sum())
    }

    /// Returns the failures without a cause, a line for each kind, and the loads that were late too often.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = lines(&self.lock().faults);
        for load in Load::ALL {
            let done = self.count(load);
            let late = self.lock().caused.get(&(load, LATE.into())).copied();
            let too_often = late.filter(|late| *late > 2 + done / 100);
            faults.extend(too_often.map(|late| format!("{load}: {late} {LATE}, {done} done")));
        }
        faults
    }

    /// Returns the failures that the soak has caused, a line for each kind.
    pub(super) fn consequences(&self) -> Vec<String> {
        lines(&self.lock().caused)
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kind of work that was not done in time.
const LATE: &str = "not in time";

/// Returns whether a time limit has passed: ours, or the one of an inspector that waits for its workers.
fn is_late(error: &io::Error) -> bool {
    let is_limit = matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    );
    is_limit || error.to_string().contains("503 Service Unavailable")
}

fn lines(counts: &BTreeMap<(Load, String), u64>) -> Vec<String> {
    let line = |((load, kind), count): (&(Load, String), &u64)| format!("{load}: {kind}, {count}");
    counts.iter().map(line).collect()
}

/// Returns the kind of an error, or the beginning of its sentence if it has none.
fn kind_of(error: &io::Error) -> String {
    const SHOWN: usize = 80;
    if error.kind() == io::ErrorKind::Other {
        return error.to_string().chars().take(SHOWN).collect();
    }
    error.kind().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_work_is_a_fault_only_if_it_is_frequent() {
        let journal = Journal::default();
        journal.done(Load::Bulk, 1_000);
        for count in 0..13 {
            assert!(
                journal.faults().is_empty(),
                "{count}: {:?}",
                journal.faults()
            );
            let error = io::Error::from(io::ErrorKind::TimedOut);
            journal.outcome(Load::Bulk, Err(error));
        }
        assert_eq!(
            journal.faults(),
            ["pieces of bulk: 13 not in time, 1000 done"]
        );
    }

    #[test]
    fn failures_are_counted_by_load_and_kind() {
        let journal = Journal::default();
        journal.outcome(Load::Churn, Ok(()));
        for _ in 0..2 {
            let error = io::Error::from(io::ErrorKind::ConnectionReset);
            journal.outcome(Load::Churn, Err(error));
        }
        journal.outcome(Load::Names, Err(io::Error::other("SOCKS5 refuses")));
        journal.caused(Load::Streams, "cut", 3);
        journal.caused(Load::Streams, "none", 0);
        assert_eq!(journal.count(Load::Churn), 1);
        assert_eq!(journal.failures(), (3, 3));
        assert_eq!(
            journal.faults(),
            [
                "connections opened and closed: connection reset, 2",
                "slow, silent and quick names: SOCKS5 refuses, 1",
            ]
        );
        assert_eq!(
            journal.consequences(),
            ["streams opened and closed: cut, 3"]
        );
    }
}
