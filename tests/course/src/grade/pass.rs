//! One pass over a stage: build its tests, run them, and sort the outcomes by exercise.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;

use crate::grade::bench::Workbench;
use crate::grade::report::{ExerciseReport, StageReport, TestReport, Verdict};
use crate::run::build::Build;
use crate::run::suite;
use crate::run::test::{Guard, Outcome, Run};
use crate::units::Units;
use crate::units::both::Both;
use course::manifest::{Exercise, Stage};

/// How often the tests of an exercise may time out before the rest of them is skipped.
const PATIENCE: usize = 2;

/// Receives a line of progress.
pub(super) type Tell<'a> = &'a (dyn Fn(&str) + Sync);

/// Grades a stage. With `earlier`, runs only the tests of exercises that did not pass then, and marks those that pass as
/// passed on the reference.
///
/// # Errors
///
/// Fails if cargo cannot be started, or the unit tests as they were handed out cannot be read.
pub(super) fn stage(
    bench: &Workbench,
    guard: &Guard,
    stage: &Stage,
    earlier: Option<&StageReport>,
    tell: Tell<'_>,
) -> Result<StageReport> {
    let executable = match bench.site.build_foreign(stage, guard)? {
        Build::Ready(executable) => executable,
        Build::Broken(messages) => {
            return Ok(without_tests(stage, Verdict::CouldNotBuild, messages));
        }
    };
    let units = Units::build(bench, stage, Some(guard))?;
    let folder = bench.site.folder(stage);
    let all = Both::list(stage, guard.clone(), executable, folder, units)?;
    let is_due = |exercise: &Exercise| earlier.is_none_or(|report| !report.passed(exercise.id()));
    let is_wanted = |name: &&String| all.owner(name).is_some_and(is_due);
    let names: Vec<_> = all.names.iter().filter(is_wanted).cloned().collect();
    let say = |name: &str, run: &Run| {
        if run.outcome != Outcome::Passed {
            tell(&format!("  {:?}: {}", run.outcome, all.shown(name)));
        }
    };
    let late = Late::new(&all);
    let one = |name: &str| late.unless_hopeless(name, || all.run(name));
    let runs = suite::run_with(guard.jobs, &names, &one, &say);
    let tests: Vec<_> = names.into_iter().zip(runs).collect();
    let on_reference = earlier.is_some();
    let exercises = stage
        .exercises
        .iter()
        .map(|exercise| sort(&all, exercise, &tests, on_reference));
    Ok(StageReport {
        id: stage.id().to_owned(),
        title: stage.title.clone(),
        build: None,
        exercises: exercises.collect(),
    })
}

/// Counts the tests that timed out, because code that loops forever would otherwise cost a deadline for each test.
struct Late<'a> {
    all: &'a Both<'a>,
    counts: Mutex<BTreeMap<&'a str, usize>>,
}

impl<'a> Late<'a> {
    fn new(all: &'a Both<'a>) -> Self {
        let counts = Mutex::default();
        Self { all, counts }
    }

    /// Runs a test, unless others of its exercise have timed out too often.
    fn unless_hopeless(&self, name: &str, run: impl FnOnce() -> Run) -> Run {
        let Some(exercise) = self.all.owner(name) else {
            return run();
        };
        let counts = || self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts()
            .get(exercise.id())
            .is_some_and(|count| *count >= PATIENCE)
        {
            return Run {
                outcome: Outcome::TimedOut,
                output: format!("not run: {PATIENCE} other tests of this exercise have timed out"),
                time: Duration::ZERO,
            };
        }
        let run = run();
        if run.outcome == Outcome::TimedOut {
            *counts().entry(exercise.id()).or_default() += 1;
        }
        run
    }
}

/// Reports one exercise, with its tests out of those of the stage.
fn sort(
    all: &Both<'_>,
    exercise: &Exercise,
    tests: &[(String, Run)],
    on_reference: bool,
) -> ExerciseReport {
    let is_mine = |name: &str| {
        all.owner(name)
            .is_some_and(|owner| owner.id() == exercise.id())
    };
    let mine = tests.iter().filter(|(name, _)| is_mine(name));
    let tests: Vec<_> = mine
        .map(|(name, run)| TestReport {
            name: all.shown(name).to_owned(),
            run: run.clone(),
        })
        .collect();
    ExerciseReport {
        verdict: Verdict::of(&tests),
        tests,
        on_reference,
        unrun: all.unrun(exercise),
        ..ExerciseReport::new(exercise)
    }
}

/// Reports a stage whose code is not accepted.
pub(super) fn refused(stage: &Stage, why: String) -> StageReport {
    without_tests(stage, Verdict::NotGraded, why)
}

/// Reports a stage whose tests could not run.
fn without_tests(stage: &Stage, verdict: Verdict, why: String) -> StageReport {
    let exercises = stage.exercises.iter().map(|exercise| ExerciseReport {
        verdict,
        ..ExerciseReport::new(exercise)
    });
    StageReport {
        id: stage.id().to_owned(),
        title: stage.title.clone(),
        exercises: exercises.collect(),
        build: Some(why),
    }
}
