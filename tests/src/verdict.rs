//! How a test that comes to its end says so to whoever grades it: with a secret that only the two know.
//!
//! `test result: ok` and exit code 0 prove little, since the code under test runs in the same process and may print the one
//! and end with the other. Who grades sends a secret through stdin. It is read before any code under test runs, and told
//! when the test is over and has not failed. Nobody else can read it meanwhile: the pipe is empty, and the process
//! is closed to the eyes of others (`PR_SET_DUMPABLE`), even to its own through `/proc/self/mem`.

use std::env;
use std::io::{self, Read, Write};
use std::sync::OnceLock;

/// Set by `cargo course grade` when there is a secret on stdin.
const VARIABLE: &str = "COURSE_SECRET_ON_STDIN";
/// No secret is longer.
const LONGEST: u64 = 256;

static SECRET: OnceLock<Option<String>> = OnceLock::new();

/// Takes the secret, at the beginning of the first test of this process.
pub(crate) fn expect() {
    SECRET.get_or_init(|| {
        env::var_os(VARIABLE)?;
        // Without it the secret is only a little less safe.
        let _ = nix::sys::prctl::set_dumpable(false);
        let mut text = String::new();
        io::stdin().take(LONGEST).read_to_string(&mut text).ok()?;
        Some(text)
    });
}

/// Tells the secret: a test has come to its end and has not failed.
pub(crate) fn tell() {
    if let Some(Some(secret)) = SECRET.get() {
        // Not by println, which a test runner may capture. Whoever cannot hear it does not grade.
        let line = format!("\nthe test has come to its end: {secret}\n");
        let _ = io::stdout().write_all(line.as_bytes());
        let _ = io::stdout().flush();
    }
}
