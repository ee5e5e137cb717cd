//! The proof that a test has come to its end: a secret that it gets, and that it tells only then.
//!
//! A test process that prints `test result: ok` and ends with 0 may have been ended by the code under test. The secret
//! comes through stdin; `Test::begin` of the harness reads it before any code under test runs, and the end of a test
//! that has not failed writes it out.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, PipeReader, Read as _, Write as _};

/// The variable that tells the harness that there is a secret on stdin.
pub(super) const VARIABLE: &str = "COURSE_SECRET_ON_STDIN";
/// What stands in front of the secret at the end of a test.
const MARK: &str = "the test has come to its end: ";

/// A secret of one run.
#[derive(Debug)]
pub(super) struct Secret(String);

impl Secret {
    /// Takes random bytes from the kernel.
    ///
    /// # Errors
    /// When there are none.
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

    /// Returns a stdin that brings the secret and then ends.
    ///
    /// # Errors
    /// When there is no pipe.
    pub(super) fn stdin(&self) -> io::Result<PipeReader> {
        let (reader, mut writer) = io::pipe()?;
        writer.write_all(self.0.as_bytes())?;
        Ok(reader)
    }

    /// Says whether the secret was told.
    pub(super) fn is_told(&self, output: &str) -> bool {
        output.contains(&format!("{MARK}{}", self.0))
    }
}

/// Says whether a line is there for the secret only.
pub(super) fn is_mark(line: &str) -> bool {
    line.starts_with(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_in_and_only_that_one_counts() {
        let (secret, other) = (Secret::new().unwrap(), Secret::new().unwrap());
        let mut text = String::new();
        secret.stdin().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text.len(), 32);
        assert!(secret.is_told(&format!("x\n{MARK}{text}\ny")));
        assert!(!other.is_told(&format!("{MARK}{text}")));
        assert!(!secret.is_told(&text));
    }
}
