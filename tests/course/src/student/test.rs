//! `cargo course test EXERCISE`: its tests, one by one, and the full report of the first that fails.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::run::build::{Build, Site, target_folder};
use crate::run::test::{Guard, Outcome, Run};
use crate::run::{output, suite};
use crate::student::progress::{Progress, fingerprint_of, next, statuses};
use crate::student::{beside, page, quiz};
use course::manifest::{Exercise, Manifest, Stage, last_segment, owner_of};
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
    let executable = match site.build(stage)? {
        Build::Ready(executable) => executable,
        Build::Broken(messages) => {
            println!("{messages}\nIt does not compile: see above.");
            return Ok(false);
        }
    };
    let guard = Guard::limits();
    let folder = site.folder(stage);
    let is_mine =
        |name: &String| owner_of(stage, name).is_some_and(|owner| owner.id() == exercise.id());
    let all = guard.list(&executable, &folder)?;
    let names: Vec<_> = all.into_iter().filter(is_mine).collect();
    let tell = |name: &str, run: &Run| println!("  {} {}", run.outcome.sign(), last_segment(name));
    let runs = suite::run(&guard, &executable, &folder, &names, &tell);
    let failed = names
        .iter()
        .zip(&runs)
        .find(|(_, run)| run.outcome != Outcome::Passed);
    let mut progress = Progress::load(&site.root);
    progress.note(
        exercise,
        failed.is_none(),
        fingerprint_of(&site.root, stage)?,
    );
    progress.save(&site.root)?;
    match failed {
        Some((name, run)) => explain(&site.root, exercise, name, run),
        None => println!(
            "Exercise {} has passed: {} points.",
            exercise.id(),
            exercise.points
        ),
    }
    Ok(failed.is_none())
}

/// Prints the report of a failed test; for an exercise that is not written yet, one sentence is enough.
fn explain(root: &Path, exercise: &Exercise, name: &str, run: &Run) {
    println!("\n{}", last_segment(name));
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
