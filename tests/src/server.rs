//! A server under test: a program that announces the address it listens on.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use crate::cause::Symptom;
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::finished::describe;
use crate::process::Process;
use crate::program::Program;

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(10);
/// The start of the one line on stdout.
const LISTENING: &str = "listening on ";

/// A running server; everything of [`Process`] works on it too. Dropping it kills its process group.
#[derive(Debug)]
pub struct Server {
    process: Process,
    address: SocketAddr,
}

impl Server {
    /// Starts `program` with `arguments` and waits until it listens; [`Program::serve`] has more options.
    ///
    /// # Panics
    ///
    /// Panics if it does not print `listening on ADDR:PORT` in time, or ends first: the message says how, and why.
    #[track_caller]
    pub fn start(program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        Program::new(program).args(arguments).serve()
    }

    /// Waits for the line of a program that has just been started.
    #[track_caller]
    pub(crate) fn from_process(process: Process) -> Self {
        Self::with_line(process, |line| line.strip_prefix(LISTENING)?.parse().ok())
    }

    /// Waits for the first line of stdout and lets `parse` find the address in it.
    #[track_caller]
    pub(crate) fn with_line(process: Process, parse: impl Fn(&str) -> Option<SocketAddr>) -> Self {
        let Some(line) = process.first_line(Deadline::after(START)) else {
            did_not_start(&process)
        };
        let Some(address) = parse(&line) else {
            announced_otherwise(&process, &line)
        };
        process
            .transcript()
            .step(format!("{} prints {line:?}", process.name()));
        if address.port() == 0 {
            announced_no_port(&process)
        }
        Self { process, address }
    }

    /// Returns the address the server listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address as text, for command lines.
    #[must_use]
    pub fn addr_text(&self) -> String {
        self.address.to_string()
    }
}

impl Program {
    /// Starts a server and waits for its `listening on ADDR:PORT` line.
    ///
    /// # Panics
    ///
    /// Panics if the line does not arrive; the message shows the line that arrived instead.
    #[track_caller]
    pub fn serve(&self) -> Server {
        Server::from_process(self.spawn())
    }
}

impl Deref for Server {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

#[track_caller]
fn did_not_start(process: &Process) -> ! {
    let name = process.name();
    // The kernel closes a program's stdout a little before its exit status can be read.
    let ending = process.wait_by(Deadline::after(Duration::from_secs(1)));
    let headline = match ending {
        Some(status) => format!(
            "{name} {} before it announced where it listens.",
            describe(status)
        ),
        None => {
            format!("{name} runs, but did not print `listening on ADDR:PORT` on stdout in time.")
        }
    };
    let failure = Failure::new(headline).in_transcript(process.transcript());
    if ending.is_none() {
        failure
            .detail("Was the line flushed? Stdout is a pipe here, not a terminal.")
            .symptom(Symptom::Silence)
            .raise();
    }
    failure.symptom(Symptom::EarlyExit).raise();
}

/// Port 0 is the one that was asked for: without this, each test of the program fails with a refused connect.
#[track_caller]
fn announced_no_port(process: &Process) -> ! {
    Failure::new(format!(
        "{} announces port 0, on which no program can listen.",
        process.name()
    ))
    .detail(
        "0 asks the kernel for a free port, so announce the address that the socket has now"
            .to_owned(),
    )
    .in_transcript(process.transcript())
    .raise()
}

#[track_caller]
fn announced_otherwise(process: &Process, line: &str) -> ! {
    Failure::new(format!(
        "The first line of {} on stdout does not announce where it listens.",
        process.name()
    ))
    .detail("expected something like: listening on 127.0.0.1:8080".to_owned())
    .detail(format!("seen                   : {line}"))
    .in_transcript(process.transcript())
    .raise()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{UnwindSafe, catch_unwind};

    use crate::deadline::PATIENCE;
    use crate::eventually::eventually;
    use crate::proc;
    use crate::test::Test;

    fn shell(script: &str) -> Program {
        Program::new("/bin/sh").args(["-c", script])
    }

    fn message_of(body: impl FnOnce() + UnwindSafe) -> String {
        catch_unwind(body)
            .unwrap_err()
            .downcast_ref::<String>()
            .unwrap()
            .clone()
    }

    #[test]
    fn the_address_is_read_from_the_line() {
        let server = shell("echo listening on 127.0.0.1:4711; sleep 60").serve();
        assert_eq!(server.addr(), "127.0.0.1:4711".parse().unwrap());
        server.expect_alive();
    }

    #[test]
    fn port_zero_is_no_address() {
        let message = message_of(|| {
            let _ = shell("echo listening on 127.0.0.1:0; sleep 60").serve();
        });
        assert!(message.contains("sh announces port 0"), "{message}");
    }

    #[test]
    fn an_early_exit_is_reported_at_once() {
        let message = message_of(|| {
            let _test = Test::begin("Bind before you listen.");
            let _ = shell("echo cannot bind >&2; exit 3").serve();
        });
        for part in [
            "sh ended with exit code 3 before it announced",
            "  | cannot bind",
            "Hint: Bind before",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_blanked_exercise_is_the_headline_of_an_early_exit() {
        let message = message_of(|| {
            let _test = Test::begin("");
            let _ = shell("echo 'not yet implemented: exercise 1.1: listen' >&2; exit 101").serve();
        });
        assert!(
            message.contains("because this is not yet implemented: exercise 1.1: listen"),
            "{message}"
        );
    }

    #[test]
    fn another_first_line_is_shown() {
        let message = message_of(|| {
            let _ = shell("echo hello; sleep 60").serve();
        });
        assert!(message.contains(": hello"), "{message}");
    }

    #[test]
    fn the_whole_group_ends_with_the_server() {
        let server = shell("sleep 1000 & echo $! >&2; echo listening on 127.0.0.1:1; wait").serve();
        let grandchild = server.wait_for_stderr("").trim().to_owned();
        drop(server);
        eventually("the grandchild ends", PATIENCE, || {
            let stat = std::fs::read_to_string(format!("/proc/{grandchild}/stat"));
            stat.map_or(true, |text| text.contains(") Z"))
        });
    }

    #[test]
    fn the_limit_of_open_files_is_set() {
        let finished = shell("ulimit -n; ulimit -Hn").open_files(64).run();
        finished.expect_code(0);
        assert_eq!(finished.stdout, b"64\n64\n");
    }

    #[test]
    fn signals_stop_and_end_a_program() {
        let server = shell("echo listening on 127.0.0.1:1; sleep 1000").serve();
        server.stop();
        assert_eq!(proc::state(server.pid()), 'T');
        server.cont();
        assert_eq!(describe(server.terminate()), "was killed by SIGTERM");
    }

    #[test]
    fn stdin_and_stdout_are_a_conversation() {
        let process = Program::new("/bin/cat").with_stdin().spawn();
        process.send_stdin(b"one\n");
        process.expect_stdout(b"one\n");
        process.send_stdin(b"two\n");
        process.close_stdin();
        process.expect_stdout(b"two\n");
        process.finish().expect_code(0);
    }

    #[test]
    fn wrong_stdout_is_a_difference() {
        let message = message_of(|| {
            let process = Program::new("/bin/echo").arg("abc").spawn();
            process.expect_stdout(b"abd\n");
        });
        assert!(
            message.contains("the first difference is at offset 2"),
            "{message}"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let message = message_of(|| {
            let _ = Program::new("/nowhere/server").spawn();
        });
        assert!(
            message.contains("There is no program at /nowhere/server"),
            "{message}"
        );
    }
}
