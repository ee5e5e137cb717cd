//! A child process: start it, read its output, stop it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How long a program may take to print that it is ready.
const START: Duration = Duration::from_secs(20);
/// How long a program may take to end: longer than the proxy lets open sessions drain.
const END: Duration = Duration::from_secs(10);
/// The first lines of each stream are kept for [`Program::find`] and for error messages.
const KEPT_LINES: usize = 100;

/// Whether a program's output is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// They are shown on our standard error, with the program's name before them.
    Shown,
    /// Only the first ones are kept.
    Silent,
}

/// A child in a process group of its own, so that Ctrl-C reaches us alone and we end it in order.
///
/// Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Program {
    name: &'static str,
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Program {
    /// Starts a command; `name` is printed before each of its lines.
    pub(crate) fn start(name: &'static str, command: &mut Command, voice: Voice) -> Result<Self> {
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            listen(name, voice, stdout, sender.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            listen(name, voice, stderr, sender);
        }
        let seen = Vec::new();
        Ok(Self {
            name,
            child,
            lines,
            seen,
        })
    }

    /// Waits for the line in which `search` finds something, in either stream.
    ///
    /// # Errors
    ///
    /// Fails if the program ends, or too much time passes, without such a line.
    pub(crate) fn find<T>(&mut self, what: &str, search: impl Fn(&str) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + START;
        if let Some(found) = self.seen.iter().find_map(|line| search(line)) {
            return Ok(found);
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let found = search(&line);
                    self.seen.push(line);
                    if let Some(found) = found {
                        return Ok(found);
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Err(self.complaint(what, "in time")),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.complaint(what, "before it ended"));
                }
            }
        }
    }

    /// Returns whether the program has ended, without waiting.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends SIGTERM, waits for the end, and sends SIGKILL after [`END`].
    pub(crate) fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.ended() {
            return Ok(status);
        }
        self.signal(Signal::SIGTERM);
        let deadline = Instant::now() + END;
        while self.still_talks(deadline) {}
        if Instant::now() >= deadline {
            self.signal(Signal::SIGKILL);
        }
        let status = self.child.wait();
        status.with_context(|| format!("cannot learn how {} ended", self.name))
    }

    /// Waits for one more line; false when both streams have ended, as they do with the program.
    fn still_talks(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        self.lines.recv_timeout(left).is_ok()
    }

    fn signal(&self, signal: Signal) {
        // Process ids of Linux are below 2^22, so the cast is safe. The error is ignored, because a group that has ended needs no signal.
        let group = Pid::from_raw(self.child.id().cast_signed());
        let _ = killpg(group, signal);
    }

    fn complaint(&self, what: &str, when: &str) -> anyhow::Error {
        let mut said = String::new();
        for line in self.seen.iter().rev().take(10).rev() {
            // Writing into a String cannot fail.
            let _ = write!(said, "\n  {} | {line}", self.name);
        }
        anyhow!("the {} did not say {what} {when}{said}", self.name)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{error:#}");
        }
    }
}

/// Reads lines on a thread of its own until the stream ends.
fn listen(
    name: &'static str,
    voice: Voice,
    stream: impl Read + Send + 'static,
    sender: Sender<String>,
) {
    thread::spawn(move || {
        let lines = BufReader::new(stream).split(b'\n').map_while(Result::ok);
        for (number, line) in lines.enumerate() {
            let line = String::from_utf8_lossy(&line).into_owned();
            if voice == Voice::Shown {
                eprintln!("{name:>8} | {line}");
            }
            if number < KEPT_LINES {
                // Fails if the receiver was dropped, and then the line is not needed.
                let _ = sender.send(line);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        let mut command = Command::new("sh");
        Program::start("shell", command.args(["-c", script]), Voice::Silent).unwrap()
    }

    fn number(line: &str) -> Option<u32> {
        line.strip_prefix("number ")?.parse().ok()
    }

    #[test]
    fn lines_are_found_in_both_streams_and_in_any_order() {
        let mut program = shell("echo word; echo number 7; echo number 8 >&2; exec sleep 60");
        assert_eq!(
            program
                .find("8", |line| number(line).filter(|n| *n == 8))
                .unwrap(),
            8
        );
        assert_eq!(
            program
                .find("7", |line| number(line).filter(|n| *n == 7))
                .unwrap(),
            7
        );
        assert!(program.ended().is_none());
        assert_eq!(program.stop().unwrap().code(), None);
    }

    #[test]
    fn an_early_end_is_told_with_the_last_words() {
        let mut program = shell("echo out of luck >&2; exit 3");
        let error = program.find("its number", number).unwrap_err().to_string();
        assert_eq!(
            error,
            "the shell did not say its number before it ended\n  shell | out of luck"
        );
        assert_eq!(program.stop().unwrap().code(), Some(3));
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error =
            Program::start("x", &mut Command::new("/no/such/program"), Voice::Silent).unwrap_err();
        assert_eq!(error.to_string(), "cannot start /no/such/program");
    }
}
