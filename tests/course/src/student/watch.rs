//! `cargo course watch`: the tests of the current exercise, again on each save.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::student::progress::{fingerprint_of, next, statuses};
use crate::student::test::test;
use course::manifest::Manifest;
use course::workspace;

/// How often the files are checked: often enough to feel immediate, rarely enough to cost nothing.
const POLL_INTERVAL: Duration = Duration::from_millis(400);

/// Run the tests of the current exercise again on each save, until Ctrl-C
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Stay in this stage, like stage3
    stage: Option<String>,
}

/// Watches until everything has passed, or until Ctrl-C.
///
/// # Errors
///
/// Fails if the code cannot be read or built.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let manifest = Manifest::load(&root)?;
    let only = options
        .stage
        .as_deref()
        .map(|name| manifest.stage(name))
        .transpose()?;
    loop {
        let mut all = statuses(&root, &manifest)?;
        if let Some(stage) = only {
            all.retain(|(exercise, _)| stage.exercises.iter().any(|one| one.id() == exercise.id()));
        }
        let Some(exercise) = next(&all) else {
            println!("Every exercise here has passed.");
            return Ok(());
        };
        let (stage, exercise) = manifest.find(exercise.id())?;
        let before = fingerprint_of(&root, stage)?;
        if test(&root, stage, exercise)? {
            continue;
        }
        println!(
            "\nWaiting for you to save a file of {} (Ctrl-C ends it).",
            stage.package()
        );
        while fingerprint_of(&root, stage)? == before {
            thread::sleep(POLL_INTERVAL);
        }
        println!("\n────────\n");
    }
}
