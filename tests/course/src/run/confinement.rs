//! Shared by both processes of a confinement: the command line, the exit statuses, and the user of a test.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use clap::Args;
use nix::unistd::getuid;

use crate::run::isolation::Isolation;

/// Exit status: the test has exceeded a limit.
pub(super) const TOO_MUCH: u8 = 123;
/// Exit status: the deadline has passed.
pub(super) const TIMED_OUT: u8 = 124;
/// Exit status: the test could not be confined or started.
pub(super) const NOT_STARTED: u8 = 125;

/// The user `nobody`, who owns no files.
pub(super) const NOBODY_UID: u32 = 65534;
/// The first user id for a single test, and how many there are.
const TEST_USERS: (u32, u32) = (20_000, 40_000);
/// How often a child is polled.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(4);
/// Run one test under limits: for the commands of the course, not for people
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct Options {
    /// The deadline
    #[arg(long)]
    pub(super) seconds: u64,

    /// The memory of all processes together, in MiB
    #[arg(long)]
    pub(super) memory: u64,

    /// How far to confine the test
    #[arg(long)]
    pub(super) isolation: Isolation,

    /// A file or folder that stays visible
    #[arg(long)]
    pub(super) read: Vec<PathBuf>,

    /// A folder that stays visible and writable
    #[arg(long)]
    pub(super) write: Vec<PathBuf>,

    /// It is a compiler: it keeps its user, and may have more processes
    #[arg(long)]
    pub(super) build: bool,

    /// The namespaces are there; this is the mount namespace outside of them
    #[arg(long)]
    pub(super) inside: Option<PathBuf>,

    /// The user to become
    #[arg(long)]
    pub(super) user: Option<u32>,

    /// The program and its arguments
    #[arg(required = true, last = true)]
    pub(super) words: Vec<OsString>,
}

/// Returns the user that the test runs as: one of its own where possible, so that the kernel can count its processes.
pub(super) fn user(isolation: Isolation) -> u32 {
    match isolation {
        Isolation::Root | Isolation::OtherUser => TEST_USERS.0 + std::process::id() % TEST_USERS.1,
        Isolation::User | Isolation::SharedProcesses if !getuid().is_root() => getuid().as_raw(),
        Isolation::User | Isolation::SharedProcesses | Isolation::Limits => NOBODY_UID,
    }
}

/// Returns the exit status as a shell would: 128 and the signal's number for a signal.
pub(super) fn code_of(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}
