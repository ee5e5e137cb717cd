//! `cargo course test EXERCISE`: its tests, one by one, and the full report of the first that fails.
//!
//! The unit tests come last, when all others pass. They are those that were handed out, whatever the workspace has now, and they are
//! built in the workbench of `cargo course grade`, so that grading brings no surprise.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::grade::bench::Workbench;
use crate::run::build::{Build, Site, target_folder};
use crate::run::output;
use crate::run::test::{Guard, Outcome, Run};
use crate::student::progress::{Progress, fingerprint_of, next, statuses};
use crate::student::{beside, page, quiz};
use crate::units::Units;
use crate::units::both::Both;
use course::manifest::{Exercise, Manifest, Stage, in_points};
use course::workspace;

/// Run the tests of one exercise
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The exercise, like 3.2; default: the next one that has not passed
    exercise: Option<String>,
}

/// Runs the tests.
///
/// # Errors
///
/// Fails if the exercise has not passed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let manifest = Manifest::load(&root)?;
    let (stage, exercise) = match &options.exercise {
        Some(name) => manifest.find(name)?,
        None => {
            let all = statuses(&root, &manifest)?;
            let exercise = next(&all).context("every exercise has passed")?;
            manifest.find(exercise.id())?
        }
    };
    if test(&root, stage, exercise)? {
        if let Some(line) = quiz::invitation(&root, &manifest, exercise.id()) {
            println!("{line}");
        }
        beside::after_pass(&root, exercise)
    } else {
        bail!("exercise {} has not passed yet", exercise.id())
    }
}

/// Builds and runs the tests of an exercise, records and returns whether they pass.
///
/// # Errors
///
/// Fails if they cannot be run.
pub(crate) fn test(root: &Path, stage: &Stage, exercise: &Exercise) -> Result<bool> {
    println!("exercise {}", exercise.name());
    let target = target_folder(root);
    let root = root.to_owned();
    let site = Site {
        root,
        target,
        is_shared: false,
    };
    if !site.has_built(stage.id()) {
        println!(
            "  building the tests of {} for the first time, which takes some minutes",
            stage.id()
        );
    }
    let executable = match site.build(stage)? {
        Build::Ready(executable) => executable,
        Build::Broken(messages) => {
            println!("{messages}\nIt does not compile: see above.");
            return Ok(false);
        }
    };
    let outside = Both::list(
        stage,
        Guard::limits(),
        executable,
        site.folder(stage),
        Units::default(),
    )?;
    let mut failed = first_failure(&outside, exercise);
    let mut unrun = Vec::new();
    if failed.is_none() && !exercise.unit.is_empty() {
        let inside = units(&site.root, stage)?;
        failed = first_failure(&inside, exercise);
        unrun = inside.unrun(exercise);
    }
    let mut progress = Progress::load(&site.root);
    progress.note(
        exercise,
        failed.is_none(),
        fingerprint_of(&site.root, stage)?,
    );
    progress.save(&site.root)?;
    match &failed {
        Some((name, run)) => explain(&site.root, exercise, name, run),
        None => println!(
            "Exercise {} has passed: {}.",
            exercise.id(),
            in_points(exercise.points)
        ),
    }
    for sentence in unrun {
        println!("{sentence}");
    }
    Ok(failed.is_none())
}

/// Runs the tests of an exercise and returns the first that has not passed, with its name for people.
fn first_failure(all: &Both<'_>, exercise: &Exercise) -> Option<(String, Run)> {
    let is_mine = |name: &&String| {
        let owner = all.owner(name);
        owner.is_some_and(|owner| owner.id() == exercise.id())
    };
    let names: Vec<_> = all.names.iter().filter(is_mine).cloned().collect();
    let tell = |name: &str, run: &Run| println!("  {} {}", run.outcome.sign(), all.shown(name));
    let runs = all.run_all(&names, &tell);
    let mut both = names.iter().zip(runs);
    let (name, run) = both.find(|(_, run)| run.outcome != Outcome::Passed)?;
    Some((all.shown(name).to_owned(), run))
}

/// Builds the unit tests of a stage, as they were handed out, with the code of the workspace.
fn units<'a>(root: &Path, stage: &'a Stage) -> Result<Both<'a>> {
    let manifest = Manifest::load(root)?;
    let bench = Workbench::open_warm(root, &manifest)?;
    if !bench.has_built(stage) {
        println!("  building the unit tests for the first time, which takes a while");
    }
    bench.fill(root, root, &manifest.stages)?;
    let units = Units::build(&bench, stage, None)?;
    let folder = bench.site.folder(stage);
    Ok(Both::units(stage, Guard::limits(), folder, units))
}

/// Prints the report of a failed test; for an exercise that is not written yet, one sentence is enough.
fn explain(root: &Path, exercise: &Exercise, name: &str, run: &Run) {
    println!("\n{name}");
    match output::unwritten(&run.output) {
        Some(id) if id == exercise.id() => println!("Exercise {id} is not written yet."),
        Some(id) => println!("Exercise {id} is not written yet, and this one needs it."),
        None => println!("{}", output::message(&run.output)),
    }
    if run.outcome == Outcome::TimedOut {
        println!("The test was still running after {} s.", run.time.as_secs());
    }
    println!("\nTo read: {}", page::to_read(root, exercise));
    println!("To help: cargo course hint {}", exercise.id());
}
