//! A program with its arguments, environment and limits, and how it is started.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use crate::failure::{Failure, fail};
use crate::finished::Finished;
use crate::process::{Process, short_name};
use crate::transcript::Transcript;

/// Names the binary of a stage: `harness::bin!("stage3-epoll")`.
///
/// It expands to the path that Cargo gives to the tests of the package that owns the binary. When the
/// environment variable `COURSE_BIN` is set, its value is used instead: the same tests then judge a program written in
/// any language.
#[macro_export]
macro_rules! bin {
    ($name:literal) => {
        $crate::choose_binary(env!(concat!("CARGO_BIN_EXE_", $name)))
    };
}

/// Returns `COURSE_BIN` when it is set, else `built`; use it through [`bin!`].
#[must_use]
pub fn choose_binary(built: &str) -> PathBuf {
    std::env::var_os("COURSE_BIN")
        .unwrap_or_else(|| built.into())
        .into()
}

/// A program with its arguments, not yet started.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    open_files: Option<u64>,
    blocked: SigSet,
    stdin: bool,
}

impl Program {
    /// Names the executable: see [`bin!`].
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let (arguments, environment) = (Vec::new(), Vec::new());
        Self {
            path: path.into(),
            arguments,
            environment,
            open_files: None,
            blocked: SigSet::empty(),
            stdin: false,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, arguments: I) -> Self {
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    /// Starts the program through another one, which gets `words` before the program's path and arguments.
    pub(crate) fn behind(self, other: &Path, words: &[&str]) -> Self {
        let mut arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
        arguments.push(self.path.into());
        arguments.extend(self.arguments);
        Self {
            path: other.to_owned(),
            arguments,
            ..self
        }
    }

    /// Starts the program with SIGHUP ignored, as `nohup(1)` does; prints why the test is skipped where it is missing.
    #[must_use]
    pub fn under_nohup(self) -> Option<Self> {
        let Some(nohup) = find_in_path("nohup") else {
            eprintln!("skipped: there is no nohup");
            return None;
        };
        Some(self.behind(&nohup, &[]))
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Limits the number of open files, soft and hard (`RLIMIT_NOFILE`).
    #[must_use]
    pub fn open_files(mut self, limit: u64) -> Self {
        self.open_files = Some(limit);
        self
    }

    /// Starts the program as a parent does that has blocked these signals: a program inherits the mask.
    #[must_use]
    pub fn blocking(mut self, signals: impl IntoIterator<Item = Signal>) -> Self {
        self.blocked.extend(signals);
        self
    }

    /// Gives the program a pipe as stdin instead of nothing: see [`Process::send_stdin`].
    #[must_use]
    pub fn with_stdin(mut self) -> Self {
        self.stdin = true;
        self
    }

    /// Starts the program in a process group of its own.
    ///
    /// The kernel kills the program when the calling thread ends, so that an aborted test run leaves no process behind
    /// (`PR_SET_PDEATHSIG`, through `setpriv` where it is installed): start it on the thread of the test.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be started.
    #[track_caller]
    pub fn spawn(&self) -> Process {
        if !self.path.exists() {
            fail(format!(
                "There is no program at {} (is COURSE_BIN right?)",
                self.path.display()
            ));
        }
        let transcript = Transcript::current();
        transcript.step(format!("start {}", self.command_line()));
        match self.spawn_child() {
            Ok(child) => Process::adopt(short_name(&self.path), child, transcript),
            Err(error) => {
                Failure::new(format!("Cannot start {}: {error}", self.path.display())).raise()
            }
        }
    }

    fn spawn_child(&self) -> io::Result<Child> {
        let before = self.blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let child = self.command().spawn();
        before.thread_set_mask()?;
        child
    }

    /// Runs the program to its end, without stdin.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be started or does not end in time.
    #[track_caller]
    pub fn run(&self) -> Finished {
        self.spawn().finish()
    }

    fn command_line(&self) -> String {
        let mut words = vec![short_name(&self.path)];
        words.extend(
            self.arguments
                .iter()
                .map(|argument| argument.to_string_lossy().into_owned()),
        );
        if let Some(limit) = self.open_files {
            words.push(format!("(with at most {limit} open files)"));
        }
        words.join(" ")
    }

    fn command(&self) -> Command {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(setpriv) = setpriv() {
            words.extend(
                [setpriv.as_os_str(), "--pdeathsig".as_ref(), "KILL".as_ref()].map(OsString::from),
            );
        }
        if let Some(limit) = self.open_files {
            let script = "ulimit -n \"$0\" && exec \"$@\"";
            words.extend(["sh", "-c", script, &limit.to_string()].map(OsString::from));
        }
        words.push(self.path.clone().into());
        words.extend(self.arguments.iter().cloned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(if self.stdin {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command.env_remove("RUST_LOG").env("NO_COLOR", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Finds `setpriv` of util-linux, which starts a program that the kernel kills with its parent.
fn setpriv() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(|| find_in_path("setpriv")).as_deref()
}

pub(crate) fn find_in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
