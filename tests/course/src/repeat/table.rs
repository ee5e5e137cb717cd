//! The table of all runs.

use std::time::Duration;

use crate::repeat::verdict::{self, Failure};

/// The runs of one stage.
#[derive(Debug)]
pub(super) struct Tally {
    stage: String,
    alone: Vec<Duration>,
    loaded: Vec<Duration>,
    /// The number of each failed run, with its failures.
    failures: Vec<(usize, Vec<Failure>)>,
}

impl Tally {
    /// Creates a tally without runs.
    pub(super) fn new(stage: &str) -> Self {
        Self {
            stage: stage.to_owned(),
            alone: Vec::new(),
            loaded: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Adds a run; `failures` is empty when it passed.
    pub(super) fn add(&mut self, is_loaded: bool, time: Duration, failures: Vec<Failure>) {
        let times = if is_loaded {
            &mut self.loaded
        } else {
            &mut self.alone
        };
        times.push(time);
        if !failures.is_empty() {
            self.failures
                .push((self.alone.len() + self.loaded.len(), failures));
        }
    }

    /// Returns the runs that failed.
    pub(super) fn failures(&self) -> &[(usize, Vec<Failure>)] {
        &self.failures
    }

    fn lines(&self) -> String {
        let failed = |is_loaded: bool| {
            let of_kind = |(number, _): &&(usize, _)| number.is_multiple_of(2) == is_loaded;
            self.failures.iter().filter(of_kind).count()
        };
        let alone = line(&self.stage, "alone", &self.alone, failed(false));
        alone + &line(&self.stage, "loaded", &self.loaded, failed(true))
    }
}

/// Renders two lines for each stage, and one for each failure.
pub(super) fn render(tallies: &[&Tally], time: Duration) -> String {
    let mut text = "stage    processors  runs  failed     min  median     max\n".to_owned();
    for tally in tallies {
        text += &tally.lines();
    }
    for tally in tallies {
        for (number, failures) in &tally.failures {
            let file = failures.first().map(|failure| failure.file.display());
            let file = file.map(|file| file.to_string()).unwrap_or_default();
            let list = verdict::list(failures);
            text += &format!("{} run {number}: {list}\n  output: {file}\n", tally.stage);
        }
    }
    text + &format!("Seconds each; {} s in all.\n", time.as_secs())
}

fn line(stage: &str, kind: &str, times: &[Duration], failed: usize) -> String {
    let mut seconds: Vec<_> = times.iter().map(Duration::as_secs_f64).collect();
    seconds.sort_by(f64::total_cmp);
    let (Some(min), Some(max)) = (seconds.first(), seconds.last()) else {
        return String::new();
    };
    let median = seconds[seconds.len() / 2];
    let runs = seconds.len();
    format!(
        "{stage:<8} {kind:<10}  {runs:>4}  {failed:>6}  {min:>6.1}  {median:>6.1}  {max:>6.1}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_counted_by_kind_and_failures_are_named() {
        let mut tally = Tally::new("stage9");
        let failure = Failure {
            test: "e91_x".to_owned(),
            seed: Some("0x7".to_owned()),
            file: "out.txt".into(),
        };
        for (number, seconds) in [3, 9, 1, 8, 2].into_iter().enumerate() {
            let failures = if number == 3 {
                vec![failure.clone()]
            } else {
                vec![]
            };
            tally.add(number % 2 == 1, Duration::from_secs(seconds), failures);
        }
        let text = render(&[&tally], Duration::from_secs(23));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[1],
            "stage9   alone          3       0     1.0     2.0     3.0"
        );
        assert_eq!(
            lines[2],
            "stage9   loaded         2       1     8.0     9.0     9.0"
        );
        assert_eq!(lines[3], "stage9 run 4: e91_x (seed 0x7)");
        assert_eq!(lines[4], "  output: out.txt");
    }
}
