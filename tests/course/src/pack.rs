//! `cargo course pack`: what an instructor gives away, as a file or a folder.
//!
//! | command | for | in it |
//! |---|---|---|
//! | `pack workspace` | students, to begin and to update | a workspace as `cargo course start` makes it |
//! | `pack book` | a web server | the book without solutions |
//! | `pack solutions` | students, week by week | the solutions of some exercises |
//! | `pack gradescope` | a grading service | scripts, stages, tests, manifests and tools; no book |

mod archive;
mod book;
mod gradescope;
mod release;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};

use crate::starter::{self, Extras, Record};
use course::manifest::Manifest;
use course::workspace;

/// Pack a workspace, the book, solutions or an autograder, to give them away
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(subcommand)]
    parcel: Parcel,
}

#[derive(Debug, Subcommand)]
enum Parcel {
    Workspace(Workspace),
    Book(book::Options),
    Solutions(release::Options),
    Gradescope(gradescope::Options),
}

/// A workspace with its book, as a zip: to begin with, and for `cargo course update`
#[derive(Args, Debug)]
struct Workspace {
    /// The first stage to work on; the stages before it are solved
    #[arg(long, value_name = "STAGE")]
    from: Option<String>,

    /// Where to write the zip
    #[arg(long, value_name = "FILE", default_value = "workspace.zip")]
    out: PathBuf,

    /// Leave out the book, which takes a while to build
    #[arg(long)]
    without_book: bool,

    /// Leave out the programs of the bug hunts: about 80 MB for this kind of machine
    #[arg(long)]
    without_hunts: bool,
}

/// Packs a parcel and prints what to do with it.
///
/// # Errors
///
/// Fails if this is a workspace and not the course, or the parcel cannot be written.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    ensure!(
        Record::read(&root)?.is_none(),
        "this is a student's workspace, which has nothing to give away: pack the course itself"
    );
    match &options.parcel {
        Parcel::Workspace(options) => pack_workspace(&root, options),
        Parcel::Book(options) => book::run(&root, options),
        Parcel::Solutions(options) => release::run(&root, options),
        Parcel::Gradescope(options) => gradescope::run(&root, options),
    }
}

fn pack_workspace(root: &Path, options: &Workspace) -> Result<()> {
    let manifest = Manifest::load_checked(root)?;
    let from = starter::first_open(&manifest, options.from.as_deref())?;
    let folder = tempfile::tempdir()?;
    let extras = Extras {
        book: !options.without_book,
        hunts: !options.without_hunts,
    };
    starter::make(root, folder.path(), &manifest, from, extras)?;
    starter::forget_place(folder.path())?;
    let file = File::create(&options.out)
        .with_context(|| format!("cannot write {}", options.out.display()))?;
    let count = archive::pack(folder.path(), file)?;
    println!(
        "{} is written: {count} files, without solutions. A student unpacks it to begin. One who has begun brings a workspace up to\n\
         date with it: `cargo course update {0}`.",
        options.out.display()
    );
    Ok(())
}
