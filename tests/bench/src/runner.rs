//! Round by round, scenario by scenario, subject by subject.

use std::io;

use crate::cores::pin_this_thread;
use crate::options::Plan;
use crate::peers::Subject;
use crate::results::Results;
use crate::scenario::{Bench, Outcome, Scenario};
use crate::stop;

/// Measures everything that the plan names.
///
/// A subject that fails in a scenario leaves a gap in the table and a line below it; only a
/// request to stop ends the run, with the figures so far.
pub(crate) fn run(plan: &Plan) -> io::Result<Results> {
    pin_this_thread(plan.cores.load)?;
    let folder = tempfile::tempdir()?;
    let mut results = Results::new(plan);
    for round in 0..plan.rounds {
        for &scenario in &plan.scenarios {
            for index in order(plan.subjects.len(), round) {
                let subject = &plan.subjects[index];
                if !scenario.suits(subject) {
                    continue;
                }
                let (cores, time, folder) = (plan.cores, plan.time, folder.path());
                let outcome = scenario.run(&Bench {
                    subject,
                    cores,
                    time,
                    folder,
                });
                if stop::requested() {
                    return Ok(results);
                }
                report(round, plan.rounds, scenario, subject, &outcome);
                results.add(round, scenario, index, outcome);
            }
        }
    }
    Ok(results)
}

/// Returns the order of one round: each begins with another subject, so that no subject always follows the same one.
fn order(count: usize, round: u32) -> impl Iterator<Item = usize> {
    let first = usize::try_from(round).unwrap_or(0);
    (0..count).map(move |index| (first + index) % count)
}

/// Prints one line of progress.
fn report(
    round: u32,
    rounds: u32,
    scenario: Scenario,
    subject: &Subject,
    outcome: &io::Result<Outcome>,
) {
    let figures = match outcome {
        Ok(outcome) => outcome
            .figures
            .iter()
            .map(|(row, value)| format!("{} {value:.2}", row.spec().key))
            .collect::<Vec<_>>()
            .join("  "),
        Err(error) => format!("failed: {error}"),
    };
    eprintln!(
        "round {}/{rounds}  {scenario:?}  {}  {figures}",
        round + 1,
        subject.name
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_rotates_and_keeps_everybody() {
        assert_eq!(order(3, 0).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(order(3, 4).collect::<Vec<_>>(), [1, 2, 0]);
    }
}
