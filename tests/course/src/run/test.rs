//! Runs one test: alone, under limits, with its output kept.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

pub(crate) use crate::run::guard::Guard;
use crate::run::nonce::{self, Nonce};
use crate::run::{build, confinement, output};

/// The bytes of a test's output that are kept.
const OUTPUT: usize = 64 * 1024;

/// The tests that read the nonce before a unit test, and print it afterwards.
const SEAL: [&str; 2] = ["aaa_course::begins", "zzz_course::ends"];

/// How a test has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has passed.
    Passed,
    /// It has failed or crashed.
    Failed,
    /// It was still running at its deadline.
    TimedOut,
    /// It could not be run, which is not the code's fault.
    NotGraded,
}

impl Outcome {
    /// Returns a sign for a list of tests.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Passed => "✔",
            Self::Failed => "✘",
            Self::TimedOut => "⌛",
            Self::NotGraded => "?",
        }
    }
}

/// A test that was run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// How it has ended.
    pub(crate) outcome: Outcome,
    /// The beginning and the end of what it wrote.
    pub(crate) output: String,
    /// How long it took.
    pub(crate) time: Duration,
}

impl Guard {
    /// Lists the names of all tests in an executable.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be run.
    pub(crate) fn list(&self, executable: &Path, folder: &Path) -> Result<Vec<String>> {
        let mut command = self.test(executable, folder, &["--list", "--format", "terse"]);
        command.stdin(Stdio::null());
        let output = command.output().context("cannot list the tests")?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "the list of tests ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
        Ok(names.map(str::to_owned).collect())
    }

    /// Runs one test to its end.
    pub(crate) fn run(&self, executable: &Path, folder: &Path, name: &str) -> Run {
        let arguments = ["--exact", name, "--nocapture", "--test-threads=1"];
        self.run_with(executable, folder, &arguments)
    }

    /// Runs one unit test to its end, between the two tests of the seal (see `units`).
    pub(crate) fn run_unit(&self, executable: &Path, folder: &Path, name: &str) -> Run {
        let [first, last] = SEAL;
        let arguments = [
            "--exact",
            first,
            name,
            last,
            "--nocapture",
            "--test-threads=1",
        ];
        self.run_with(executable, folder, &arguments)
    }

    /// Runs all tests of an executable in one process, as `cargo test` does.
    pub(crate) fn run_all(&self, executable: &Path, folder: &Path) -> Run {
        self.run_with(executable, folder, &[])
    }

    fn run_with(&self, executable: &Path, folder: &Path, arguments: &[&str]) -> Run {
        let start = Instant::now();
        let (outcome, output) = self
            .try_run(executable, folder, arguments)
            .unwrap_or_else(|error| (Outcome::NotGraded, format!("{error:#}")));
        let time = start.elapsed();
        Run {
            outcome,
            output,
            time,
        }
    }

    fn try_run(
        &self,
        executable: &Path,
        folder: &Path,
        arguments: &[&str],
    ) -> Result<(Outcome, String)> {
        let (reader, writer) = io::pipe()?;
        let nonce = Nonce::new()?;
        let mut command = self.test(executable, folder, arguments);
        command
            .env(nonce::VARIABLE, "1")
            .stdin(nonce.stdin()?)
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let mut child = command.spawn().context("cannot start the test")?;
        // Dropped, because the reader sees end of file only after our copies of the write end are closed.
        drop(command);
        let output = output::read_bounded(reader, OUTPUT);
        let code = child.wait()?.code();
        let output = String::from_utf8_lossy(&output).into_owned();
        Ok((outcome_of(code, nonce.is_printed(&output), &output), output))
    }

    /// Prepares a test executable, which sees the workspace, itself and the programs of its package, or the other program that
    /// it is to judge.
    fn test(&self, executable: &Path, folder: &Path, words: &[&str]) -> Command {
        let programs = programs(executable, folder);
        let mut read = vec![executable];
        match self.program_folder() {
            // Another program sees nothing of the stage's: one of them may be the reference's.
            Some(of_program) => read.extend([folder, of_program]),
            None => {
                read.push(folder.parent().unwrap_or(folder));
                read.extend(programs.iter().map(PathBuf::as_path));
            }
        }
        let mut command = self.command(executable, &read, words);
        command.current_dir(folder);
        command
    }
}

/// Lists the programs of a package that have been built. Others beside them stay hidden, because one may be the reference's.
fn programs(executable: &Path, folder: &Path) -> Vec<PathBuf> {
    let beside = executable.parent().and_then(Path::parent).unwrap_or(folder);
    let all = build::programs(folder)
        .into_iter()
        .map(|name| beside.join(name));
    all.filter(|program| program.is_file()).collect()
}

/// Returns the outcome; a process that exits with 0 and has not printed the nonce was ended by the code under test.
fn outcome_of(code: Option<i32>, is_printed: bool, output: &str) -> Outcome {
    let is_ok =
        output.contains("test result: ok. ") && !output.contains("test result: ok. 0 passed");
    let is_finished = is_printed && is_ok;
    match code {
        Some(0) if is_finished => Outcome::Passed,
        Some(code) if code == i32::from(confinement::TIMED_OUT) => Outcome::TimedOut,
        Some(code) if code == i32::from(confinement::NOT_STARTED) => Outcome::NotGraded,
        None => Outcome::NotGraded,
        Some(_) => Outcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ends_itself_has_not_passed() {
        let ok = "test result: ok. 1 passed; 0 failed";
        let table = [
            (Some(0), true, ok, Outcome::Passed),
            (Some(0), false, ok, Outcome::Failed),
            (Some(0), true, "", Outcome::Failed),
            (Some(101), true, ok, Outcome::Failed),
            (Some(139), false, "", Outcome::Failed),
            (Some(123), true, ok, Outcome::Failed),
            (Some(124), true, ok, Outcome::TimedOut),
            (Some(125), true, "", Outcome::NotGraded),
            (None, true, "", Outcome::NotGraded),
        ];
        for (code, is_printed, output, outcome) in table {
            assert_eq!(outcome_of(code, is_printed, output), outcome, "{code:?}");
        }
    }
}
