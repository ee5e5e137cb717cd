//! The proof that a test has reached its end: a secret that only the test and the grader know.
//!
//! `test result: ok` and exit code 0 prove little, because the code under test runs in the same process and may print the
//! one and exit with the other. So the grader sends a secret through stdin. The harness reads it before any code under test
//! runs, and prints it if the test reaches its end and has not failed. Meanwhile no other code can read it: the pipe is
//! empty, and the memory of the process is closed to others (`PR_SET_DUMPABLE`), and through `/proc/self/mem` even to itself.

use std::env;
use std::io::{self, Read, Write};
use std::sync::OnceLock;

/// Set by `cargo course grade` if there is a secret on stdin.
const VARIABLE: &str = "COURSE_SECRET_ON_STDIN";
/// The most bytes of a secret.
const LONGEST: u64 = 256;

static SECRET: OnceLock<Option<String>> = OnceLock::new();

/// Closes the memory of this process to others and, through `/proc/self/mem`, to itself (`PR_SET_DUMPABLE`).
pub fn hide_memory() {
    // This may fail, and then the secret is only a little less safe.
    let _ = nix::sys::prctl::set_dumpable(false);
}

/// Reads the secret, at the beginning of the first test of this process.
pub(crate) fn expect() {
    SECRET.get_or_init(|| {
        env::var_os(VARIABLE)?;
        hide_memory();
        let mut text = String::new();
        io::stdin().take(LONGEST).read_to_string(&mut text).ok()?;
        Some(text)
    });
}

/// Prints the secret, because a test has reached its end and has not failed.
pub(crate) fn tell() {
    if let Some(Some(secret)) = SECRET.get() {
        // Not with println, because a test runner may capture that. An error means that no grader reads stdout.
        let line = format!("\nthe test has come to its end: {secret}\n");
        let _ = io::stdout().write_all(line.as_bytes());
        let _ = io::stdout().flush();
    }
}
