//! `course confine`: the processes between us and a test, which shut it in, watch it and bury it.
//!
//! ```text
//!   grade ──▶ confine ──▶ confine --inside ──▶ the test ──▶ its programs
//!             makes the   first process of      another user, limits
//!             namespaces  the namespace: when
//!                         it ends, all end
//! ```
//!
//! They are processes of their own because limits and namespaces can only be set from inside without unsafe code. Each
//! dies with the one before it (`PR_SET_PDEATHSIG`): whoever ends the grading, in whichever way, leaves nothing behind.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getuid;

use crate::run::isolation::Isolation;
use crate::run::{inside, namespace};

/// The exit status that says: the test has taken more than it may.
pub(super) const TOO_MUCH: u8 = 123;
/// The exit status that says: the deadline has passed.
pub(super) const TIMED_OUT: u8 = 124;
/// The exit status that says: the test could not be started as it should be.
pub(super) const NOT_STARTED: u8 = 125;

/// A user who owns nothing.
pub(super) const NOBODY: u32 = 65534;
/// Where users begin who are made for one test, and how many there are.
const TEST_USERS: (u32, u32) = (20_000, 40_000);
/// How often a child is looked after.
pub(super) const LOOK: Duration = Duration::from_millis(4);
/// How much longer the process inside may take than its deadline says.
const GRACE: Duration = Duration::from_secs(15);

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

    /// How far to shut the test in
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

/// Runs the test and returns its exit status, or one of ours.
pub(crate) fn run(options: &Options) -> ExitCode {
    match confined(options) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("cannot run the test under limits: {error}");
            ExitCode::from(NOT_STARTED)
        }
    }
}

fn confined(options: &Options) -> io::Result<u8> {
    if options.inside.is_some() || options.isolation.namespaces().is_empty() {
        return inside::run(options);
    }
    set_pdeathsig(Signal::SIGKILL)?;
    let user = format!("--user={}", user(options.isolation));
    let inside = format!("--inside={}", namespace::of_mounts()?.display());
    namespace::make(options.isolation)?;
    let mut arguments: Vec<_> = env::args_os().skip(1).collect();
    arguments.splice(1..1, [inside.into(), user.into()]);
    let mut child = Command::new("/proc/self/exe").args(arguments).spawn()?;
    let deadline = Instant::now() + Duration::from_secs(options.seconds) + GRACE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(code_of(status));
        }
        thread::sleep(LOOK);
    }
    child.kill()?;
    child.wait()?;
    Ok(TIMED_OUT)
}

/// Chooses whom the test runs as: nobody else, so that the kernel can count what it has.
pub(super) fn user(isolation: Isolation) -> u32 {
    match isolation {
        Isolation::Root | Isolation::OtherUser => TEST_USERS.0 + std::process::id() % TEST_USERS.1,
        Isolation::User | Isolation::SharedProcesses if !getuid().is_root() => getuid().as_raw(),
        Isolation::User | Isolation::SharedProcesses | Isolation::Limits => NOBODY,
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
