//! The command line of every program in this course: its log, its signals, its exit status.
//!
//! Standard output carries one line for scripts (`listening on ADDR:PORT`), standard error carries
//! the log for people, and the exit status says how it ended: 0 after a clean stop, 1 after a
//! failure, 2 after bad arguments (which clap reports by itself).

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use nix::sys::signal::{SigSet, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::log::LogWriter;

/// Starts logging to standard error; `RUST_LOG` chooses how much, the default is `info`.
///
/// Write `RUST_LOG=debug`, or `RUST_LOG=info,stage4_proxy=trace` for one crate alone.
///
/// Logging never makes the program wait: lines are dropped, and counted, while standard error is
/// not read. A second call has no effect, and a `RUST_LOG` that cannot be parsed counts as not set.
pub fn start_logging() {
    let asked = std::env::var("RUST_LOG")
        .ok()
        .and_then(|text| text.parse().ok());
    let filter: Targets = asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(LogWriter::default)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
    let started = tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .try_init();
    if started.is_err() {
        tracing::debug!("logging was already started");
    }
}

/// Prints the line `listening on ADDRESS` on standard output and flushes it; the address is `ADDR:PORT`, or
/// `unix:PATH` in later stages.
///
/// Scripts and tests wait for this line, so call it after `listen(2)` and only once. A reader that
/// has gone away does not stop the server.
pub fn announce(address: impl Display) {
    let mut stdout = io::stdout().lock();
    let printed = writeln!(stdout, "listening on {address}").and_then(|()| stdout.flush());
    if let Err(error) = printed {
        tracing::warn!("cannot print the address {address}: {error}");
    }
}

/// Turns the result of a program into its exit status, after one sentence on standard error.
///
/// The sentence is `NAME: error: source: source`, with every source of the error in its place.
pub fn finish(result: Result<(), impl Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let sentence = format!("{}: {}\n", program_name(), chain_of_sources(&error));
            // If standard error is closed, the exit status still reports the failure.
            drop(io::stderr().write_all(sentence.as_bytes()));
            ExitCode::FAILURE
        }
    }
}

/// Puts what the program could not do in front of the kernel's reason, for the sentence of [`finish`].
///
/// "Operation not permitted" alone does not say what was not permitted.
pub fn cannot(what: &str) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("cannot {what}: {error}"))
}

/// Ends the program with status 0 when SIGINT, SIGTERM or SIGHUP arrives, from a thread of its own.
///
/// This suits a program that blocks in system calls and has nothing to put in order. Later stages
/// wake their event loop instead.
///
/// # Errors
/// Fails as [`on_signals`] does.
pub fn exit_on_signals() -> io::Result<()> {
    on_signals(|signal, _| {
        tracing::info!("stopping on signal {signal}");
        std::process::exit(0)
    })
}

/// Calls `act` on each SIGINT and SIGTERM, from a thread of its own, with the signal's number and how
/// many came before it.
///
/// SIGHUP says that the terminal has closed. It counts if it is the first signal, and is ignored after
/// another one, because it often comes twice: from the kernel and from the shell. A program that was started to
/// ignore it, as `nohup` does, goes on ignoring it.
///
/// A signal may interrupt the program between any two instructions, and only a few functions are
/// safe to call there (`signal-safety(7)`). So the handler does nearly nothing: it
/// notes the signal and wakes a thread, which may call any function.
///
/// All signals are unblocked for the calling thread: a program inherits its signal mask, and a
/// parent that has blocked them would leave only SIGKILL (`signal(7)`, execve(2) keeps the mask).
///
/// # Errors
/// Fails if the signal handlers cannot be installed (`sigaction(2)`), or no thread can be started.
pub fn on_signals(mut act: impl FnMut(i32, usize) + Send + 'static) -> io::Result<()> {
    let mut earlier = 0;
    await_signals(&signals_to_handle(), move |signal| {
        if signal != SIGHUP || earlier == 0 {
            act(signal, earlier);
            earlier += 1;
        }
    })
}

/// Calls `act` as [`on_signals`] does, but on SIGINT and SIGTERM only, and `reload` on each SIGHUP, which then says
/// that a file has changed: the old convention of daemons, which have no terminal that could close.
///
/// SIGHUP gets its handler also if the program was started to ignore it, because it ends nothing.
///
/// # Errors
/// Fails as [`on_signals`] does.
pub fn on_signals_and_hangup(
    mut reload: impl FnMut() + Send + 'static,
    mut act: impl FnMut(i32, usize) + Send + 'static,
) -> io::Result<()> {
    let mut earlier = 0;
    await_signals(&[SIGINT, SIGTERM, SIGHUP], move |signal| {
        if signal == SIGHUP {
            reload();
        } else {
            act(signal, earlier);
            earlier += 1;
        }
    })
}

/// Installs handlers for these signals, and calls `act` on each from a thread of its own.
fn await_signals(signals: &[i32], mut act: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
    let signals = Signals::new(signals);
    let mut signals = signals.map_err(cannot("install the signal handlers"))?;
    let wait = move || signals.forever().for_each(&mut act);
    // Only now, because a signal that is already pending arrives here and must meet the handler.
    SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]).thread_unblock()?;
    let thread = thread::Builder::new().name("signals".to_owned());
    let thread = thread.spawn(wait);
    thread
        .map(drop)
        .map_err(cannot("start the thread for signals"))
}

/// Returns the signals that get a handler: without SIGHUP if it is ignored, because a handler would undo
/// that.
fn signals_to_handle() -> Vec<i32> {
    // sigaction(2) could tell, too, but calling it is unsafe in Rust.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if ignores(&status, SIGHUP) {
        vec![SIGINT, SIGTERM]
    } else {
        vec![SIGINT, SIGTERM, SIGHUP]
    }
}

/// Returns whether `/proc/PID/status` says that a signal is ignored (`proc_pid_status(5)`, `SigIgn`).
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Bit 0 is signal 1.
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

fn program_name() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&path).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn chain_of_sources(error: &dyn Error) -> String {
    let mut sentence = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        sentence.push_str(": ");
        sentence.push_str(&cause.to_string());
        source = cause.source();
    }
    sentence
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the kettle is cold")]
    struct Cold(#[source] io::Error);

    #[test]
    fn every_source_has_its_place_in_the_sentence() {
        let error = Cold(io::Error::other("no power"));
        assert_eq!(chain_of_sources(&error), "the kettle is cold: no power");
    }

    #[test]
    fn an_error_says_what_could_not_be_done() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = cannot("boil water")(denied);
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(error.to_string(), "cannot boil water: permission denied");
    }

    #[test]
    fn a_program_has_the_name_of_its_file() {
        let path = std::env::current_exe().unwrap();
        let name = path.file_name().and_then(OsStr::to_str);
        assert_eq!(Some(program_name().as_str()), name);
    }

    #[test]
    fn ignored_signals_are_bits_from_one_on() {
        let status = "Name:\tx\nSigIgn:\t0000000000001003\nSigCgt:\t0000000000000000\n";
        let ignored = (1..=64).filter(|&signal| ignores(status, signal));
        assert_eq!(ignored.collect::<Vec<_>>(), [1, 2, 13]);
        assert!(!ignores("", SIGHUP));
    }

    #[test]
    fn logging_can_be_started_twice() {
        start_logging();
        start_logging();
        assert!(tracing::dispatcher::has_been_set());
    }
}
