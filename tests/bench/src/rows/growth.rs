//! The lines of sessions that become more and more.

use crate::growth::Growth;
use crate::rows::{Spec, less};

/// One line about a number of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GrowthRow {
    pub(crate) growth: Growth,
    pub(crate) measure: Measure,
}

/// The measures of a number of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    Cpu,
    Tail,
    Memory,
    Opening,
}

impl GrowthRow {
    const MEASURES: [Measure; 4] = [
        Measure::Cpu,
        Measure::Tail,
        Measure::Memory,
        Measure::Opening,
    ];

    /// Returns the lines of one number of sessions.
    pub(crate) fn of(growth: Growth) -> [Self; 4] {
        Self::MEASURES.map(|measure| Self { growth, measure })
    }

    /// Returns all of them, in the order of the table.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Growth::all().flat_map(Self::of)
    }

    /// Returns the properties of the line.
    pub(crate) fn spec(self) -> Spec {
        let Growth { manner, sessions } = self.growth;
        let (measure, title, grain) = match self.measure {
            Measure::Cpu => ("cpu", "CPU ns per byte", 0.0),
            Measure::Tail => ("p99", "p99 us", 0.0),
            Measure::Memory => ("memory", "memory of each, bytes", 64.0),
            Measure::Opening => ("opening", "CPU us to open each", 0.0),
        };
        less(
            format!("growth-{}-{sessions}-{measure}", manner.key()),
            format!("{} sessions: {title}", with_comma(sessions)),
            grain,
        )
    }
}

fn with_comma(number: usize) -> String {
    match (number / 1_000, number % 1_000) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{thousands},{rest:03}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::Manner;

    #[test]
    fn keys_and_titles_name_the_number() {
        let growth = Growth {
            manner: Manner::TwoThreads,
            sessions: 10_000,
        };
        let [cpu, ..] = GrowthRow::of(growth).map(GrowthRow::spec);
        assert_eq!(cpu.key, "growth-2-10000-cpu");
        assert_eq!(cpu.title, "10,000 sessions: CPU ns per byte");
        assert_eq!(with_comma(10), "10");
    }
}
