//! The beginning and the end of a test: transcript, watchdog, verdict.

use std::thread;

use crate::proc;
use crate::transcript::Transcript;
use crate::verdict;
use crate::watchdog::Watchdog;

/// A running test: it has a fresh transcript with a hint, and prints the report even if a plain `assert!` fails.
///
/// Keep it in a variable that is declared before all others: it is then dropped last, after every server has been
/// killed and its stderr has been read.
#[derive(Debug)]
pub struct Test {
    transcript: Transcript,
    _watchdog: Watchdog,
}

impl Test {
    /// Begins a test whose failure ends with `hint`.
    #[must_use = "the transcript ends when this is dropped"]
    pub fn begin(hint: &str) -> Self {
        // First of all, because the secret must be read before any code under test runs.
        verdict::expect();
        proc::raise_open_files_limit();
        let transcript = Transcript::begin(hint);
        let _watchdog = Watchdog::watch(&transcript);
        Self {
            transcript,
            _watchdog,
        }
    }

    /// Returns the test's transcript.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Adds a step in the test's own words.
    pub fn note(&self, text: impl Into<String>) {
        self.transcript.step(text);
    }
}

impl Drop for Test {
    fn drop(&mut self) {
        if thread::panicking() && !self.transcript.mark_reported() {
            eprintln!("{}", self.transcript.report());
        }
        Transcript::leave();
        if !thread::panicking() {
            verdict::tell();
        }
    }
}
