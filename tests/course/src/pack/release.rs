//! `cargo course pack solutions`: the solutions of some exercises, for `cargo course solution` in a student's workspace.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use crate::solutions::{FILE, Solutions};
use crate::starter::digest::edition;
use course::manifest::{Exercise, Manifest};

/// The solutions of some exercises, for students' workspaces
#[derive(Args, Debug)]
pub(super) struct Options {
    /// All exercises up to this one, like 3.2, in the order of the course
    #[arg(long, value_name = "EXERCISE", required_unless_present = "only")]
    upto: Option<String>,

    /// These exercises, like 1.4,3.2
    #[arg(
        long,
        value_name = "EXERCISE,...",
        value_delimiter = ',',
        conflicts_with = "upto"
    )]
    only: Vec<String>,

    /// Where to write the file
    #[arg(long, value_name = "FILE", default_value = FILE)]
    out: PathBuf,
}

/// Writes the file and prints what to do with it.
///
/// # Errors
///
/// Fails if there is no such exercise, or the file cannot be written.
pub(super) fn run(root: &Path, options: &Options) -> Result<()> {
    let manifest = Manifest::load(root)?;
    let chosen = chosen(&manifest, options)?;
    let solutions = Solutions::collect(root, edition(root, &manifest)?, chosen)?;
    solutions.write(&options.out)?;
    println!(
        "{} is written, with the solutions of {}.\nA student puts it into a workspace as {FILE}; `cargo course solution` reads it there.",
        options.out.display(),
        solutions.names()
    );
    Ok(())
}

/// Returns the exercises that were asked for, in the order of the course.
fn chosen<'a>(manifest: &'a Manifest, options: &Options) -> Result<Vec<&'a Exercise>> {
    let all = || manifest.exercises().map(|(_, exercise)| exercise);
    if let Some(last) = &options.upto {
        let (_, last) = manifest.find(last)?;
        let before = all().take_while(|exercise| exercise.id() != last.id());
        return Ok(before.chain([last]).collect());
    }
    let found = options.only.iter().map(|name| manifest.find(name));
    let found = found.collect::<Result<Vec<_>>>()?;
    let is_chosen = |one: &&Exercise| found.iter().any(|(_, other)| other.id() == one.id());
    Ok(all().filter(is_chosen).collect())
}
