//! The nonce of a run: random bytes that a test reads at its start and prints at its end, as a proof that it got there.
//!
//! `test result: ok` and exit status 0 prove little, because the code under test may print the one and exit with the other.
//! The nonce comes through stdin; `Test::begin` of the harness reads it before any code under test runs, and the end of a
//! test that has not failed prints it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, PipeReader, Read as _, Write as _};

/// The variable that tells the harness that there is a nonce on stdin.
pub(super) const VARIABLE: &str = "COURSE_SECRET_ON_STDIN";
/// The words before the nonce at the end of a test.
const MARK: &str = "the test has come to its end: ";

/// The nonce of one run, in hexadecimal.
#[derive(Debug)]
pub(super) struct Nonce(String);

impl Nonce {
    /// Creates a nonce from the kernel's random bytes.
    ///
    /// # Errors
    ///
    /// Fails if `/dev/urandom` cannot be read.
    pub(super) fn new() -> io::Result<Self> {
        let mut bytes = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let mut text = String::new();
        for byte in bytes {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Self(text))
    }

    /// Returns a stdin that has the nonce and then ends.
    ///
    /// # Errors
    ///
    /// Fails if no pipe can be created.
    pub(super) fn stdin(&self) -> io::Result<PipeReader> {
        let (reader, mut writer) = io::pipe()?;
        writer.write_all(self.0.as_bytes())?;
        Ok(reader)
    }

    /// Returns whether the output has the nonce.
    pub(super) fn is_printed(&self, output: &str) -> bool {
        output.contains(&format!("{MARK}{}", self.0))
    }
}

/// Returns whether a line is there for the nonce only.
pub(super) fn is_mark(line: &str) -> bool {
    line.starts_with(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nonce_of_the_run_counts() {
        let (nonce, other) = (Nonce::new().unwrap(), Nonce::new().unwrap());
        let mut text = String::new();
        nonce.stdin().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text.len(), 32);
        assert!(nonce.is_printed(&format!("x\n{MARK}{text}\ny")));
        assert!(!other.is_printed(&format!("{MARK}{text}")));
        assert!(!nonce.is_printed(&text));
    }
}
