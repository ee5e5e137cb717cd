//! Whether a measure has stayed flat: the median of its last third against that of its first.
//!
//! A latency may grow as far as the machine has become slower, which a probe without a proxy shows.
//!
//! Medians, because full tables and stalls come and go: a third has several of each, and its median does not depend on
//! whether it begins with one. A leak moves the median of the last third, however small it is, if the soak is long enough.

/// How far the last third may be above the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slack {
    pub(super) times: f64,
    pub(super) plus: f64,
}

/// Memory in KiB: allocators keep pages, and a few more connections at the same time need a few more.
pub(super) const MEMORY: Slack = Slack {
    times: 1.1,
    plus: 512.0,
};

/// Descriptors: each stalled session has four, and how long it takes to end depends on the kernel's buffers.
pub(super) const DESCRIPTORS: Slack = Slack {
    times: 1.05,
    plus: 40.0,
};

/// Median latency in microseconds, because other programs use the same cores.
pub(super) const MEDIAN: Slack = Slack {
    times: 1.5,
    plus: 500.0,
};

/// The 99th percentile of a second, in microseconds: it shows each turn that another program was given.
pub(super) const TAIL: Slack = Slack {
    times: 2.0,
    plus: 10_000.0,
};

/// A measure at its beginning and at its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    name: String,
    first: f64,
    last: f64,
    limit: f64,
}

impl Finding {
    /// Compares the thirds; `None` if there are too few values for three medians.
    pub(super) fn judge(name: String, values: &[f64], slack: Slack) -> Option<Self> {
        let (first, last) = ends(values)?;
        Some(Self {
            name,
            first,
            last,
            limit: first * slack.times + slack.plus,
        })
    }

    /// Compares the thirds of a latency, beside those of the same way without a proxy.
    pub(super) fn judge_beside(
        name: String,
        (values, direct): (&[f64], &[f64]),
        slack: Slack,
    ) -> Option<Self> {
        /// A round trip through a tunnel wakes three programs more than one without.
        const TURNS: f64 = 8.0;
        let mut finding = Self::judge(name, values, slack)?;
        let (first, last) = ends(direct)?;
        finding.limit += TURNS * (last - first).max(0.0);
        Some(finding)
    }

    /// Returns whether the measure has not grown.
    pub(super) fn is_flat(&self) -> bool {
        self.last <= self.limit
    }

    /// Returns the comparison in words.
    pub(super) fn sentence(&self) -> String {
        let Self {
            name,
            first,
            last,
            limit,
        } = self;
        let verdict = if self.is_flat() { "flat" } else { "GROWS" };
        format!("{name}: {first:.0}, then {last:.0}, at most {limit:.0}: {verdict}")
    }
}

/// Returns the medians of the first third and of the last; `None` if these have too few values.
fn ends(values: &[f64]) -> Option<(f64, f64)> {
    const FEWEST: usize = 5;
    let known: Vec<f64> = values.iter().copied().filter(|it| !it.is_nan()).collect();
    let third = known.len() / 3;
    let (first, last) = (&known[..third], &known[known.len() - third..]);
    (third >= FEWEST).then(|| (median(first), median(last)))
}

/// Returns the middle value; of nothing, it is no number.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|it| !it.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(values: &[f64]) -> Finding {
        Finding::judge("fds".into(), values, DESCRIPTORS).unwrap()
    }

    #[test]
    fn what_comes_and_goes_is_flat() {
        let values: Vec<f64> = (0..45)
            .map(|second| if second % 4 == 0 { 400.0 } else { 30.0 })
            .collect();
        let finding = judge(&values);
        assert!(finding.is_flat(), "{}", finding.sentence());
        assert!((finding.first - 30.0).abs() < f64::EPSILON);
    }

    #[test]
    fn two_descriptors_in_a_second_are_not_flat_after_a_minute() {
        let values: Vec<f64> = (0..45)
            .map(|second| 30.0 + 2.0 * f64::from(second))
            .collect();
        let finding = judge(&values);
        assert!(!finding.is_flat(), "{}", finding.sentence());
        assert_eq!(
            finding.sentence(),
            "fds: 44, then 104, at most 86: GROWS",
            "{finding:?}"
        );
    }

    #[test]
    fn a_latency_may_grow_with_that_of_the_machine() {
        let rising: Vec<f64> = (0..45)
            .map(|second| 200.0 + 100.0 * f64::from(second))
            .collect();
        let (same, slower) = (
            [50.0; 45],
            rising.iter().map(|it| it / 2.0).collect::<Vec<_>>(),
        );
        let judge = |direct: &[f64]| {
            Finding::judge_beside("p50".into(), (&rising, direct), MEDIAN).unwrap()
        };
        assert!(!judge(&same).is_flat(), "{}", judge(&same).sentence());
        assert!(judge(&slower).is_flat(), "{}", judge(&slower).sentence());
    }

    #[test]
    fn less_is_flat_and_too_little_is_no_verdict() {
        let falling: Vec<f64> = (0..45).map(|second| 90.0 - f64::from(second)).collect();
        assert!(judge(&falling).is_flat());
        assert_eq!(Finding::judge("x".into(), &[1.0; 14], MEMORY), None);
        assert_eq!(Finding::judge("x".into(), &[f64::NAN; 60], MEMORY), None);
    }
}
