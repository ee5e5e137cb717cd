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

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::starter::{Record, prepare_copy, settle_lock_file};
use course::manifest::Manifest;
use course::workspace;

const SETUP: &str = include_str!("pack/setup.sh.txt");
const RUN: &str = include_str!("pack/run_autograder.txt");

/// Pack an autograder for a grading service: for Gradescope, a zip to upload
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The service
    service: Service,

    /// Where to write the zip
    #[arg(long, value_name = "FILE", default_value = "autograder.zip")]
    out: PathBuf,

    /// Unpack it, grade a submission with it, without the network, and compare
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Service {
    /// <https://gradescope.com>, with an Ubuntu image
    Gradescope,
}

/// Writes the zip and prints what to do with it.
///
/// # Errors
///
/// Fails if it cannot be written, or `--check` was asked for and the zip does not grade as it must.
pub(crate) fn run(options: &Options) -> Result<()> {
    let Service::Gradescope = options.service;
    let root = workspace::root()?;
    ensure!(
        Record::read(&root)?.is_none(),
        "a starter has no reference to grade with: pack the course itself"
    );
    if options.check {
        return check::run(&root);
    }
    let file = File::create(&options.out)
        .with_context(|| format!("cannot write {}", options.out.display()))?;
    let count = pack(&root, file)?;
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
    let mut zip = ZipWriter::new(to);
    let count = add(&mut zip, folder.path(), Path::new(""))?;
    zip.finish()?;
    Ok(count)
}

/// Adds everything below a folder, in the order of the names, so that the same course makes the same file.
fn add<W: Write + Seek>(zip: &mut ZipWriter<W>, root: &Path, below: &Path) -> Result<usize> {
    let entries: Result<Vec<_>, _> = root.join(below).read_dir()?.collect();
    let mut names: Vec<_> = entries?.iter().map(fs::DirEntry::file_name).collect();
    names.sort();
    let mut count = 0;
    for name in names {
        let name = below.join(name);
        let path = root.join(&name);
        if path.is_dir() {
            count += add(zip, root, &name)?;
            continue;
        }
        let mode = path.metadata()?.permissions().mode();
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .unix_permissions(mode & 0o755);
        zip.start_file(name.to_string_lossy(), options)?;
        zip.write_all(&fs::read(&path)?)?;
        count += 1;
    }
    Ok(count)
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
