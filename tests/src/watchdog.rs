//! A time limit for each test, because the code under test may loop or block forever inside the test process.

use std::io::Write;
use std::process;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use crate::deadline::{Deadline, PATIENCE};
use crate::failure::Failure;
use crate::transcript::Transcript;

/// How long one test may take altogether, before scaling; a correct solution needs less than 10 seconds.
const LIMIT: Duration = Duration::from_secs(60);
/// The exit code of a test that did not end, the same as of timeout(1), so that the grader can tell it from a failure.
const TIMED_OUT: i32 = 124;

/// Ends the whole test process if one test takes far too long; dropping it cancels that.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// Dropping it disconnects the channel on which the thread waits.
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
                    "\n{name} did not end within {limit:?}: a call in it never returns, or a loop in it never ends.\n{report}\n"
                );
                // Not with eprintln, because the test runner captures that and is killed with this process.
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

/// Runs `work` on a thread of its own and returns its result, for a call that never returns in a wrong solution.
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
        // This fails if the result is too late, and then the test has already failed.
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
