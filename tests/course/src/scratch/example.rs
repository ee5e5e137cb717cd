//! The course's own solutions in C: built with the machine's compiler, warnings forbidden.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use course::milestones::{EXAMPLES, Program};

/// The name that POSIX gives to a C compiler.
const COMPILER: &str = "cc";
/// How the programs are built.
pub(crate) const FLAGS: &[&str] = &["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"];

/// Builds the solution of a stage below `target`; `None`, if this machine has no C compiler.
///
/// # Errors
///
/// Fails if there is no solution here, as in a workspace, or it does not compile.
pub(crate) fn build(root: &Path, program: &Program, target: &Path) -> Result<Option<PathBuf>> {
    let folder = root.join(EXAMPLES);
    ensure!(
        folder.is_dir(),
        "a workspace does not have the course's own solutions"
    );
    let built = target.join("course/scratch").join(&program.id);
    fs::create_dir_all(built.parent().unwrap_or(target))?;
    let mut command = Command::new(COMPILER);
    command
        .args(FLAGS)
        .arg("-o")
        .arg(&built)
        .args(&program.sources);
    let output = match command.current_dir(&folder).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        output => output.context("cannot start the C compiler")?,
    };
    let messages = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} does not compile:\n{messages}",
        program.id
    );
    Ok(Some(built))
}
