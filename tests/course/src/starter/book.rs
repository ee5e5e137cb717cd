//! The book in a workspace, or in a folder for a web server: built from the course, without solutions.

use std::path::{self, Path};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::run::build::cargo;

/// Builds the edition for students into a folder that is empty or does not exist.
///
/// # Errors
///
/// Fails if the tools of the book cannot be built, or the book cannot.
pub(crate) fn build(root: &Path, folder: &Path) -> Result<()> {
    let output = Command::new(cargo())
        .args(["run", "--quiet", "--locked", "--package", "book", "--"])
        .args(["--students", "--no-open", "--out"])
        .arg(path::absolute(folder)?)
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "the book cannot be built: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
