//! Ours beside another column, and whether the difference is more than noise.

use crate::better::Better;
use crate::rows::Row;

/// Ours beside another column in one row.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    /// The median of ours divided by that of the other; `None` if the ratio has no meaning.
    pub(crate) ratio: Option<f64>,
    /// The lowest and the highest ratio of one round.
    pub(crate) range: Option<(f64, f64)>,
    pub(crate) verdict: Verdict,
    /// The name of the other column.
    pub(crate) other: String,
}

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ahead,
    /// The medians differ by less than the instrument can tell.
    Level,
    Behind,
    /// The medians differ, but the rounds disagree about which is better, or are too few.
    Unsure,
}

impl Comparison {
    /// Compares two medians, ours first, that come from these pairs of rounds.
    pub(crate) fn new(
        row: Row,
        (ours, other): (f64, f64),
        rounds: &[(f64, f64)],
        name: String,
    ) -> Self {
        let grain = row.spec().grain;
        let ratios = rounds.iter().filter(|(_, other)| *other > grain);
        let ratios: Vec<f64> = ratios.map(|(ours, other)| ours / other).collect();
        let lowest = ratios.iter().copied().reduce(f64::min);
        let highest = ratios.iter().copied().reduce(f64::max);
        Self {
            ratio: (other > grain).then(|| ours / other),
            range: lowest.zip(highest),
            verdict: judge(row, (ours, other), rounds),
            other: name,
        }
    }
}

/// Compares two medians; a difference below 2 % or below the grain of the row is level.
fn judge(row: Row, (ours, other): (f64, f64), rounds: &[(f64, f64)]) -> Verdict {
    const LEVEL: f64 = 0.02;
    let spec = row.spec();
    let gain = |ours: f64, other: f64| match spec.better {
        Better::More => ours - other,
        Better::Less => other - ours,
    };
    let total = gain(ours, other);
    if total.abs() <= spec.grain.max(other.abs() * LEVEL) {
        return Verdict::Level;
    }
    let disagrees = |(ours, other): &&(f64, f64)| gain(*ours, *other) * total <= 0.0;
    let against = rounds.iter().filter(disagrees).count();
    let may_disagree = may_disagree(rounds.len());
    match may_disagree.filter(|&most| against <= most) {
        None => Verdict::Unsure,
        Some(_) if total > 0.0 => Verdict::Ahead,
        Some(_) => Verdict::Behind,
    }
}

/// With fewer rounds than this, no winner is named.
pub(crate) const FEWEST: usize = 5;

/// Returns in how many rounds the loser may have been ahead: a sign test at 7 %, both sides together.
fn may_disagree(rounds: usize) -> Option<usize> {
    match rounds {
        0..FEWEST => None,
        FEWEST..9 => Some(0),
        9..11 => Some(1),
        more => Some(more / 5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five rounds with the same figures.
    fn verdict(row: Row, ours: f64, other: f64) -> Verdict {
        judge(row, (ours, other), &[(ours, other); 5])
    }

    #[test]
    fn more_and_less_are_judged_their_own_way() {
        assert_eq!(verdict(Row::Bulk1, 4.0, 3.0), Verdict::Ahead);
        assert_eq!(verdict(Row::Bulk1, 3.0, 4.0), Verdict::Behind);
        assert_eq!(verdict(Row::HttpTail, 3.0, 4.0), Verdict::Ahead);
        assert_eq!(verdict(Row::HttpTail, 4.05, 4.0), Verdict::Level);
    }

    #[test]
    fn next_to_nothing_has_no_ratio() {
        assert_eq!(verdict(Row::IdleCpu, 0.1, 0.0), Verdict::Level);
        assert_eq!(verdict(Row::IdleCpu, 9.0, 0.0), Verdict::Behind);
        let found = Comparison::new(Row::IdleCpu, (9.0, 0.0), &[(9.0, 0.0)], "x".into());
        assert_eq!((found.ratio, found.range), (None, None));
    }

    #[test]
    fn no_winner_is_named_inside_the_noise() {
        let mut rounds = vec![(4.0, 3.0); 4];
        assert_eq!(judge(Row::Bulk1, (4.0, 3.0), &rounds), Verdict::Unsure);
        rounds.push((2.9, 3.0));
        assert_eq!(judge(Row::Bulk1, (4.0, 3.0), &rounds), Verdict::Unsure);
        rounds.extend([(4.0, 3.0); 4]);
        assert_eq!(judge(Row::Bulk1, (4.0, 3.0), &rounds), Verdict::Ahead);
        rounds.push((2.9, 3.0));
        assert_eq!(judge(Row::Bulk1, (4.0, 3.0), &rounds), Verdict::Unsure);
    }

    #[test]
    fn the_rounds_may_disagree_by_a_sign_test() {
        for rounds in FEWEST..40 {
            let against = may_disagree(rounds).unwrap();
            assert!(chance(rounds, against) < 0.07, "{against} of {rounds}");
        }
        assert_eq!(may_disagree(FEWEST - 1), None);
    }

    /// Returns how likely so few disagree when nothing makes a difference, for either side to win.
    fn chance(rounds: usize, against: usize) -> f64 {
        let mut ways = 1.0;
        let mut sum = 0.0;
        for lost in 0..=against {
            sum += ways;
            ways = ways * (rounds - lost) as f64 / (lost + 1) as f64;
        }
        2.0 * sum / 2f64.powi(i32::try_from(rounds).unwrap())
    }

    #[test]
    fn the_range_is_that_of_the_rounds() {
        let rounds = [(1.0, 2.0), (3.0, 2.0), (2.0, 2.0)];
        let found = Comparison::new(Row::Bulk1, (2.0, 2.0), &rounds, "x".into());
        assert_eq!((found.ratio, found.range), (Some(1.0), Some((0.5, 1.5))));
    }
}
