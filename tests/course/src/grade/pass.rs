//! One pass over a stage: build its tests, run them, and sort the outcomes by exercise.

use anyhow::Result;

use super::bench::Workbench;
use super::report::{ExerciseReport, StageReport, TestReport, Verdict};
use crate::manifest::{Exercise, Stage, last_segment, owner_of};
use crate::run::build::Build;
use crate::run::suite;
use crate::run::test::{Guard, Outcome, Run};

/// Grades a stage; after `earlier`, only what did not pass then is run, and what passes now passes on the reference.
///
/// # Errors
/// When cargo cannot be started.
pub(super) fn stage(
    bench: &Workbench,
    guard: &Guard,
    stage: &Stage,
    earlier: Option<&StageReport>,
) -> Result<StageReport> {
    let executable = match bench.site.build(stage)? {
        Build::Ready(executable) => executable,
        Build::Broken(messages) => {
            return Ok(without_tests(stage, Verdict::CouldNotBuild, messages));
        }
    };
    let folder = bench.site.folder(stage);
    let is_due = |exercise: &Exercise| earlier.is_none_or(|report| !report.passed(exercise.id()));
    let is_wanted = |name: &String| owner_of(stage, name).is_some_and(is_due);
    let all = guard.list(&executable, &folder)?;
    let names: Vec<_> = all.into_iter().filter(is_wanted).collect();
    let tell = |name: &str, run: &Run| {
        if run.outcome != Outcome::Passed {
            eprintln!("  {:?}: {}", run.outcome, last_segment(name));
        }
    };
    let runs = suite::run(guard, &executable, &folder, &names, &tell);
    let tests: Vec<_> = names.into_iter().zip(runs).collect();
    let on_reference = earlier.is_some();
    let exercises = stage
        .exercises
        .iter()
        .map(|exercise| sort(stage, exercise, &tests, on_reference));
    Ok(StageReport {
        id: stage.id().to_owned(),
        title: stage.title.clone(),
        build: None,
        exercises: exercises.collect(),
    })
}

/// Takes the tests of one exercise out of all.
fn sort(
    stage: &Stage,
    exercise: &Exercise,
    tests: &[(String, Run)],
    on_reference: bool,
) -> ExerciseReport {
    let is_mine =
        |name: &str| owner_of(stage, name).is_some_and(|owner| owner.id() == exercise.id());
    let mine = tests.iter().filter(|(name, _)| is_mine(name));
    let tests: Vec<_> = mine
        .map(|(name, run)| TestReport {
            name: last_segment(name).to_owned(),
            run: run.clone(),
        })
        .collect();
    ExerciseReport {
        verdict: Verdict::of(&tests),
        tests,
        on_reference,
        ..ExerciseReport::new(exercise)
    }
}

/// Reports a stage of which the submission has nothing.
pub(super) fn absent(stage: &Stage) -> StageReport {
    let why = format!("the submission has no {}/src", stage.package());
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
