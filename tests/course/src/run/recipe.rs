//! Runs the build command of a submission under the same guard as a test: with one folder that it may write to.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result};

use crate::run::guard::Guard;
use crate::run::{confinement, output};

/// The bytes of the command's output that are kept.
const OUTPUT: usize = 16 * 1024;

impl Guard {
    /// Runs a command of the shell in a folder, where it may write; returns its output if it fails.
    ///
    /// # Errors
    ///
    /// Fails if no process can be started, which is not the command's fault.
    pub(crate) fn build_by(&self, recipe: &str, folder: &Path) -> Result<Result<(), String>> {
        let (reader, writer) = io::pipe()?;
        let mut command = self.shell(recipe, folder);
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let mut child = command.spawn().context("cannot start the build")?;
        // Dropped, because the reader sees end of file only after our copies of the write end are closed.
        drop(command);
        let output = output::read_bounded(reader, OUTPUT);
        let code = child.wait()?.code();
        let output = String::from_utf8_lossy(&output).into_owned();
        anyhow::ensure!(
            code != Some(i32::from(confinement::NOT_STARTED)),
            "{}",
            output.trim()
        );
        let why = match code {
            Some(0) => return Ok(Ok(())),
            Some(code) if code == i32::from(confinement::TIMED_OUT) => "timed out".to_owned(),
            Some(code) => format!("ended with {code}"),
            None => "was killed".to_owned(),
        };
        Ok(Err(format!(
            "the build command `{recipe}` {why}:\n{}",
            output.trim_end()
        )))
    }
}

/// Lets every user write to a folder and those below it: the build is done by one without rights.
///
/// # Errors
///
/// Fails if a folder cannot be changed.
pub(crate) fn open_to_all(folder: &Path) -> Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o777))?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            open_to_all(&path)?;
        }
    }
    Ok(())
}
