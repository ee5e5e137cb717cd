//! A program that has ended: its exit code and its output.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::sys::signal::Signal;

use crate::diff;
use crate::failure::Failure;

/// A program that has ended, with all its output.
#[derive(Clone, Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Everything that it wrote to stdout.
    pub stdout: Vec<u8>,
    /// Everything that it wrote to stderr.
    pub stderr: String,
}

impl Finished {
    /// Checks the exit code.
    ///
    /// # Panics
    ///
    /// Panics if it is another one, or a signal killed the program.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        if self.status.code() != Some(code) {
            Failure::new(format!(
                "The exit code must be {code}, but the program {}.",
                describe(self.status)
            ))
            .detail(format!("stdout: {}", diff::preview(&self.stdout)))
            .raise();
        }
        self
    }

    /// Checks that stderr is one line, not a panic, and contains each of `words`, in capitals or not: the kernel's own
    /// words begin with one.
    ///
    /// # Panics
    ///
    /// Panics if it is not; the message shows stderr.
    #[track_caller]
    pub fn expect_one_sentence(&self, words: &[&str]) -> &Self {
        let lines: Vec<&str> = self
            .stderr
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let written = self.stderr.to_lowercase();
        let missing: Vec<_> = words
            .iter()
            .filter(|word| !written.contains(&word.to_lowercase()))
            .collect();
        if lines.len() != 1 || !missing.is_empty() || self.stderr.contains("panicked") {
            Failure::new("The program must say in one clear sentence on stderr why it ends.")
                .detail(format!(
                    "words that the sentence must contain: {words:?}; missing: {missing:?}"
                ))
                .detail(format!("it wrote {} lines", lines.len()))
                .raise();
        }
        self
    }
}

/// Describes how a program ended.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(number)) => {
            let name = Signal::try_from(number).map_or("an unknown signal", Signal::as_str);
            format!("was killed by {name}")
        }
        (None, None) => format!("ended with {status}"),
    }
}
