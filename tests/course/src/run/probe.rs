//! Which isolation this machine allows, found out by trying.

use std::process::Stdio;

use nix::unistd::geteuid;

use crate::run::guard::Guard;
use crate::run::isolation::Isolation;

impl Guard {
    /// Creates a guard with limits, a deadline, and the strongest isolation that the kernel allows: for the code of others.
    pub(crate) fn strict() -> Self {
        Self::with_isolation(strongest())
    }
}

/// Returns the strongest isolation that works here.
fn strongest() -> Isolation {
    let all = [
        Isolation::Root,
        Isolation::User,
        Isolation::SharedProcesses,
        Isolation::OtherUser,
    ];
    all.into_iter()
        .filter(|one| !one.needs_root() || geteuid().is_root())
        .find(|one| works(*one))
        .unwrap_or(Isolation::Limits)
}

/// Returns whether our own program runs in that isolation.
///
/// Our own, because it is in the same folder as the tests, which another user may not be allowed to enter.
fn works(isolation: Isolation) -> bool {
    let guard = Guard::with_isolation(isolation);
    let Ok(ourselves) = std::env::current_exe() else {
        return false;
    };
    let status = guard
        .command(&ourselves, &[&ourselves], &["--version"])
        // Our working directory may be hidden in there.
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
