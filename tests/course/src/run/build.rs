//! Builds the tests of a stage, without running them.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run::guard::Guard;
pub(crate) use crate::run::toolchain::cargo;
use crate::run::{confinement, output, sources};
use course::manifest::Stage;

/// The format of cargo's messages in which the compiler's own ones are text on stderr.
const RENDERED: &str = "json-render-diagnostics";
/// The bytes of the compiler's messages that are kept.
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
    /// Whether dependencies have the features that the whole workspace needs, so that all stages share them. Otherwise they
    /// have those that one stage needs, as in `cargo test --package`.
    pub(crate) is_shared: bool,
}

impl Site {
    /// Returns whether an earlier build has left a file with this name, behind which cargo puts a digest: `stage1` is the
    /// tests of stage 1, `libstage1_server` its library.
    pub(crate) fn has_built(&self, name: &str) -> bool {
        let beginning = format!("{name}-");
        let files = fs::read_dir(self.target.join("debug/deps"));
        let mut files = files.into_iter().flatten().flatten();
        files.any(|file| file.file_name().to_string_lossy().starts_with(&beginning))
    }

    /// Builds the tests of a stage, as the lock file says and without the network.
    ///
    /// # Errors
    ///
    /// Fails if cargo cannot be started, or does not name the executable.
    pub(crate) fn build(&self, stage: &Stage) -> Result<Build> {
        Ok(self.compile(stage)?.0)
    }

    /// As [`Site::build`], and returns the compiler's messages also when the build succeeds.
    ///
    /// # Errors
    ///
    /// Fails as [`Site::build`] does.
    pub(crate) fn compile(&self, stage: &Stage) -> Result<(Build, String)> {
        let output = self
            .order(Command::new(cargo()), stage, stage.id(), RENDERED)
            .output();
        self.read(stage, &output.context("cannot start cargo")?)
    }

    /// As [`Site::build`], but with the compiler confined and under a time limit; code that includes files from
    /// elsewhere is refused.
    ///
    /// # Errors
    ///
    /// Fails as [`Site::build`] does.
    pub(crate) fn build_foreign(&self, stage: &Stage, guard: &Guard) -> Result<Build> {
        fs::create_dir_all(&self.target)?;
        let command = guard.cargo(&self.root, &self.target);
        let output = self.order(command, stage, stage.id(), RENDERED).output();
        let output = output.context("cannot start cargo")?;
        let (build, _) = self.read(stage, &output)?;
        let Build::Ready(executable) = build else {
            return Ok(build);
        };
        Ok(
            match foreign(&String::from_utf8_lossy(&output.stdout), &self.root) {
                None => Build::Ready(executable),
                Some(file) => Build::Broken(format!(
                    "the code takes in a file that is not its own: {}",
                    file.display()
                )),
            },
        )
    }

    /// Builds only the programs of a stage, which takes a fraction of the time of its tests; returns the compiler's
    /// messages if that fails.
    ///
    /// # Errors
    ///
    /// Fails if cargo cannot be started.
    pub(crate) fn build_programs(&self, stage: &Stage) -> Result<Result<(), String>> {
        let mut command = Command::new(cargo());
        command.arg("build").args(self.selection(stage));
        for program in programs(&self.folder(stage)) {
            command.arg("--bin").arg(program);
        }
        let output = self
            .common(command)
            .output()
            .context("cannot start cargo")?;
        let messages = output::bounded(&output.stderr, MESSAGES);
        Ok(output.status.success().then_some(()).ok_or(messages))
    }

    /// Completes the command that builds one test target of a stage, with cargo's messages in a format.
    pub(crate) fn order(
        &self,
        mut command: Command,
        stage: &Stage,
        target: &str,
        format: &str,
    ) -> Command {
        // The programs are built with it, because the tests start them.
        command
            .args(["test", "--no-run", "--test", target])
            .args(self.selection(stage))
            .arg(format!("--message-format={format}"));
        self.common(command)
    }

    /// Returns the packages among which cargo finds the features of dependencies.
    fn selection<'a>(&self, stage: &'a Stage) -> Vec<&'a str> {
        if self.is_shared {
            vec!["--workspace"]
        } else {
            vec!["--package", stage.package()]
        }
    }

    /// Adds what every build has in common.
    fn common(&self, mut command: Command) -> Command {
        command
            .args(["--locked", "--offline", "--quiet"])
            .arg("--target-dir")
            .arg(&self.target)
            .current_dir(&self.root)
            .env_remove("RUSTFLAGS")
            .stdin(Stdio::null());
        command
    }

    fn read(&self, stage: &Stage, output: &Output) -> Result<(Build, String)> {
        let mut messages = output::bounded(&output.stderr, MESSAGES);
        if output.status.code() == Some(i32::from(confinement::TIMED_OUT)) {
            messages += "\nThe compiler timed out.";
        }
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

/// Returns the folder for cargo's output in a workspace.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Lists the names of a package's programs.
pub(super) fn programs(folder: &Path) -> Vec<OsString> {
    let mut names = vec![folder.file_name().unwrap_or_default().to_owned()];
    let further = fs::read_dir(folder.join("src/bin")).into_iter().flatten();
    names.extend(
        further
            .flatten()
            .filter_map(|entry| Some(entry.path().file_stem()?.to_owned())),
    );
    names
}

/// Finds the test's executable in the messages of cargo, one JSON value a line.
pub(crate) fn executable(messages: &str, test: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| {
            message["target"]["name"] == test && message["target"]["kind"][0] == "test"
        })
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// Finds a file from outside of the workspace that its own packages were built from, according to the messages of cargo.
pub(crate) fn foreign(messages: &str, root: &Path) -> Option<PathBuf> {
    sources::foreign(root, &artifacts(messages, root))
}

/// Lists the artifacts of the workspace's own packages.
fn artifacts(messages: &str, root: &Path) -> Vec<PathBuf> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_own = |message: &Value| {
        let manifest = message["manifest_path"].as_str().unwrap_or_default();
        Path::new(manifest).starts_with(root)
    };
    let files = messages.filter(is_own).flat_map(|message| {
        let files = message["filenames"].as_array().cloned();
        files.unwrap_or_default()
    });
    files
        .filter_map(|file| Some(file.as_str()?.into()))
        .collect()
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
