//! Building the tests of a stage, without running them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use super::output;
use crate::manifest::Stage;

/// How much of the compiler's messages is kept.
const MESSAGES: usize = 16 * 1024;

/// The outcome of a build.
#[derive(Debug)]
pub(crate) enum Build {
    /// The executable with the stage's tests.
    Ready(PathBuf),
    /// The compiler's messages.
    Broken(String),
}

/// Where a build happens.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// The workspace.
    pub(crate) root: PathBuf,
    /// The folder for cargo's output.
    pub(crate) target: PathBuf,
}

impl Site {
    /// Builds the tests of a stage, as the lock file says and without the network.
    ///
    /// # Errors
    /// When cargo cannot be started, or has not said where the executable is.
    pub(crate) fn build(&self, stage: &Stage) -> Result<Build> {
        Ok(self.compile(stage)?.0)
    }

    /// As [`Site::build`], and returns the compiler's messages also when the build succeeds.
    ///
    /// # Errors
    /// As [`Site::build`].
    pub(crate) fn compile(&self, stage: &Stage) -> Result<(Build, String)> {
        let output = cargo()
            .args(["test", "--no-run", "--locked", "--offline", "--quiet"])
            .args(["--package", stage.package(), "--test", stage.id()])
            // The programs that the tests start are built with them.
            .arg("--message-format=json-render-diagnostics")
            .arg("--target-dir")
            .arg(&self.target)
            .current_dir(&self.root)
            .env_remove("RUSTFLAGS")
            .stdin(Stdio::null())
            .output()
            .context("cannot start cargo")?;
        let messages = output::bounded(&output.stderr, MESSAGES);
        if !output.status.success() {
            return Ok((Build::Broken(messages.clone()), messages));
        }
        let found = executable(&String::from_utf8_lossy(&output.stdout), stage.id());
        let found = found
            .with_context(|| format!("cargo did not say where the tests of {} are", stage.id()))?;
        Ok((Build::Ready(found), messages))
    }

    /// Returns the folder in which the tests of a stage run.
    pub(crate) fn folder(&self, stage: &Stage) -> PathBuf {
        self.root.join(stage.package())
    }
}

/// Returns the cargo that runs us, or the one in the path.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Returns the folder for cargo's output in a workspace.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Finds the test's executable in the messages of cargo, one JSON value a line.
fn executable(messages: &str, test: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| {
            message["target"]["name"] == test && message["target"]["kind"][0] == "test"
        })
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_is_told_from_a_program_of_the_same_name() {
        let messages = r#"{"target":{"name":"stage9","kind":["bin"]},"executable":"/bin"}
{"target":{"name":"stage9","kind":["test"]},"executable":"/test"}"#;
        assert_eq!(executable(messages, "stage9"), Some("/test".into()));
        assert_eq!(executable(messages, "stage8"), None);
    }
}
