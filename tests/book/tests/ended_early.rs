//! A session of a transcript that is ended before its time leaves no process behind.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use harness::{PATIENCE, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The time that a program of the session sleeps, in seconds: unlike that of every other `sleep`, so that it marks them.
struct Mark(String);

impl Mark {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(format!("{}.{next}", 7_000_000 + std::process::id()))
    }

    /// Lists the programs of the session.
    fn sleepers(&self) -> Vec<Pid> {
        let wanted = format!("sleep\0{self}\0");
        with_command_line(|line| line == wanted)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(to)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        for pid in self.sleepers() {
            // It may have ended meanwhile.
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

/// Lists the processes whose command line (`proc_pid_cmdline(5)`) is one of those wanted.
fn with_command_line(is_wanted: impl Fn(&str) -> bool) -> Vec<Pid> {
    let pid_of = |folder: PathBuf| {
        let line = fs::read(folder.join("cmdline")).ok()?;
        let pid = folder.file_name()?.to_str()?.parse().ok()?;
        is_wanted(&String::from_utf8_lossy(&line)).then(|| Pid::from_raw(pid))
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| pid_of(entry.path())).collect()
}

/// A session that would go on for minutes: a program and its child, a daemon, and a condition that never comes true.
struct Session {
    mark: Mark,
    folder: tempfile::TempDir,
    /// The session itself, or its parent.
    child: Child,
}

impl Session {
    /// Starts it by appending its program and arguments to the words of `parent`, and waits until its programs run.
    fn start(parent: &[&str]) -> Self {
        let (mark, folder) = (Mark::new(), tempfile::tempdir().unwrap());
        let transcript = folder.path().join("long.txt");
        let steps = format!(
            "1$ sleep {mark} & (setsid sleep {mark} &); exec sleep {mark}\n% until: false\n"
        );
        fs::write(&transcript, steps).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_book"));
        let words = parent.iter().map(Path::new).chain([program]);
        let words: Vec<_> = words.collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("transcript").arg(&transcript);
        let child = command
            .arg("--record")
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        eventually("the programs run", PATIENCE, || mark.sleepers().len() == 3);
        Self {
            mark,
            folder,
            child,
        }
    }

    /// Waits until neither the session nor one of its programs is left.
    #[track_caller]
    fn expect_gone(&self) {
        let name = self.folder.path().display().to_string();
        eventually("its programs have ended", PATIENCE, || {
            self.mark.sleepers().is_empty()
        });
        eventually("the session has ended", PATIENCE, || {
            with_command_line(|line| line.contains(&name)).is_empty()
        });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn its_programs_end_when_its_parent_is_killed() {
    // A shell with another command to come stays, as the parent.
    let mut session = Session::start(&["sh", "-c", "\"$@\"; exit", "sh"]);
    session.child.kill().unwrap();
    session.expect_gone();
}

#[test]
fn its_programs_end_on_the_usual_signals() {
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        let mut session = Session::start(&[]);
        kill(Pid::from_raw(session.child.id().cast_signed()), signal).unwrap();
        assert_eq!(session.child.wait().unwrap().code(), Some(130), "{signal}");
        session.expect_gone();
    }
}
