//! The readings of each second, the table over time, and the findings at its end.

use crate::soak::journal::Journal;
use crate::soak::verdict::{DESCRIPTORS, Finding, MEDIAN, MEMORY, TAIL, median};

/// How many programs are watched.
pub(super) const PROGRAMS: usize = 4;

/// The readings of one second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) programs: [Reading; PROGRAMS],
    /// Round trips through the relay, in microseconds.
    pub(super) relay: Times,
    /// Round trips through the tunnel.
    pub(super) tunnel: Times,
    /// Round trips without a proxy.
    pub(super) direct: Times,
}

/// The readings of one program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) private_kib: f64,
    pub(super) descriptors: f64,
}

/// How long the round trips of one second took, in microseconds; no number if there were none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) median: f64,
    pub(super) tail: f64,
    pub(super) longest: f64,
}

/// All readings of a soak.
#[derive(Debug)]
pub(super) struct Series {
    names: [&'static str; PROGRAMS],
    samples: Vec<Sample>,
    /// Where the next line of the table begins.
    shown: usize,
}

impl Series {
    /// Creates it for programs of these names.
    pub(super) fn new(names: [&'static str; PROGRAMS]) -> Self {
        Self {
            names,
            samples: Vec::new(),
            shown: 0,
        }
    }

    pub(super) fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// Returns how many readings no line of the table has yet.
    pub(super) fn unseen(&self) -> usize {
        self.samples.len() - self.shown
    }

    /// Returns the head of the table.
    pub(super) fn header(&self) -> String {
        let programs = self.names.map(|name| format!("{name} KiB | fds"));
        let times = "p50 us | p99 us | max us | tunnel p99 us | direct p99 us";
        format!(
            "| s | {} | {times} | caused | faults |\n|---:|{}\n",
            programs.join(" | "),
            "---:|".repeat(2 * PROGRAMS + 7)
        )
    }

    /// Returns the next line of the table: medians of the seconds since the last one, and the longest time of all.
    pub(super) fn line(&mut self, journal: &Journal) -> String {
        let part = &self.samples[self.shown..];
        let of = |value: &dyn Fn(&Sample) -> f64| -> Vec<f64> { part.iter().map(value).collect() };
        let mut cells = vec![self.samples.len().to_string()];
        for index in 0..PROGRAMS {
            let kib = of(&|sample| sample.programs[index].private_kib);
            let descriptors = of(&|sample| sample.programs[index].descriptors);
            cells.extend([kib, descriptors].map(|values| whole(median(&values))));
        }
        let longest = of(&|sample| sample.relay.longest);
        cells.extend([
            whole(median(&of(&|sample| sample.relay.median))),
            whole(median(&of(&|sample| sample.relay.tail))),
            whole(longest.into_iter().fold(f64::NAN, f64::max)),
            whole(median(&of(&|sample| sample.tunnel.tail))),
            whole(median(&of(&|sample| sample.direct.tail))),
        ]);
        let (caused, faults) = journal.failures();
        cells.extend([caused, faults].map(|count| count.to_string()));
        self.shown = self.samples.len();
        format!("| {} |\n", cells.join(" | "))
    }

    /// Compares the end with the beginning, without the first `warm_up` seconds.
    pub(super) fn findings(&self, warm_up: usize) -> Vec<Finding> {
        let part = self.samples.get(warm_up..).unwrap_or_default();
        let of = |value: &dyn Fn(&Sample) -> f64| -> Vec<f64> { part.iter().map(value).collect() };
        let mut findings = Vec::new();
        for (index, name) in self.names.into_iter().enumerate() {
            let kib = of(&|sample| sample.programs[index].private_kib);
            findings.push(Finding::judge(format!("{name}, private KiB"), &kib, MEMORY));
            let fds = of(&|sample| sample.programs[index].descriptors);
            let name = format!("{name}, descriptors");
            findings.push(Finding::judge(name, &fds, DESCRIPTORS));
        }
        let medians = of(&|sample| sample.direct.median);
        let tails = of(&|sample| sample.direct.tail);
        for (name, times) in [
            ("relay", of(&|sample| sample.relay.median)),
            ("tunnel", of(&|sample| sample.tunnel.median)),
        ] {
            let name = format!("{name}, median round trip, us");
            findings.push(Finding::judge_beside(name, (&times, &medians), MEDIAN));
        }
        for (name, times) in [
            ("relay", of(&|sample| sample.relay.tail)),
            ("tunnel", of(&|sample| sample.tunnel.tail)),
        ] {
            let name = format!("{name}, 99 % of the round trips, us");
            findings.push(Finding::judge_beside(name, (&times, &tails), TAIL));
        }
        findings.into_iter().flatten().collect()
    }
}

fn whole(value: f64) -> String {
    if value.is_nan() {
        "–".into()
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(descriptors: f64) -> Sample {
        let reading = Reading {
            private_kib: 2_000.0,
            descriptors,
        };
        let times = Times {
            median: 100.0,
            tail: 900.0,
            longest: f64::NAN,
        };
        Sample {
            programs: [reading; PROGRAMS],
            relay: times,
            tunnel: times,
            direct: times,
        }
    }

    fn series(growth: f64) -> Series {
        let mut series = Series::new(["a", "b", "c", "d"]);
        for second in 0..60 {
            series.add(sample(30.0 + growth * f64::from(second)));
        }
        series
    }

    #[test]
    fn every_measure_is_judged_and_the_growing_ones_are_found() {
        let flat = series(0.0).findings(10);
        assert_eq!(flat.len(), 2 * PROGRAMS + 4);
        assert!(flat.iter().all(Finding::is_flat));
        let growing = series(2.0).findings(10);
        let count = growing.iter().filter(|finding| !finding.is_flat()).count();
        assert_eq!(count, PROGRAMS);
    }

    #[test]
    fn a_line_has_a_cell_for_each_heading() {
        let mut series = series(0.0);
        assert_eq!(series.unseen(), 60);
        let header = series.header();
        let line = series.line(&Journal::default());
        let cells = |text: &str| text.matches('|').count();
        let heading = header.lines().next().unwrap();
        assert_eq!(cells(heading), cells(&line), "{header}{line}");
        assert!(line.starts_with("| 60 | 2000 | 30 |"), "{line}");
        assert_eq!(series.unseen(), 0);
    }
}
