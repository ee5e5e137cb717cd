//! `{{#transcript NAME}}`: a recorded terminal, `book/transcripts/NAME.txt`, and the check that it still shows the same.
//!
//! A transcript has the input and the output of a terminal, or of several with numbers:
//!
//! ```text
//! % varies: 127\.0\.0\.1:\d{5}
//! 1$ stage1-server
//! listening on 127.0.0.1:8080
//! 2$ stage2-client
//! 2< stressed
//! desserts
//! % eof 2
//! 1>
//! INFO client 127.0.0.1:50312 has left
//! ```
//!
//! | line | meaning |
//! |---|---|
//! | `$ COMMAND`, `1$ COMMAND` | starts a command (a line of bash) in terminal 1; a `\` at the end continues it on the next line |
//! | `1< TEXT` | types a line into the program that runs in terminal 1 |
//! | `1>` | output that appeared in terminal 1 meanwhile follows (the recorder writes it) |
//! | `% eof 1`, `% interrupt 1` | Ctrl-D or Ctrl-C in terminal 1; the program ends then |
//! | `% runs` | below a command: it keeps running until the end (the recorder writes it) |
//! | `% ends` | below a command that is silent for long: the recorder waits for its end |
//! | anything else | output |
//!
//! Lines for the runner, at the head of the file; chapters do not show them:
//!
//! | line | meaning |
//! |---|---|
//! | `% varies: REGEX` | text that may differ from run to run, like a process id; times of day, ports chosen by the kernel, and spaces never count |
//! | `% drop: REGEX` | lines of output that are left out |
//! | `% file NAME: TEXT` | a file with one line of text, in the folder where the commands run |
//! | `% needs: PROGRAM ...` | programs without which it cannot run (the usual ones, like curl, ss and strace, are known) |
//! | `% # TEXT` | a remark |
//!
//! To write one, type the commands without their output and run `cargo book --record NAME`: it fills in the outputs, and
//! replaces them when you run it again. `cargo book --check` runs all of them and compares. The commands run in an empty folder, in a
//! network namespace with nothing but loopback, so that all ports are free; the course's programs are found by their names. The
//! next step begins when the output of the last one is complete and its program waits for something, or has ended; everything ends with
//! the transcript.

mod alone;
mod asleep;
pub(crate) mod files;
mod format;
pub(crate) mod session;
pub(crate) mod show;
mod terminal;

use std::env;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::programs;
use files::{names, path_of, read};
use format::Transcript;
use session::Report;

/// The packages whose programs the commands may use.
const PACKAGES: [&str; 5] = [
    "stage1-server",
    "stage2-client",
    "stage3-epoll",
    "stage4-proxy",
    "stage5-mux",
];
/// Programs that need not be installed everywhere: a transcript that uses one of them needs it.
const MAY_BE_MISSING: [&str; 12] = [
    "curl", "ss", "strace", "python3", "socat", "nc", "tcpdump", "nghttpx", "nghttp", "h2load",
    "haproxy", "openssl",
];

/// Runs all transcripts and describes what differs from the recording.
///
/// # Errors
///
/// Fails if the programs cannot be built, or a session cannot be run.
pub(crate) fn problems(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let names = names(root)?;
    if names.is_empty() {
        return Ok(problems);
    }
    let stage = Stage::build()?;
    for name in names {
        let transcript = read(root, &name)?;
        if let Some(reason) = stage.cannot_run(&transcript) {
            println!("book/transcripts/{name}.txt is not compared: {reason}.");
            continue;
        }
        let report = stage.play(&path_of(root, &name), false)?;
        let place = |problem| format!("book/transcripts/{name}.txt:{problem}");
        problems.extend(report.problems.into_iter().map(place));
    }
    Ok(problems)
}

/// Records a transcript, or all of them, and writes the outputs into their files.
///
/// # Errors
///
/// Fails if a transcript is malformed, cannot be run here, or a step of it fails.
pub(crate) fn record(root: &Path, only: Option<&str>) -> Result<()> {
    let stage = Stage::build()?;
    let all = match only {
        Some(name) => vec![name.to_owned()],
        None => names(root)?,
    };
    for name in all {
        let transcript = read(root, &name)?;
        if let Some(reason) = stage.cannot_run(&transcript) {
            bail!("book/transcripts/{name}.txt cannot be recorded: {reason}");
        }
        let path = path_of(root, &name);
        let report = stage.play(&path, true)?;
        ensure!(
            report.problems.is_empty(),
            "{}:{}",
            path.display(),
            report.problems.join("\n")
        );
        fs::write(&path, &report.text)
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("Recorded book/transcripts/{name}.txt.");
    }
    Ok(())
}

/// The programs and the network for all sessions.
struct Stage {
    /// A folder with links to the course's programs, and nothing else.
    programs: tempfile::TempDir,
    /// Whether the kernel gives every session a network of its own.
    own_network: bool,
}

impl Stage {
    fn build() -> Result<Self> {
        let programs = tempfile::tempdir().context("cannot create a temporary folder")?;
        for program in programs::build(&PACKAGES)? {
            let name = program.file_name().context("a program without a name")?;
            symlink(&program, programs.path().join(name))?;
        }
        // Tried in a process of its own, because a process cannot leave a network namespace again.
        let mut probe = Command::new(env::current_exe().context("cannot find ourselves")?);
        probe.args(["transcript", "--own-network"]);
        let own_network = probe
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !own_network {
            println!(
                "The kernel allows no network of its own: transcripts use the ports of this machine."
            );
        }
        Ok(Self {
            programs,
            own_network,
        })
    }

    /// Returns the reason why a transcript cannot be run on this machine.
    fn cannot_run(&self, transcript: &Transcript) -> Option<String> {
        let words = transcript.words();
        let known = MAY_BE_MISSING
            .iter()
            .filter(|name| words.contains(**name))
            .copied();
        let mut needed = known.chain(transcript.needs.iter().map(String::as_str));
        if let Some(name) = needed.find(|name| !is_installed(name)) {
            return Some(format!("{name} is not installed"));
        }
        let mut ports = transcript.ports().into_iter();
        let taken = ports
            .find(|port| !self.own_network && TcpListener::bind(("127.0.0.1", *port)).is_err())?;
        Some(format!(
            "port {taken} is in use, and the kernel allows no network of its own"
        ))
    }

    /// Plays one session in a process of its own, which kills everything that the session leaves behind.
    fn play(&self, path: &Path, record: bool) -> Result<Report> {
        let ourselves = env::current_exe().context("cannot find ourselves")?;
        let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
        let mut command = Command::new(&ourselves);
        command.arg("transcript").arg(path);
        if self.own_network {
            command.arg("--own-network");
        }
        if record {
            command.arg("--record");
        }
        command.current_dir(folder.path()).env("PATH", self.path()?);
        for (name, _) in env::vars_os() {
            // Removed, because they change the programs' output or the address that they connect to.
            let text = name.to_string_lossy().to_lowercase();
            if text.starts_with("rust_")
                || text.starts_with("course_")
                || text.ends_with("_proxy")
                || text.starts_with("lc_")
            {
                command.env_remove(&name);
            }
        }
        // Without $SHELL bash asks the user database for it, and strace(1) shows how it does.
        command
            .env("SHELL", "/bin/bash")
            .env("LC_ALL", "C")
            .env("TERM", "dumb")
            .env("NO_COLOR", "1")
            .env("PYTHONUNBUFFERED", "1");
        let output = command
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start the session")?;
        let name = path.display();
        ensure!(
            output.status.success(),
            "{name}: the session was not played to its end ({})",
            output.status
        );
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{name}: the session has no report"))
    }

    fn path(&self) -> Result<std::ffi::OsString> {
        let old = env::var_os("PATH").unwrap_or_default();
        let places = std::iter::once(self.programs.path().to_owned()).chain(env::split_paths(&old));
        env::join_paths(places).context("the PATH cannot be extended")
    }
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
