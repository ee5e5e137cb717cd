//! `cargo course pack book`: the book without solutions, as a folder for a web server.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::starter::{book, must_be_empty};

/// The file that tells our folders from others, which are never replaced.
const MARK: &str = "made-by-cargo-course.txt";
const MARK_TEXT: &str =
    "`cargo course pack book` replaces this folder: do not put anything of your own here.\n";

/// The book without solutions, as a folder for a web server
#[derive(Args, Debug)]
pub(super) struct Options {
    /// The folder; one that this command has written before is replaced
    #[arg(long, value_name = "DIR", default_value = "book-for-students")]
    out: PathBuf,
}

/// Writes the folder and prints what to do with it.
///
/// # Errors
///
/// Fails if the folder holds something else, or the book cannot be built.
pub(super) fn run(root: &Path, options: &Options) -> Result<()> {
    let folder = &options.out;
    if !folder.join(MARK).is_file() {
        must_be_empty(folder)?;
    }
    // Built beside it first, so that a book that cannot be built leaves the old one in its place.
    let parent = folder.parent().filter(|parent| parent.is_dir());
    let fresh = tempfile::tempdir_in(parent.unwrap_or(Path::new(".")))?;
    let built = fresh.path().join("book");
    book::build(root, &built)?;
    fs::write(built.join(MARK), MARK_TEXT)?;
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot replace {}", folder.display()))?;
    } else if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::rename(&built, folder).with_context(|| format!("cannot write {}", folder.display()))?;
    println!(
        "{} is written, without solutions. Put it on any web server, or into a zip: index.html opens without a server, too.",
        folder.display()
    );
    Ok(())
}
