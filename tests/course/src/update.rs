//! `cargo course update FOLDER_OR_ZIP`: a corrected course for a workspace that was begun.
//!
//! ```text
//!   source.rs     the corrected course: a workspace as it was made
//!   plan.rs       file by file: what the course has changed since the workspace was given
//!   functions.rs  source files: the student's functions in the corrected file
//!   merge.rs      and their other changes, line by line
//!   swap.rs       everything at once, or nothing
//! ```
//!
//! # Invariants
//! 1. The body of a function that the student has written is in the workspace afterwards, byte for byte, as long as the course has the function.
//! 2. A file that the course has not changed is not touched.
//! 3. Whatever is replaced or removed is in the backup.
//! 4. Until every new file is written beside the old ones, nothing changes, and a swap that fails is taken back.

mod functions;
mod merge;
mod note;
mod plan;
mod source;
mod swap;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::starter::Record;
use course::workspace;
use plan::{Change, Plan};
use source::Source;
use swap::Swap;

/// Bring a corrected course into this workspace: tests, tools, book and given code, but not your functions
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The corrected course, as your instructor gives it: a folder or a zip
    #[arg(value_name = "FOLDER_OR_ZIP")]
    source: PathBuf,

    /// Only tell what would change
    #[arg(long)]
    dry_run: bool,
}

/// Updates the workspace and prints what has changed.
///
/// # Errors
///
/// Fails if the course does not fit the workspace, or a file cannot be read or written; then nothing has changed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let record = Record::read(&root)?
        .context("this is the course itself and not a workspace: update it with git")?;
    let source = Source::open(&options.source)?;
    let plan = Plan::make(&root, &record, &source)?;
    if plan.changes.is_empty() {
        println!("Nothing to do: this workspace has that course already.");
        return Ok(());
    }
    let report = report(&plan);
    print!("{report}");
    if options.dry_run {
        println!("\nNothing was changed: this was a dry run.");
        return Ok(());
    }
    let swap = Swap::prepare(&root, &plan, &report)?;
    swap.finish()?;
    println!(
        "\nThe workspace is up to date. The files that were replaced are in {}/files, this text is in {0}/report.txt.",
        swap.backup().display()
    );
    Ok(())
}

/// Takes back an update that was interrupted.
///
/// # Errors
///
/// Fails if that cannot be done.
pub(crate) fn recover(root: &Path) -> Result<()> {
    if swap::recover(root)? {
        eprintln!("An update of this workspace was interrupted; everything is as before it.");
    }
    Ok(())
}

/// Describes a plan: the numbers of files, then what the student should look at.
fn report(plan: &Plan) -> String {
    let count = |part: &str| {
        let of_part = plan.changes.keys().filter(|name| name.starts_with(part));
        of_part.count()
    };
    let stages = plan.changes.keys().filter(|name| is_stage(name)).count();
    let removed = plan
        .changes
        .values()
        .filter(|change| **change == Change::Remove);
    let mut text = format!(
        "{} files change: {stages} of the stages, {} of tests and tools, {} of the book, the rest beside them; {} of them go.\n",
        plan.changes.len(),
        count("tests"),
        count("book"),
        removed.count()
    );
    for name in plan.changes.keys().filter(|name| is_stage(name)) {
        let _ = writeln!(text, "  {}", name.display());
    }
    if !plan.notes.is_empty() {
        text += "\nPlease look at this; your versions are in the backup:\n";
    }
    for note in &plan.notes {
        let _ = writeln!(text, "- {note}");
    }
    text
}

fn is_stage(name: &Path) -> bool {
    name.to_string_lossy().starts_with("stage")
}
