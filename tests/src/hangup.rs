//! SIGHUP in tests: a program that a test starts ignores it if the test itself does, as under `nohup(1)`.

use std::fs;

/// Returns whether this process ignores SIGHUP, and prints that it is not tested then (`proc_pid_status(5)`, `SigIgn`).
#[must_use]
pub fn is_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGHUP is signal 1, and signal 1 is bit 0.
    let ignored = mask.is_some_and(|mask| mask & 1 == 1);
    if ignored {
        eprintln!("SIGHUP is skipped: the tests run with it ignored");
    }
    ignored
}
