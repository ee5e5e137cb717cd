//! `cargo course solution EXERCISE`: the reference's solution, once the student's own passes, beside it.
//!
//! In a workspace it comes from `solutions.json`, if the instructor has released one; otherwise from the course, if that is on
//! this machine; otherwise the command tells where it is.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use crate::solutions::{self, Solution};
use crate::starter::Record;
use crate::student::beside;
use crate::student::test::test;
use course::manifest::{Exercise, Manifest};
use course::workspace;

/// Show the reference's solution, once the tests of your own pass
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The exercise, like 3.2
    exercise: String,

    /// Show it although the tests do not pass
    #[arg(long)]
    spoil: bool,

    /// The file of solutions from your instructor; default: solutions.json in the workspace
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Prints the solution.
///
/// # Errors
///
/// Fails if the file of solutions has none for this exercise, or the exercise has not passed and `--spoil` was not given.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let manifest = Manifest::load(&root)?;
    let (stage, exercise) = manifest.find(&options.exercise)?;
    let record = Record::read(&root)?;
    // Before the tests, because they take a while and a damaged file is found at once.
    let solution = beside::find(&root, record.as_ref(), exercise, options.file.as_deref())?;
    if !options.spoil {
        ensure!(
            test(&root, stage, exercise)?,
            "the solution is shown when the tests pass. `cargo course hint {}` helps; --spoil shows it anyway",
            exercise.id()
        );
    }
    match (solution, record) {
        (Some(solution), Some(_)) => print!("{}", beside::render(&root, &solution)),
        (Some(solution), None) => show(&solution),
        (None, Some(record)) => tell_where(&record, exercise)?,
        (None, None) => {}
    }
    Ok(())
}

/// Prints where the solution is, for a starter that was moved to another machine.
fn tell_where(record: &Record, exercise: &Exercise) -> Result<()> {
    println!(
        "The reference is not on this machine, and there is no {}. The solution of exercise {} is",
        solutions::FILE,
        exercise.id()
    );
    for item in exercise.items()? {
        println!("  {} in {}", item.function(), item.file.display());
    }
    match (&record.repository, &record.commit) {
        (Some(repository), Some(commit)) => println!(
            "of the course's repository:\n\n  git clone {repository} reference\n  git -C reference switch --detach {commit}"
        ),
        (Some(repository), None) => println!("of the course's repository: {repository}"),
        (None, _) => println!("of the course. Ask your instructor for it."),
    }
    Ok(())
}

fn show(solution: &Solution) {
    for item in &solution.items {
        println!("// {}\n{}\n", item.path, item.text);
    }
}
