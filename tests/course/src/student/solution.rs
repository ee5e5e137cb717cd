//! `cargo course solution EXERCISE`: how the reference does it, for somebody who has done it too.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::Args;

use super::test::test;
use crate::manifest::{Exercise, Manifest};
use crate::starter::Record;
use crate::workspace;

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
/// When the exercise has not passed and `--spoil` was not given, or when the reference is not on this machine.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let manifest = Manifest::load(&root)?;
    let (stage, exercise) = manifest.find(&options.exercise)?;
    let reference = reference(&root)?;
    if !options.spoil {
        ensure!(
            test(&root, stage, exercise)?,
            "the solution is shown when the tests pass. `cargo course hint {}` helps; --spoil shows it anyway",
            exercise.id()
        );
    }
    show(&reference, exercise)
}

/// Finds the reference: here, or where the starter was made from.
fn reference(root: &Path) -> Result<PathBuf> {
    let Some(record) = Record::read(root)? else {
        return Ok(root.to_owned());
    };
    let reference = PathBuf::from(&record.reference);
    ensure!(
        reference.join(crate::manifest::FILE).is_file(),
        "the reference is not on this machine. It was made from {}: look there, or in the course's repository, \
         under the path that `cargo course` names",
        record.reference
    );
    Ok(reference)
}

fn show(reference: &Path, exercise: &Exercise) -> Result<()> {
    for item in exercise.items()? {
        let (source, function) = item.read(reference)?;
        println!("// {item}\n{}\n", &source[function.whole]);
    }
    Ok(())
}
