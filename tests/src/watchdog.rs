//! An end also for tests that never end: code under test may loop or block for ever inside the test process.

use std::io::Write;
use std::process;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use crate::deadline::{Deadline, PATIENCE};
use crate::failure::Failure;
use crate::transcript::Transcript;

/// How long one test may take altogether, before scaling; an honest one takes less than 10 seconds.
const LIMIT: Duration = Duration::from_secs(60);
/// The exit code of a test that did not end, as timeout(1) has it: who grades tells it from a failure.
const TIMED_OUT: i32 = 124;

/// Ends the whole test process when one test takes far too long; dropping it calls it off.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// The thread notices when this is dropped.
    _leash: Sender<()>,
}

impl Watchdog {
    pub(crate) fn watch(transcript: &Transcript) -> Self {
        let (leash, ended) = mpsc::channel();
        let (transcript, name) = (transcript.clone(), test_name());
        thread::spawn(move || {
            let deadline = Deadline::after(LIMIT);
            if deadline.receive(&ended) == Err(RecvTimeoutError::Timeout) {
                let limit = deadline.allowed();
                let report = transcript.report();
                let text = format!(
                    "\n{name} did not end within {limit:?}: some call in it never returns, or it loops.\n{report}\n"
                );
                // Not by eprintln, which the test runner captures; nobody is left to hear of a failure.
                let _ = std::io::stderr().write_all(text.as_bytes());
                process::exit(TIMED_OUT);
            }
        });
        Self { _leash: leash }
    }
}

fn test_name() -> String {
    thread::current().name().unwrap_or("a test").to_owned()
}

/// Runs `work` on a thread of its own and returns its result, for calls that a wrong solution never returns from.
///
/// # Panics
///
/// Panics if `work` does not return within [`PATIENCE`] (its thread is left behind), or panics.
#[track_caller]
pub fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    let transcript = Transcript::current();
    thread::spawn(move || {
        transcript.enter();
        // Nobody listens any more when it came too late.
        let _ = done.send(work());
    });
    match Deadline::patience().receive(&result) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => {
            Failure::new(format!("{what} did not return within {PATIENCE:?}.")).raise()
        }
        Err(RecvTimeoutError::Disconnected) => Failure::new(format!("{what} panicked.")).raise(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_comes_back() {
        assert_eq!(in_time("seven", || 7), 7);
    }

    #[test]
    #[should_panic(expected = "a bad idea panicked.")]
    fn a_panic_comes_back() {
        in_time("a bad idea", || panic!("no"));
    }
}
