//! The figures of all rounds, their medians and comparisons.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use crate::better::Better;
use crate::comparison::Comparison;
use crate::median::median;
use crate::options::Plan;
use crate::peers::{Role, Subject};
use crate::rows::Row;
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

#[derive(Clone, Copy, Debug)]
struct Figure {
    round: u32,
    value: f64,
    /// The load's core had no time left: the subject could have done better.
    is_held_down: bool,
}

/// Load that used this share of its core was the limit, or close to it.
const FULL: f64 = 0.93;

impl Results {
    pub(crate) fn new(plan: &Plan) -> Self {
        let column = |subject: &Subject| Column {
            name: subject.name.clone(),
            role: subject.role(),
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
    pub(crate) fn add(
        &mut self,
        round: u32,
        scenario: Scenario,
        column: usize,
        outcome: io::Result<Outcome>,
    ) {
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
                        round,
                        value,
                        is_held_down,
                    });
                }
            }
        }
    }

    /// Returns the figures of all rounds, in their order.
    pub(crate) fn values(&self, row: Row, column: usize) -> Vec<f64> {
        let figures = self.figures(row, column).iter();
        figures.map(|figure| figure.value).collect()
    }

    fn figures(&self, row: Row, column: usize) -> &[Figure] {
        let figures = self.figures.get(&(row, column));
        figures.map_or(&[], Vec::as_slice)
    }

    /// Returns whether a column has anything to show in some rows.
    pub(crate) fn has_part(&self, rows: &[Row], column: usize) -> bool {
        let has = |&row| !self.figures(row, column).is_empty() || self.has_failed(row, column);
        rows.iter().any(has)
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
        let better = row.spec().better;
        let peers = self.with_role(row, Role::Peer);
        let (best, _) = peers.reduce(|best, next| {
            let next_is_better = match better {
                Better::More => next.1 > best.1,
                Better::Less => next.1 < best.1,
            };
            if next_is_better { next } else { best }
        })?;
        self.compare_with(row, best)
    }

    /// Compares ours with ours without a handshake in one row.
    pub(crate) fn compare_with_fixed(&self, row: Row) -> Option<Comparison> {
        let (fixed, _) = self.with_role(row, Role::Fixed).next()?;
        self.compare_with(row, fixed)
    }

    /// Returns the columns of one role, with their medians.
    fn with_role(&self, row: Row, role: Role) -> impl Iterator<Item = (usize, f64)> {
        let columns = self.columns.iter().enumerate();
        let columns = columns.filter(move |(_, column)| column.role == role);
        columns.filter_map(move |(index, _)| Some((index, self.median(row, index)?)))
    }

    fn compare_with(&self, row: Row, other: usize) -> Option<Comparison> {
        let (ours, _) = self.with_role(row, Role::Ours).next()?;
        let medians = (self.median(row, ours)?, self.median(row, other)?);
        let rounds = self.pairs(row, ours, other);
        let other = self.columns[other].name.clone();
        Some(Comparison::new(row, medians, &rounds, other))
    }

    /// Returns the figures of two columns in the rounds in which neither has failed.
    fn pairs(&self, row: Row, ours: usize, other: usize) -> Vec<(f64, f64)> {
        let others = self.figures(row, other);
        let pair = |figure: &Figure| {
            let mut others = others.iter();
            let other = others.find(|other| other.round == figure.round)?;
            Some((figure.value, other.value))
        };
        self.figures(row, ours).iter().filter_map(pair).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Four columns (fixed, two peers, ours) with one row: each figure is a round, a column and a value.
    pub(crate) fn results(figures: &[(u32, usize, f64)]) -> Results {
        let column = |(index, role)| Column {
            name: format!("column {index}"),
            role,
        };
        let roles = [Role::Fixed, Role::Peer, Role::Peer, Role::Ours];
        let mut results = Results {
            columns: roles.into_iter().enumerate().map(column).collect(),
            rows: vec![Row::SocksRate],
            rounds: 5,
            time: Duration::from_secs(2),
            figures: BTreeMap::new(),
            foreign_shares: Vec::new(),
            missing: Vec::new(),
            failures: BTreeMap::new(),
        };
        for &(round, column, value) in figures {
            let outcome = Outcome {
                figures: vec![(Row::SocksRate, value)],
                spent: None,
            };
            results.add(round, Scenario::SocksConnect, column, Ok(outcome));
        }
        results
    }

    #[test]
    fn ours_is_compared_with_the_best_peer_and_with_fixed() {
        let results = results(&[(0, 0, 10.0), (0, 1, 4.0), (0, 2, 5.0), (0, 3, 8.0)]);
        let best = results.compare(Row::SocksRate).unwrap();
        assert_eq!((best.other.as_str(), best.ratio), ("column 2", Some(1.6)));
        let fixed = results.compare_with_fixed(Row::SocksRate).unwrap();
        assert_eq!((fixed.other.as_str(), fixed.ratio), ("column 0", Some(0.8)));
    }

    #[test]
    fn only_rounds_in_which_both_were_measured_are_paired() {
        let results = results(&[(0, 2, 1.0), (1, 2, 2.0), (1, 3, 20.0), (2, 3, 30.0)]);
        assert_eq!(results.pairs(Row::SocksRate, 3, 2), [(20.0, 2.0)]);
        assert!(results.has_part(&[Row::SocksRate], 3));
        assert!(!results.has_part(&[Row::SocksRate], 1));
    }
}
