//! `cargo course hint EXERCISE`: one more hint each time.

use anyhow::Result;
use clap::Args;

use crate::student::page;
use crate::student::progress::Progress;
use course::manifest::Manifest;
use course::workspace;

/// Give a hint, and one more each time
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The exercise, like 3.2
    exercise: String,
}

/// Prints the hints so far and the next one.
///
/// # Errors
///
/// Fails if there is no such exercise.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let manifest = Manifest::load(&root)?;
    let (_, exercise) = manifest.find(&options.exercise)?;
    let mut progress = Progress::load(&root);
    let all = exercise.hints.len();
    let count = (progress.hints(exercise) + 1).min(all);
    println!("exercise {}\n", exercise.name());
    for (number, hint) in exercise.hints.iter().take(count).enumerate() {
        println!("{}. {hint}\n", number + 1);
    }
    if count == all {
        println!(
            "That was the last hint. To read: {}",
            page::to_read(&root, exercise)
        );
    } else {
        println!("{} of {all}. Ask again for more.", count);
    }
    progress.set_hints(exercise, count);
    progress.save(&root)
}
