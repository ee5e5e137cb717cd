//! One test: run alone, under limits, with what it said.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{confine, output};

/// How long a test may take; `COURSE_TIME_SCALE` stretches it as it stretches the test's own patience.
const SECONDS: u64 = 120;
/// How much of a test's output is kept.
const OUTPUT: usize = 64 * 1024;

/// How a test has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should.
    Passed,
    /// It said no, or crashed.
    Failed,
    /// It was still running at its deadline.
    TimedOut,
    /// It could not be run: the fault is not the code's.
    NotGraded,
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

/// How tests are guarded.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// The deadline of one test.
    seconds: u64,
    /// Whether the network is shut out.
    pub(crate) no_network: bool,
    /// The program that the tests run in place of the stage's, if any.
    program: Option<PathBuf>,
}

impl Guard {
    /// Limits and a deadline, but the network of the machine: for one's own code.
    pub(crate) fn limits() -> Self {
        let scale = env::var("COURSE_TIME_SCALE")
            .ok()
            .and_then(|text| text.parse::<f64>().ok());
        let seconds = Duration::from_secs(SECONDS).mul_f64(scale.unwrap_or(1.0).clamp(0.1, 100.0));
        Self {
            seconds: seconds.as_secs().max(1),
            no_network: false,
            program: None,
        }
    }

    /// The same without network, where the kernel allows it: for the code of others.
    pub(crate) fn strict() -> Self {
        let strict = Self {
            no_network: true,
            ..Self::limits()
        };
        let try_out = strict.command(Path::new("true")).and_then(|mut command| {
            command.stdout(Stdio::null()).stderr(Stdio::null());
            Ok(command.status()?)
        });
        if try_out.is_ok_and(|status| status.success()) {
            strict
        } else {
            Self::limits()
        }
    }

    /// The same for tests of another program.
    pub(crate) fn with_program(&self, program: Option<&Path>) -> Self {
        Self {
            program: program.map(Path::to_owned),
            ..self.clone()
        }
    }

    /// The same with a deadline of so many seconds, which `COURSE_TIME_SCALE` stretches.
    pub(crate) fn lasting(&self, seconds: u64) -> Self {
        Self {
            seconds: self.seconds * seconds / SECONDS,
            ..self.clone()
        }
    }

    /// Says what the guard does, for the people who read a report.
    pub(crate) fn describe(&self) -> String {
        let network = if self.no_network {
            "without a network (loopback only)"
        } else {
            "with the network of this machine (the kernel allows no namespace)"
        };
        format!("each test under limits of time, memory and file size, {network}")
    }

    /// Lists the names of all tests in an executable.
    ///
    /// # Errors
    /// When it cannot be run.
    pub(crate) fn list(&self, executable: &Path, folder: &Path) -> Result<Vec<String>> {
        let mut command = self.command(executable)?;
        command
            .args(["--list", "--format", "terse"])
            .current_dir(folder);
        let output = command.output().context("cannot list the tests")?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "the list of tests ended with {}",
            output.status
        );
        let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
        Ok(names.map(str::to_owned).collect())
    }

    /// Runs one test to its end.
    pub(crate) fn run(&self, executable: &Path, folder: &Path, name: &str) -> Run {
        let arguments = ["--exact", name, "--nocapture", "--test-threads=1"];
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
        let mut command = self.command(executable)?;
        command
            .args(arguments)
            .current_dir(folder)
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let mut child = command.spawn().context("cannot start the test")?;
        // Our ends of the pipe are closed with it, so that the reader sees the end.
        drop(command);
        let output = output::read_bounded(reader, OUTPUT);
        let code = child.wait()?.code();
        let output = String::from_utf8_lossy(&output).into_owned();
        Ok((judge(code, &output), output))
    }

    fn command(&self, executable: &Path) -> Result<Command> {
        let mut command = Command::new(env::current_exe().context("cannot find ourselves")?);
        command.args(["confine", "--seconds", &self.seconds.to_string()]);
        if self.no_network {
            command.arg("--no-network");
        }
        command.arg("--").arg(executable);
        // What would change the program under test or the way it talks.
        for name in [
            "COURSE_BIN",
            "COURSE_SEED",
            "RUST_LOG",
            "RUST_BACKTRACE",
            "RUST_TEST_THREADS",
        ] {
            command.env_remove(name);
        }
        if let Some(program) = &self.program {
            command.env("COURSE_BIN", program);
        }
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        Ok(command)
    }
}

/// Tells the outcome; a process that ends with 0 but without libtest's last line was ended by the code under test.
fn judge(code: Option<i32>, output: &str) -> Outcome {
    let finished =
        output.contains("test result: ok. ") && !output.contains("test result: ok. 0 passed");
    match code {
        Some(0) if finished => Outcome::Passed,
        Some(code) if code == i32::from(confine::TIMED_OUT) => Outcome::TimedOut,
        Some(code) if code == i32::from(confine::NOT_STARTED) => Outcome::NotGraded,
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
            (Some(0), ok, Outcome::Passed),
            (Some(0), "", Outcome::Failed),
            (Some(101), "", Outcome::Failed),
            (Some(139), "", Outcome::Failed),
            (Some(124), ok, Outcome::TimedOut),
            (Some(125), "", Outcome::NotGraded),
            (None, "", Outcome::NotGraded),
        ];
        for (code, output, outcome) in table {
            assert_eq!(judge(code, output), outcome, "{code:?}");
        }
    }
}
