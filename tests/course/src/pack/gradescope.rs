//! `cargo course pack gradescope`: the autograder as one zip file.
//!
//! ```text
//!   setup.sh         once, with the network: tools, crates, everything built
//!   run_autograder   for each submission, without it
//!   course/          stages, tests, manifests and tools as they are now; no book
//! ```

mod check;

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::pack::archive;
use crate::starter::{prepare_copy, settle_lock_file};
use course::manifest::Manifest;

const SETUP: &str = include_str!("setup.sh.txt");
const RUN: &str = include_str!("run_autograder.txt");

/// An autograder for Gradescope, as a zip to upload
#[derive(Args, Debug)]
pub(super) struct Options {
    /// Where to write the zip
    #[arg(long, value_name = "FILE", default_value = "autograder.zip")]
    out: PathBuf,

    /// Unpack it, grade a submission with it, without the network, and compare
    #[arg(long)]
    check: bool,
}

/// Writes the zip and prints what to do with it.
///
/// # Errors
///
/// Fails if it cannot be written, or `--check` was asked for and the zip does not grade as it must.
pub(super) fn run(root: &Path, options: &Options) -> Result<()> {
    if options.check {
        return check::run(root);
    }
    let file = File::create(&options.out)
        .with_context(|| format!("cannot write {}", options.out.display()))?;
    let count = pack(root, file)?;
    println!(
        "{} is written: {count} files.\n\
         Upload it as the autograder of a programming assignment, image Ubuntu 22.04 or newer; give it 2 processors and\n\
         40 minutes. A submission is the student's workspace, as a zip or from GitHub: only stage*/src is taken from it.",
        options.out.display()
    );
    Ok(())
}

/// Packs the course at `root` and returns the number of files.
fn pack(root: &Path, to: impl Write + Seek) -> Result<usize> {
    let folder = tempfile::tempdir()?;
    let course = folder.path().join("course");
    prepare_copy(root, &course, &Manifest::load(root)?)?;
    settle_lock_file(&course)?;
    let setup = SETUP.replace("RUST_VERSION", &rust_version()?);
    for (name, text) in [("setup.sh", setup.as_str()), ("run_autograder", RUN)] {
        let path = folder.path().join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    archive::pack(folder.path(), to)
}

/// Returns the version of the compiler, because grading uses the compiler that the reference was tested with.
fn rust_version() -> Result<String> {
    let output = Command::new("rustc")
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().nth(1);
    Ok(version
        .context("rustc does not say its version")?
        .to_owned())
}
