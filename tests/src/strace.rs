//! Programs under strace, which shows system calls, and lets one fail as another kernel would.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::program::{Program, find_in_path};

/// Returns the path of strace, or prints why the test is skipped.
#[must_use]
pub fn find() -> Option<PathBuf> {
    let found = find_in_path("strace");
    if found.is_none() {
        eprintln!("skipped: strace is not installed");
    }
    found
}

/// Returns a program of which each system call `call` meets `fault`, such as `error=EPERM` (`strace(1)`, tampering);
/// prints why the test is skipped where strace is missing or may not trace.
#[must_use]
pub fn inject(program: &Program, call: &str, fault: &str) -> Option<Program> {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{fault}"));
    behind_strace(program, &["-o", "/dev/null", "-e", &trace, "-e", &inject])
}

/// Returns a program of which each system call `call` is written to a file, a line each (`strace(1)`); prints why the test
/// is skipped where strace is missing or may not trace.
#[must_use]
pub fn record(program: &Program, call: &str, file: &Path) -> Option<Program> {
    let (trace, file) = (format!("trace={call}"), file.display().to_string());
    behind_strace(program, &["-o", &file, "-e", &trace])
}

fn behind_strace(program: &Program, words: &[&str]) -> Option<Program> {
    let strace = find()?;
    // -D makes strace a grandchild: the process that the test knows is the program, and signals reach it.
    let words = [&["-D", "-f", "-qq"], words].concat();
    let tried = Command::new(&strace)
        .args(&words)
        .arg("true")
        .stderr(Stdio::null())
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        eprintln!("skipped: strace may not trace here");
        return None;
    }
    Some(program.clone().behind(&strace, &words))
}
