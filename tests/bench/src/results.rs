//! The figures of all rounds, their medians and comparisons.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use crate::options::Plan;
use crate::rows::{Better, Row};
use crate::scenario::{Outcome, Scenario};

/// All figures of a run.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
    pub(crate) rounds: u32,
    pub(crate) time: Duration,
    figures: BTreeMap<(Row, usize), Vec<Figure>>,
    foreign_shares: Vec<f64>,
    /// The proxies that could not be measured, one sentence each.
    pub(crate) missing: Vec<String>,
    /// How often a measurement failed, and the last reason.
    failures: BTreeMap<(usize, Scenario), (u32, String)>,
}

/// The heading of a column, and its part in the comparison.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) role: Role,
}

/// The part of a column in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Direct,
    Peer,
    Ours,
}

#[derive(Clone, Copy, Debug)]
struct Figure {
    value: f64,
    /// The load's core had no time left: the subject could have done better.
    is_held_down: bool,
}

/// Ours beside the best peer.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    /// Ours divided by the best peer; `None` if the ratio has no meaning.
    pub(crate) ratio: Option<f64>,
    pub(crate) verdict: Verdict,
    pub(crate) best_peer: String,
}

/// The result of a comparison with the best peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ahead,
    Level,
    Behind,
}

/// Load that used this share of its core was the limit, or close to it.
const FULL: f64 = 0.93;

impl Results {
    pub(crate) fn new(plan: &Plan) -> Self {
        let role = |is_direct, is_ours| match (is_direct, is_ours) {
            (true, _) => Role::Direct,
            (false, true) => Role::Ours,
            (false, false) => Role::Peer,
        };
        let column = |subject: &crate::peers::Subject| Column {
            name: subject.name.clone(),
            role: role(subject.is_direct(), subject.is_ours()),
        };
        Self {
            columns: plan.subjects.iter().map(column).collect(),
            rows: plan.rows.clone(),
            rounds: plan.rounds,
            time: plan.time,
            figures: BTreeMap::new(),
            foreign_shares: Vec::new(),
            missing: plan.missing.clone(),
            failures: BTreeMap::new(),
        }
    }

    /// Takes one outcome, good or bad.
    pub(crate) fn add(&mut self, scenario: Scenario, column: usize, outcome: io::Result<Outcome>) {
        match outcome {
            Err(error) => {
                let failure = self.failures.entry((column, scenario)).or_default();
                *failure = (failure.0 + 1, error.to_string());
            }
            Ok(outcome) => {
                let full = outcome.spent.is_some_and(|spent| spent.load_share >= FULL);
                self.foreign_shares
                    .extend(outcome.spent.map(|spent| spent.foreign_share));
                for (row, value) in outcome.figures {
                    let is_held_down = full && row.is_bound_by_load();
                    let figures = self.figures.entry((row, column)).or_default();
                    figures.push(Figure {
                        value,
                        is_held_down,
                    });
                }
            }
        }
    }

    /// Returns the figures of all rounds, in their order.
    pub(crate) fn values(&self, row: Row, column: usize) -> Vec<f64> {
        let figures = self
            .figures
            .get(&(row, column))
            .map_or(&[][..], Vec::as_slice);
        figures.iter().map(|figure| figure.value).collect()
    }

    /// Returns the median over the rounds.
    pub(crate) fn median(&self, row: Row, column: usize) -> Option<f64> {
        median(self.values(row, column))
    }

    /// Returns whether the load held the figure down in most rounds.
    pub(crate) fn is_held_down(&self, row: Row, column: usize) -> bool {
        let figures = self
            .figures
            .get(&(row, column))
            .map_or(&[][..], Vec::as_slice);
        let full = figures.iter().filter(|figure| figure.is_held_down).count();
        self.columns[column].role != Role::Direct && 2 * full > figures.len()
    }

    /// Returns whether the measurement behind a cell has failed at least once.
    pub(crate) fn has_failed(&self, row: Row, column: usize) -> bool {
        let mut failed = self.failures.keys();
        failed.any(|(other, scenario)| *other == column && scenario.rows().contains(&row))
    }

    /// Returns the errors, one sentence for each column and scenario.
    pub(crate) fn failures(&self) -> Vec<String> {
        let sentence =
            |(&(column, scenario), (count, reason)): (&(usize, Scenario), &(u32, String))| {
                let (name, rounds) = (&self.columns[column].name, self.rounds);
                format!("{name}, {scenario:?}, {count} of {rounds} rounds: {reason}")
            };
        self.failures.iter().map(sentence).collect()
    }

    /// Returns the share of the two cores that other processes used while we measured.
    pub(crate) fn foreign_share(&self) -> Option<f64> {
        median(self.foreign_shares.clone())
    }

    /// Compares ours with the best peer in one row.
    pub(crate) fn compare(&self, row: Row) -> Option<Comparison> {
        let with_role = |role| {
            let columns = self.columns.iter().enumerate();
            let columns = columns.filter(move |(_, column)| column.role == role);
            columns.filter_map(|(index, column)| Some((column, self.median(row, index)?)))
        };
        let (_, ours) = with_role(Role::Ours).next()?;
        let better = row.spec().better;
        let (column, peer) = with_role(Role::Peer).reduce(|best, next| {
            let next_is_better = match better {
                Better::More => next.1 > best.1,
                Better::Less => next.1 < best.1,
            };
            if next_is_better { next } else { best }
        })?;
        let (ratio, verdict) = judge(row, ours, peer);
        Some(Comparison {
            ratio,
            verdict,
            best_peer: column.name.clone(),
        })
    }
}

/// Compares two figures; a difference below 2 % or below the grain of the row is level.
fn judge(row: Row, ours: f64, peer: f64) -> (Option<f64>, Verdict) {
    const LEVEL: f64 = 0.02;
    let spec = row.spec();
    let gain = match spec.better {
        Better::More => ours - peer,
        Better::Less => peer - ours,
    };
    let verdict = match gain {
        gain if gain.abs() <= spec.grain.max(peer.abs() * LEVEL) => Verdict::Level,
        gain if gain > 0.0 => Verdict::Ahead,
        _ => Verdict::Behind,
    };
    ((peer > spec.grain).then(|| ours / peer), verdict)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 {
        upper
    } else {
        f64::midpoint(values[middle - 1], upper)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn more_and_less_are_judged_their_own_way() {
        assert_eq!(judge(Row::Bulk1, 4.0, 3.0).1, Verdict::Ahead);
        assert_eq!(judge(Row::Bulk1, 3.0, 4.0), (Some(0.75), Verdict::Behind));
        assert_eq!(judge(Row::HttpTail, 3.0, 4.0), (Some(0.75), Verdict::Ahead));
        assert_eq!(judge(Row::HttpTail, 4.05, 4.0).1, Verdict::Level);
    }

    #[test]
    fn next_to_nothing_has_no_ratio() {
        assert_eq!(judge(Row::IdleCpu, 0.1, 0.0), (None, Verdict::Level));
        assert_eq!(judge(Row::IdleCpu, 9.0, 0.0), (None, Verdict::Behind));
    }
}
