//! A terminal of a session: it runs one program after the other, with their input and output.

use std::io::{BufRead as _, BufReader, PipeReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::transcript::alone;
use crate::transcript::asleep::wait_until_asleep;

/// The most lines that are kept: more than a book can show.
const LINES: usize = 2000;
/// How long a program that stays may work before the next step begins anyway: some are there to spin.
const WORK: Duration = Duration::from_secs(5);

/// An event from the thread that reads a program's output.
enum Event {
    Line(String),
    /// The write end of the pipe is closed: the program and its children have ended.
    End,
}

/// A terminal.
pub(super) struct Terminal {
    program: Option<Program>,
    sender: Sender<Event>,
    events: Receiver<Event>,
    /// Lines that were received and not returned yet.
    lines: Vec<String>,
}

/// The program that runs in a terminal.
struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Terminal {
    /// Creates an idle terminal.
    pub(super) fn new() -> Self {
        let (sender, events) = mpsc::channel();
        Self {
            program: None,
            sender,
            events,
            lines: Vec::new(),
        }
    }

    /// Starts a command of bash.
    ///
    /// # Errors
    ///
    /// Fails if another one still runs here, or it cannot be started.
    pub(super) fn start(&mut self, command: &str) -> Result<()> {
        if self.program.is_some() {
            bail!("the program before it still runs in this terminal");
        }
        let (reader, writer) = std::io::pipe()?;
        // A shell without job control starts background processes with SIGINT ignored, and children inherit that: env(1) resets it.
        let mut bash = Command::new("env");
        bash.args([
            "--default-signal=INT",
            "bash",
            "--norc",
            "--noprofile",
            "-c",
            command,
        ])
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(writer.try_clone()?)
        .stderr(writer);
        let mut child = alone::start(&mut bash).context("cannot start bash")?;
        // Dropped, because end of file arrives only after our copies of the pipe's write end are closed.
        drop(bash);
        let stdin = child.stdin.take();
        self.program = Some(Program { child, stdin });
        let sender = self.sender.clone();
        thread::spawn(move || listen(reader, &sender));
        Ok(())
    }

    /// Types a line.
    ///
    /// # Errors
    ///
    /// Fails if no program runs that reads it.
    pub(super) fn type_line(&mut self, line: &str) -> Result<()> {
        let program = self
            .program
            .as_mut()
            .context("no program runs in this terminal")?;
        let stdin = program.stdin.as_mut().context("its input has ended")?;
        writeln!(stdin, "{line}").context("the program does not read any more")
    }

    /// Ends the input: Ctrl-D.
    ///
    /// # Errors
    ///
    /// Fails if no program runs.
    pub(super) fn end_input(&mut self) -> Result<()> {
        let program = self
            .program
            .as_mut()
            .context("no program runs in this terminal")?;
        program.stdin = None;
        Ok(())
    }

    /// Sends SIGINT to the program and its children: Ctrl-C.
    ///
    /// # Errors
    ///
    /// Fails if no program runs.
    pub(super) fn interrupt(&mut self) -> Result<()> {
        let program = self
            .program
            .as_mut()
            .context("no program runs in this terminal")?;
        killpg(program.group(), Signal::SIGINT).context("cannot interrupt the program")
    }

    /// Waits for the end of the program and returns its output; false if it was still running at the deadline.
    pub(super) fn until_end(&mut self, deadline: Instant) -> (Vec<String>, bool) {
        while self.program.is_some() && self.hear(deadline) {}
        (std::mem::take(&mut self.lines), self.program.is_none())
    }

    /// Waits until `wanted` lines that count have come, or the program has ended, or the deadline has passed.
    pub(super) fn until_lines(
        &mut self,
        wanted: usize,
        counts: impl Fn(&str) -> bool,
        deadline: Instant,
    ) -> Vec<String> {
        let so_far = |lines: &[String]| lines.iter().filter(|line| counts(line)).count();
        while so_far(&self.lines) < wanted && self.program.is_some() && self.hear(deadline) {}
        let place = self
            .lines
            .iter()
            .enumerate()
            .filter(|(_, line)| counts(line))
            .nth(wanted);
        let end = place.map_or(self.lines.len(), |(place, _)| place);
        self.lines.drain(..end).collect()
    }

    /// Waits until the program has ended, or waits itself and was silent for a while, and returns its output.
    pub(super) fn until_quiet(&mut self, quiet: Duration, deadline: Instant) -> Vec<String> {
        loop {
            self.until_asleep();
            if self.program.is_none() || !self.hear(deadline.min(Instant::now() + quiet)) {
                return std::mem::take(&mut self.lines);
            }
        }
    }

    /// Waits until the program waits for something, such as a client that another step starts, or has ended.
    ///
    /// A program that prints nothing shows in no other way that it is ready.
    pub(super) fn until_asleep(&self) {
        if let Some(program) = &self.program {
            wait_until_asleep(program.group(), Instant::now() + WORK);
        }
    }

    /// Returns whether a program runs here.
    pub(super) fn is_busy(&self) -> bool {
        self.program.is_some()
    }

    /// Returns the lines received so far, without waiting.
    pub(super) fn rest(&mut self) -> Vec<String> {
        while self.hear(Instant::now()) {}
        std::mem::take(&mut self.lines)
    }

    /// Handles one event; false if none arrives in time.
    fn hear(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.events.recv_timeout(left) {
            Ok(Event::Line(line)) => {
                if self.lines.len() < LINES {
                    self.lines.push(line);
                }
                true
            }
            Ok(Event::End) => {
                // A program that has closed its output shows nothing more.
                drop(self.program.take());
                true
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
        }
    }
}

impl Program {
    fn group(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails if the group has ended already.
        let _ = killpg(self.group(), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

fn listen(reader: PipeReader, sender: &Sender<Event>) {
    let lines = BufReader::new(reader).split(b'\n').map_while(Result::ok);
    for line in lines {
        let line = String::from_utf8_lossy(&line)
            .trim_end()
            .replace('\t', "    ");
        // Fails when the session is over, and then the line is not needed.
        let _ = sender.send(Event::Line(line));
    }
    let _ = sender.send(Event::End);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_program_is_started_typed_into_and_ended() {
        let mut terminal = Terminal::new();
        terminal.start("echo ready; cat; echo over >&2").unwrap();
        assert_eq!(terminal.until_lines(1, |_| true, soon()), ["ready"]);
        assert!(terminal.start("true").is_err());
        terminal.type_line("hello").unwrap();
        assert_eq!(terminal.until_lines(1, |_| true, soon()), ["hello"]);
        assert!(terminal.is_busy());
        terminal.end_input().unwrap();
        assert_eq!(terminal.until_end(soon()), (vec!["over".to_owned()], true));
        assert!(terminal.type_line("x").is_err());
    }

    #[test]
    fn what_does_not_count_is_not_counted() {
        let mut terminal = Terminal::new();
        terminal
            .start("printf 'noise\\n1\\nnoise\\n2\\n3\\n'")
            .unwrap();
        let counts = |line: &str| line != "noise";
        assert_eq!(
            terminal.until_lines(2, counts, soon()),
            ["noise", "1", "noise", "2"]
        );
        assert_eq!(terminal.until_end(soon()).0, ["3"]);
    }

    #[test]
    fn a_program_that_stays_is_seen_and_interrupted() {
        let mut terminal = Terminal::new();
        terminal
            .start("trap 'echo bye; exit 1' INT; echo up; while true; do sleep 0.05; done")
            .unwrap();
        assert_eq!(terminal.until_lines(1, |_| true, soon()), ["up"]);
        let (_, ended) = terminal.until_end(Instant::now());
        assert!(!ended);
        terminal.interrupt().unwrap();
        assert_eq!(terminal.until_end(soon()), (vec!["bye".to_owned()], true));
    }
}
