//! `course confine`: the process between us and a test, which it bounds, watches and buries.
//!
//! It is a process of its own because limits and namespaces can only be set from inside without unsafe code, and because
//! a subreaper (`prctl(2)`) inherits every orphan of the test: whatever escapes from the process group ends here.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getuid};

use super::isolate;

/// The exit status that says: the deadline has passed.
pub(super) const TIMED_OUT: u8 = 124;
/// The exit status that says: the test could not be started as it should be.
pub(super) const NOT_STARTED: u8 = 125;

/// The size of the largest file that a test may write.
const FILE_BYTES: u64 = 1 << 30;
/// The memory that a process may write to. Its address space is not bounded: browsers reserve thousands of gigabytes.
const DATA_BYTES: u64 = 8 << 30;
/// Processes and threads of an ordinary user; root is not bound by this limit (`getrlimit(2)`).
const PROCESSES: u64 = 4096;
/// How often the child is looked after.
const LOOK: Duration = Duration::from_millis(4);
/// How long everything that is left may take to die.
const BURIAL: Duration = Duration::from_secs(10);

/// Run one test under limits: for the commands of the course, not for people
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct Options {
    /// The deadline
    #[arg(long)]
    seconds: u64,

    /// Shut out the network; loopback stays
    #[arg(long)]
    no_network: bool,

    /// The program and its arguments
    #[arg(required = true, last = true)]
    words: Vec<OsString>,
}

/// Runs the test and returns its exit status, or one of ours.
pub(crate) fn run(options: &Options) -> ExitCode {
    match confined(options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cannot run the test under limits: {error}");
            ExitCode::from(NOT_STARTED)
        }
    }
}

fn confined(options: &Options) -> io::Result<ExitCode> {
    if options.no_network {
        isolate::leave_network()?;
    }
    set_limits(options.seconds)?;
    set_child_subreaper(true)?;
    let mut command = Command::new(&options.words[0]);
    let mut child = command.args(&options.words[1..]).process_group(0).spawn()?;
    let ended = wait(&mut child, Duration::from_secs(options.seconds));
    bury(&child)?;
    Ok(match ended {
        None => ExitCode::from(TIMED_OUT),
        Some(status) => ExitCode::from(code_of(status)),
    })
}

fn set_limits(seconds: u64) -> io::Result<()> {
    let cpu = 2 * seconds + 10;
    setrlimit(Resource::RLIMIT_CPU, cpu, cpu)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_FSIZE, FILE_BYTES, FILE_BYTES)?;
    setrlimit(Resource::RLIMIT_DATA, DATA_BYTES, DATA_BYTES)?;
    if !getuid().is_root() {
        setrlimit(Resource::RLIMIT_NPROC, PROCESSES, PROCESSES)?;
    }
    Ok(())
}

/// Waits for the child's end; `None` when the deadline has passed.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        thread::sleep(LOOK);
    }
    None
}

/// Kills the child's group and every orphan, again and again until none is left.
fn bury(child: &Child) -> io::Result<()> {
    let deadline = Instant::now() + BURIAL;
    // Fails when nobody is left in the group.
    let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
    loop {
        for pid in children()? {
            let _ = kill(pid, Signal::SIGKILL);
        }
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(_) => return Ok(()),
            Ok(WaitStatus::StillAlive) => thread::sleep(LOOK),
            Ok(_) => {}
        }
        if Instant::now() > deadline {
            return Err(io::Error::other("processes of the test do not die"));
        }
    }
}

/// Lists our children, orphans that we have inherited among them (`proc_pid_task(5)`).
fn children() -> io::Result<Vec<Pid>> {
    let pid = std::process::id();
    let text = fs::read_to_string(format!("/proc/self/task/{pid}/children"))?;
    let numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
    Ok(numbers.map(Pid::from_raw).collect())
}

/// Returns the exit status as a shell would: 128 and the signal's number for a signal.
fn code_of(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}
