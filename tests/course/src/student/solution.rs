//! `cargo course solution EXERCISE`: the reference's solution, once the student's own passes.

use std::path::Path;

use anyhow::{Result, ensure};
use clap::Args;

use crate::starter::Record;
use crate::student::test::test;
use course::manifest::{Exercise, FILE, Manifest};
use course::workspace;

/// Show the reference's solution, once the tests of your own pass
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The exercise, like 3.2
    exercise: String,

    /// Show it although the tests do not pass
    #[arg(long)]
    spoil: bool,
}

/// Prints the solution.
///
/// # Errors
///
/// Fails if the exercise has not passed and `--spoil` was not given.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let manifest = Manifest::load(&root)?;
    let (stage, exercise) = manifest.find(&options.exercise)?;
    if !options.spoil {
        ensure!(
            test(&root, stage, exercise)?,
            "the solution is shown when the tests pass. `cargo course hint {}` helps; --spoil shows it anyway",
            exercise.id()
        );
    }
    match Record::read(&root)? {
        None => show(&root, exercise),
        Some(record) if has_course(&record) => show(Path::new(&record.reference), exercise),
        Some(record) => tell_where(&record, exercise),
    }
}

/// Returns whether the course from which a starter was made is on this machine.
fn has_course(record: &Record) -> bool {
    Path::new(&record.reference).join(FILE).is_file()
}

/// Prints where the solution is, for a starter that was moved to another machine.
fn tell_where(record: &Record, exercise: &Exercise) -> Result<()> {
    println!(
        "The reference is not on this machine. The solution of exercise {} is",
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
        (None, _) => println!(
            "of the course's folder, which was {} when this workspace was made. Ask your instructor for it.",
            record.reference
        ),
    }
    Ok(())
}

fn show(reference: &Path, exercise: &Exercise) -> Result<()> {
    for item in exercise.items()? {
        let (source, function) = item.read(reference)?;
        println!("// {item}\n{}\n", &source[function.whole]);
    }
    Ok(())
}
