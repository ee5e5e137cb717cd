//! A program under test: started in a process group of its own, watched, and always killed in the end.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::captured::Captured;
use crate::deadline::{Deadline, holds_by};
use crate::diff;
use crate::failure::Failure;
use crate::finished::{Finished, describe};
use crate::proc;
use crate::sync::lock;
use crate::transcript::Transcript;

/// The bytes of stdout that are kept.
const STDOUT_LIMIT: usize = 64 * 1024 * 1024;
/// The bytes of stderr that are kept.
const STDERR_LIMIT: usize = 64 * 1024;
/// How long the rest of the streams may take to arrive after the program has ended.
const DRAIN: Duration = Duration::from_secs(2);

/// A running program; dropping it kills its whole process group and reaps it.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    child: Mutex<Child>,
    ended: Mutex<Option<ExitStatus>>,
    stdin: Mutex<Option<Sender<Vec<u8>>>>,
    stdout: Arc<Captured>,
    stderr: Arc<Captured>,
    /// Bytes of stdout that the test has already checked.
    taken: AtomicUsize,
    transcript: Transcript,
}

impl Process {
    /// Takes over a child whose three streams are pipes.
    pub(crate) fn adopt(name: String, mut child: Child, transcript: Transcript) -> Self {
        let stdout = Arc::new(Captured::new(STDOUT_LIMIT));
        let stderr = Arc::new(Captured::new(STDERR_LIMIT));
        if let Some(pipe) = child.stdout.take() {
            stdout.pump(pipe);
        }
        if let Some(pipe) = child.stderr.take() {
            stderr.pump(pipe);
        }
        let stdin = child.stdin.take().map(feed);
        transcript.watch(&name, &stderr);
        let pid = child.id();
        let (child, ended, stdin) = (Mutex::new(child), Mutex::new(None), Mutex::new(stdin));
        Self {
            name,
            pid,
            child,
            ended,
            stdin,
            stdout,
            stderr,
            taken: AtomicUsize::new(0),
            transcript,
        }
    }

    /// Returns the program's file name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns the stderr of the program so far (the last 64 KiB).
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Returns the stdout of the program so far.
    #[must_use]
    pub fn stdout(&self) -> Vec<u8> {
        self.stdout.bytes()
    }

    /// Waits until a line of stderr contains `pattern` and returns that line.
    ///
    /// # Panics
    ///
    /// Panics if no such line arrives in time, or the program ends without it.
    #[track_caller]
    pub fn wait_for_stderr(&self, pattern: &str) -> String {
        let found = self.stderr.wait_for(Deadline::patience(), |bytes, _| {
            let text = String::from_utf8_lossy(bytes);
            text.lines()
                .find(|line| line.contains(pattern))
                .map(str::to_owned)
        });
        found.unwrap_or_else(|| self.fail(&format!("never wrote {pattern:?} to stderr")))
    }

    /// Waits for the first line of stdout, without its line feed.
    pub(crate) fn first_line(&self, deadline: Deadline) -> Option<String> {
        self.stdout.wait_for(deadline, |bytes, _| {
            let end = bytes.iter().position(|byte| *byte == b'\n')?;
            Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
        })
    }

    /// Checks that the next bytes on stdout are `expected`.
    ///
    /// # Panics
    ///
    /// Panics if other bytes arrive, or too few in time.
    #[track_caller]
    pub fn expect_stdout(&self, expected: &[u8]) {
        let from = self.taken.load(Ordering::Acquire);
        let deadline = Deadline::patience();
        let came = self.stdout.wait_for(deadline, |bytes, _| {
            let seen = bytes.get(from..).unwrap_or_default();
            let part = &seen[..seen.len().min(expected.len())];
            (!expected.starts_with(part) || part.len() == expected.len()).then(|| part.to_vec())
        });
        let seen = came.unwrap_or_else(|| self.stdout().split_off(from));
        if seen != expected {
            Failure::new(format!(
                "{} wrote something else to stdout than expected.",
                self.name
            ))
            .bytes(expected, &seen)
            .in_transcript(&self.transcript)
            .raise();
        }
        self.taken.store(from + expected.len(), Ordering::Release);
        self.transcript.step(format!(
            "{} wrote {} to stdout",
            self.name,
            diff::preview(expected)
        ));
    }

    /// Sends bytes to the program's stdin; returns at once, because a thread does the writing.
    pub fn send_stdin(&self, bytes: &[u8]) {
        self.transcript.step(format!(
            "{} gets {} on stdin",
            self.name,
            diff::preview(bytes)
        ));
        if let Some(sender) = &*lock(&self.stdin) {
            // This fails if the program has closed its stdin; the test sees the consequences.
            let _ = sender.send(bytes.to_vec());
        }
    }

    /// Closes the program's stdin after the bytes sent so far.
    pub fn close_stdin(&self) {
        self.transcript
            .step(format!("stdin of {} is closed", self.name));
        lock(&self.stdin).take();
    }

    /// Sends a signal to the program.
    ///
    /// # Panics
    ///
    /// Panics if the program has ended.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        self.transcript.step(format!("{} gets {signal}", self.name));
        let sent = lock(&self.ended).is_none() && signal::kill(self.group(), signal).is_ok();
        if !sent {
            self.fail("had ended before it could get a signal");
        }
    }

    /// Stops the program with `SIGSTOP` and waits until it is stopped.
    ///
    /// # Panics
    ///
    /// Panics if the program has ended.
    #[track_caller]
    pub fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        proc::wait_until_stopped(self.pid, true);
    }

    /// Lets a stopped program continue (`SIGCONT`).
    ///
    /// # Panics
    ///
    /// Panics if the program has ended.
    #[track_caller]
    pub fn cont(&self) {
        self.signal(Signal::SIGCONT);
        proc::wait_until_stopped(self.pid, false);
    }

    /// Sends `SIGTERM` and waits for the end.
    ///
    /// # Panics
    ///
    /// Panics if the program does not end in time.
    #[track_caller]
    pub fn terminate(&self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// Sends `SIGINT`, as Ctrl-C does, and waits for the end.
    ///
    /// # Panics
    ///
    /// Panics if the program does not end in time.
    #[track_caller]
    pub fn interrupt(&self) -> ExitStatus {
        self.signal(Signal::SIGINT);
        self.wait()
    }

    /// Waits for the end of the program.
    ///
    /// # Panics
    ///
    /// Panics if the program does not end in time.
    #[track_caller]
    pub fn wait(&self) -> ExitStatus {
        match self.wait_by(Deadline::patience()) {
            Some(status) => status,
            None => self.fail("did not end in time"),
        }
    }

    /// Waits for the end of the program and returns its exit status and output.
    ///
    /// # Panics
    ///
    /// Panics if the program does not end in time.
    #[track_caller]
    pub fn finish(&self) -> Finished {
        let status = self.wait();
        Finished {
            status,
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    /// Waits for the end until `deadline`; `None` if the program still runs.
    pub fn wait_by(&self, deadline: Deadline) -> Option<ExitStatus> {
        let known = *lock(&self.ended);
        if known.is_some() {
            return known;
        }
        holds_by(deadline, &mut || self.has_ended()).then(|| self.reap())
    }

    /// Checks that the program still runs.
    ///
    /// # Panics
    ///
    /// Panics if it has ended; the message describes how.
    #[track_caller]
    pub fn expect_alive(&self) {
        if let Some(status) = self.wait_by(Deadline::after(Duration::ZERO)) {
            self.fail(&format!("should still run, but {}", describe(status)));
        }
    }

    /// Returns the transcript that this program's steps go to.
    pub(crate) fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Returns whether it has ended, without reaping it, so that its id stays valid until the whole group is killed.
    fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(
            waitid(Id::Pid(self.group()), flags),
            Ok(WaitStatus::StillAlive)
        )
    }

    /// Kills the rest of the group, collects the exit status and the rest of the streams.
    fn reap(&self) -> ExitStatus {
        let mut ended = lock(&self.ended);
        if let Some(status) = *ended {
            return status;
        }
        // This fails if the group has no process left, and then there is nothing to kill.
        let _ = signal::killpg(self.group(), Signal::SIGKILL);
        let status = lock(&self.child)
            .wait()
            .unwrap_or_else(|_| ExitStatus::from_raw(0xff00));
        *ended = Some(status);
        let deadline = Deadline::after(DRAIN);
        self.stdout.wait_for_end(deadline);
        self.stderr.wait_for_end(deadline);
        self.transcript
            .step(format!("{} {}", self.name, describe(status)));
        status
    }

    fn group(&self) -> Pid {
        // Process ids of Linux are below 2^22.
        Pid::from_raw(i32::try_from(self.pid).unwrap_or(i32::MAX))
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        // A program that has just ended gets a moment, so that the report has its last lines on stderr.
        if lock(&self.ended).is_none() && self.has_ended() {
            self.reap();
        }
        Failure::new(format!("{} {what}.", self.name))
            .in_transcript(&self.transcript)
            .raise()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        lock(&self.stdin).take();
        self.reap();
    }
}

/// Returns the name that messages use for a program.
pub(crate) fn short_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// Writes to a child's stdin on a thread of its own; the pipe closes when the sender is dropped.
fn feed(mut pipe: ChildStdin) -> Sender<Vec<u8>> {
    let (sender, receiver) = mpsc::channel::<Vec<u8>>();
    thread::spawn(move || {
        for bytes in receiver {
            if pipe.write_all(&bytes).is_err() {
                return;
            }
        }
    });
    sender
}
