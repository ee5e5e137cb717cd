//! The guard of a test or a build: its deadline, its limits, its isolation, its environment.

use std::env;
use std::ffi::OsString;
use std::num::NonZero;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use harness::load::stretch_factor;

use crate::run::isolation::Isolation;
use crate::run::toolchain;

/// The time limit of a test, in seconds: more than the harness allows, so that the harness can report the timeout itself.
/// `COURSE_TIME_SCALE` stretches both, and so does load on the machine.
const TEST_SECONDS: u64 = 75;
/// The time limit of the compiler, in seconds, for the code of others.
const BUILD_SECONDS: u64 = 900;
/// The time limit of a submission's own build command, in seconds.
const RECIPE_SECONDS: u64 = 300;
/// The memory of a test's processes together, in MiB.
const TEST_MEMORY: u64 = 2 << 10;
/// The memory of the processes of a submission's own build command together, in MiB.
const RECIPE_MEMORY: u64 = 4 << 10;
/// The memory of a compiler's processes together, in MiB.
const BUILD_MEMORY: u64 = 16 << 10;

/// Variables of our environment that the code of others may see.
const KNOWN: &[&str] = &["COURSE_TIME_SCALE", "LANG", "PATH", "TERM", "TZ"];
/// Variables that would change the program under test or its output.
const MISLEADING: &[&str] = &[
    "COURSE_BIN",
    "COURSE_SEED",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "RUST_TEST_THREADS",
];

/// Runs tests and compilers under limits.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// The factor by which time limits are stretched.
    scale: f64,
    /// The time limit of a test, in seconds, before that.
    seconds: u64,
    /// How far a test is isolated from the machine.
    isolation: Isolation,
    /// How many tests run at the same time: at most four, because the tests measure time and cause load themselves.
    pub(crate) jobs: usize,
    /// The program that the tests run in place of the stage's, if any.
    program: Option<PathBuf>,
}

impl Guard {
    /// Creates a guard with limits and a deadline, but without isolation: for one's own code.
    pub(crate) fn limits() -> Self {
        Self::with_isolation(Isolation::Limits)
    }

    pub(super) fn with_isolation(isolation: Isolation) -> Self {
        let scale = env::var("COURSE_TIME_SCALE")
            .ok()
            .and_then(|text| text.parse::<f64>().ok());
        Self {
            scale: scale.unwrap_or(1.0).clamp(0.1, 100.0),
            seconds: TEST_SECONDS,
            isolation,
            jobs: processors().min(4),
            program: None,
        }
    }

    /// Returns a guard for tests of another program.
    pub(crate) fn with_program(&self, program: Option<&Path>) -> Self {
        Self {
            program: program.map(Path::to_owned),
            ..self.clone()
        }
    }

    /// Returns the folder of the program that the tests run in place of the stage's: it may need the files beside it.
    pub(super) fn program_folder(&self) -> Option<&Path> {
        self.program.as_deref().and_then(Path::parent)
    }

    /// Returns a guard for use beside others, with its share of the processors.
    pub(crate) fn for_one_of(self, guards: usize) -> Self {
        let jobs = processors().div_ceil(guards.max(1)).min(self.jobs);
        Self { jobs, ..self }
    }

    /// Returns a guard with another time limit, which `COURSE_TIME_SCALE` stretches.
    pub(crate) fn lasting(&self, seconds: u64) -> Self {
        Self {
            seconds,
            ..self.clone()
        }
    }

    /// Returns a guard with a time limit of at most so many seconds.
    pub(crate) fn at_most(&self, seconds: u64) -> Self {
        self.lasting(self.seconds.min(seconds))
    }

    /// Describes the guard for the readers of a report.
    pub(crate) fn describe(&self) -> String {
        format!(
            "each test under limits of time, memory, processes and file size, {}",
            self.isolation.words()
        )
    }

    /// Returns whether a test sees only the files that it needs.
    pub(crate) fn hides_files(&self) -> bool {
        !self.isolation.namespaces().is_empty()
    }

    /// Returns whether a test cannot write to the grader's files.
    pub(crate) fn protects_files(&self) -> bool {
        self.isolation != Isolation::Limits
    }

    /// Returns whether a test cannot kill the grader's processes.
    pub(crate) fn protects_processes(&self) -> bool {
        self.isolation.protects_processes()
    }

    /// Returns whether the kernel bounds the number of a test's processes, so that a mistake in the watch does not bring the
    /// machine down.
    pub(crate) fn bounds_processes(&self) -> bool {
        self.isolation.bounds_processes()
    }

    /// Prepares a test or another executable; it sees the paths of `read`.
    pub(super) fn command(&self, executable: &Path, read: &[&Path], words: &[&str]) -> Command {
        let mut command = self.confine(self.seconds, TEST_MEMORY);
        show(&mut command, "--read", read);
        let mut path = env::var_os("PATH").unwrap_or_default();
        if let Some(python) = toolchain::python() {
            show(&mut command, "--read", &[&python.prefix]);
            path = python.first_in(&path);
        }
        command.arg("--").arg(executable).args(words);
        if self.isolation != Isolation::Limits {
            clean(&mut command);
            command.env("PATH", path).env("HOME", "/tmp");
        }
        for name in MISLEADING {
            command.env_remove(name);
        }
        if let Some(program) = &self.program {
            command.env("COURSE_BIN", program);
        }
        // The same code gets the same points: the cases of a property do not change from run to run, and none are kept.
        command
            .env("NO_COLOR", "1")
            .env("PROPTEST_RNG_SEED", "1")
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1");
        command
    }

    /// Prepares cargo, which reads the workspace at `root` and writes to `target`; the caller appends the arguments.
    pub(crate) fn cargo(&self, root: &Path, target: &Path) -> Command {
        let mut command = self.confine(BUILD_SECONDS, BUILD_MEMORY);
        command.arg("--build");
        show(&mut command, "--read", &[root]);
        for home in toolchain::homes() {
            show(&mut command, "--read", &[&home]);
        }
        show(&mut command, "--write", &[target]);
        command.arg("--").arg(toolchain::cargo());
        if self.isolation != Isolation::Limits {
            clean(&mut command);
            command.envs(toolchain::environment());
        }
        command
    }

    /// Prepares a command of the shell that writes to `folder`: as a test it has no rights, and it sees the toolchains.
    pub(super) fn shell(&self, words: &str, folder: &Path) -> Command {
        let mut command = self.confine(RECIPE_SECONDS, RECIPE_MEMORY);
        for home in toolchain::homes() {
            show(&mut command, "--read", &[&home]);
        }
        let mut path = env::var_os("PATH").unwrap_or_default();
        if let Some(python) = toolchain::python() {
            show(&mut command, "--read", &[&python.prefix]);
            path = python.first_in(&path);
        }
        show(&mut command, "--write", &[folder]);
        command.args(["--", "/bin/sh", "-c", words]);
        if self.isolation != Isolation::Limits {
            clean(&mut command);
            command.env("PATH", path).env("HOME", "/tmp");
            // rustup looks for its toolchains below HOME otherwise.
            command.envs(toolchain::rustup_home().map(|home| ("RUSTUP_HOME", home)));
        }
        command
    }

    fn confine(&self, seconds: u64, memory: u64) -> Command {
        let seconds = Duration::from_secs(seconds).mul_f64(self.scale * stretch_factor());
        let seconds = seconds.as_secs();
        let isolation = clap::ValueEnum::to_possible_value(&self.isolation);
        let isolation = isolation.map_or_else(String::new, |value| value.get_name().to_owned());
        // Not by path, because a class takes hours and cargo may have replaced the program at our path meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("course")
            .args(["confine", "--seconds", &seconds.max(1).to_string()])
            .args(["--memory", &memory.to_string(), "--isolation", &isolation]);
        command
    }
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

fn show(command: &mut Command, option: &str, paths: &[&Path]) {
    for path in paths {
        command.arg(option).arg(path);
    }
}

/// Clears the environment except for the variables in [`KNOWN`].
fn clean(command: &mut Command) {
    let kept: Vec<(&str, OsString)> = KNOWN
        .iter()
        .filter_map(|name| Some((*name, env::var_os(name)?)))
        .collect();
    command.env_clear().envs(kept);
}
