//! The proofs about exercises: nothing is solved in a starter, everything in the reference, and nobody depends in secret.

use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use super::Row;
use crate::grade::bench::Workbench;
use crate::manifest::{Exercise, Manifest, Stage, last_segment, owner_of};
use crate::run::build::Build;
use crate::run::suite;
use crate::run::test::{Guard, Outcome, Run};
use crate::starter::blank;

/// How much of the compiler's messages a row shows.
const MESSAGES: usize = 600;

/// What all proofs work with.
#[derive(Debug)]
pub(super) struct Proofs<'a> {
    pub(super) root: &'a Path,
    pub(super) manifest: &'a Manifest,
    pub(super) bench: &'a Workbench,
    pub(super) guard: Guard,
    pub(super) quick: bool,
    /// The one stage that is wanted, if not all are.
    pub(super) only: Option<&'a Stage>,
}

/// The tests of a stage and their outcomes, or the compiler's messages.
pub(super) type Outcomes = Result<Vec<(String, Outcome)>, String>;

impl Proofs<'_> {
    /// Proofs 1 and 2: a starter compiles, and each exercise has a test that fails on it.
    pub(super) fn starter(&self) -> Result<Vec<Row>> {
        let open: Vec<_> = self
            .manifest
            .exercises()
            .map(|(_, exercise)| exercise)
            .collect();
        self.prepare(&open)?;
        let mut rows = Vec::new();
        for stage in self.stages() {
            let start = Instant::now();
            let outcomes = self.outcomes(stage, |_| true)?;
            let claim = format!("a starter of {} compiles", stage.id());
            let against = outcomes.as_ref().err().cloned().into_iter().collect();
            rows.push(row(claim, against, start));
            let Ok(outcomes) = outcomes else { continue };
            for exercise in &stage.exercises {
                let start = Instant::now();
                let fails = failing(&outcomes, stage).any(|(_, owner)| owner.id() == exercise.id());
                let claim = format!("{} fails on a starter", exercise.id());
                let against = if fails {
                    vec![]
                } else {
                    vec!["every test of it passes".to_owned()]
                };
                rows.push(row(claim, against, start));
            }
        }
        Ok(rows)
    }

    /// Proof 3: the reference passes.
    pub(super) fn reference(&self) -> Result<Vec<Row>> {
        self.prepare(&[])?;
        let mut rows = Vec::new();
        for stage in self.stages() {
            let start = Instant::now();
            let against = match self.outcomes(stage, |_| true)? {
                Ok(outcomes) => outcomes
                    .into_iter()
                    .filter(|(_, outcome)| *outcome != Outcome::Passed)
                    .map(|(name, outcome)| format!("{outcome:?}: {name}"))
                    .collect(),
                Err(messages) => vec![messages],
            };
            rows.push(row(
                format!("the reference passes {}", stage.id()),
                against,
                start,
            ));
        }
        Ok(rows)
    }

    /// Proof 4: one exercise blanked alone fails its own tests, and those of nobody who does not need it.
    pub(super) fn each_alone(&self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for (stage, exercise) in self.manifest.exercises() {
            if self.stages().any(|one| one.id() == stage.id()) {
                rows.push(self.alone(stage, exercise)?);
            }
        }
        Ok(rows)
    }

    fn alone(&self, own: &Stage, exercise: &Exercise) -> Result<Row> {
        let start = Instant::now();
        self.prepare(&[exercise])?;
        let affected = affected_by(self.manifest, exercise);
        let mut against = Vec::new();
        let mut own_fails = false;
        let stages = self
            .manifest
            .stages
            .iter()
            .skip_while(|stage| stage.id() != own.id());
        for stage in stages.take(if self.quick { 1 } else { usize::MAX }) {
            // What needs the exercise may fail or not: only its own tests and those of strangers tell something.
            let tells =
                |owner: &Exercise| owner.id() == exercise.id() || !affected.contains(owner.id());
            match self.outcomes(stage, tells)? {
                Err(messages) => against.push(messages),
                Ok(outcomes) => {
                    for (name, owner) in failing(&outcomes, stage) {
                        own_fails |= owner.id() == exercise.id();
                        if !affected.contains(owner.id()) {
                            against.push(format!(
                                "{name} of {} fails and does not need it",
                                owner.id()
                            ));
                        }
                    }
                }
            }
        }
        if !own_fails {
            against.push("no test of it fails".to_owned());
        }
        Ok(row(
            format!("{} blanked alone is seen by its own tests", exercise.id()),
            against,
            start,
        ))
    }

    /// Brings the workbench to the reference with some exercises blanked.
    pub(super) fn prepare(&self, open: &[&Exercise]) -> Result<()> {
        self.bench
            .fill(self.root, self.root, &self.manifest.stages)?;
        blank(&self.bench.site.root, open)
    }

    pub(super) fn stages(&self) -> impl Iterator<Item = &Stage> {
        let wanted = |stage: &&Stage| self.only.is_none_or(|only| only.id() == stage.id());
        self.manifest.stages.iter().filter(wanted)
    }

    /// Builds a stage's tests and runs those whose exercise is wanted.
    fn outcomes(&self, stage: &Stage, wanted: impl Fn(&Exercise) -> bool) -> Result<Outcomes> {
        self.outcomes_of(stage, None, wanted)
    }

    /// As `outcomes`, with another program in place of the stage's.
    pub(super) fn outcomes_of(
        &self,
        stage: &Stage,
        program: Option<&Path>,
        wanted: impl Fn(&Exercise) -> bool,
    ) -> Result<Outcomes> {
        eprintln!("verify: building {}", stage.id());
        let executable = match self.bench.site.build(stage)? {
            Build::Ready(executable) => executable,
            Build::Broken(messages) => return Ok(Err(messages.chars().take(MESSAGES).collect())),
        };
        let folder = self.bench.site.folder(stage);
        let is_wanted = |name: &String| owner_of(stage, name).is_some_and(&wanted);
        let all = self.guard.list(&executable, &folder)?;
        let names: Vec<_> = all.into_iter().filter(is_wanted).collect();
        eprintln!("verify: running {} tests of {}", names.len(), stage.id());
        let guard = self.guard.with_program(program);
        let runs = suite::run(&guard, &executable, &folder, &names, &|_, _: &Run| ());
        let outcomes = runs.into_iter().map(|run| run.outcome);
        Ok(Ok(names.into_iter().zip(outcomes).collect()))
    }
}

/// Returns an exercise and all that need it, directly or through others.
fn affected_by<'a>(manifest: &'a Manifest, exercise: &'a Exercise) -> HashSet<&'a str> {
    let mut affected = HashSet::from([exercise.id()]);
    // One pass is enough: each needs only earlier ones.
    for (_, later) in manifest.exercises() {
        if later.needs().any(|need| affected.contains(need)) {
            affected.insert(later.id());
        }
    }
    affected
}

fn failing<'a>(
    outcomes: &'a [(String, Outcome)],
    stage: &'a Stage,
) -> impl Iterator<Item = (&'a str, &'a Exercise)> {
    let failed = outcomes
        .iter()
        .filter(|(_, outcome)| *outcome != Outcome::Passed);
    failed.filter_map(|(name, _)| Some((last_segment(name), owner_of(stage, name)?)))
}

/// Makes a row and tells it at once.
pub(super) fn row(claim: String, against: Vec<String>, start: Instant) -> Row {
    let sign = if against.is_empty() { "holds" } else { "FAILS" };
    eprintln!("verify: {sign}: {claim} {}", against.join("; "));
    let seconds = start.elapsed().as_secs();
    Row {
        claim,
        against,
        seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn who_needs_an_exercise_is_followed_to_the_end() {
        let manifest = Manifest::load(&workspace::root().unwrap()).unwrap();
        let (_, reverse) = manifest.find("1.2").unwrap();
        let affected = affected_by(&manifest, reverse);
        for id in ["1.2", "1.4", "2.5", "3.5"] {
            assert!(affected.contains(id), "{id}");
        }
        for id in ["1.1", "2.1", "4.1"] {
            assert!(!affected.contains(id), "{id}");
        }
    }
}
