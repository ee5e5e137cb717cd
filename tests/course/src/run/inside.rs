//! The parent of a test: it sets limits, starts the test, watches it, and kills all processes that the test leaves behind.
//!
//! It is the first process of the test's namespace, or else a subreaper (`prctl(2)`): it inherits every orphan.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::prctl::{set_child_subreaper, set_no_new_privs, set_pdeathsig};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::run::confinement::{
    NOBODY_UID, Options, POLL_INTERVAL, TIMED_OUT, TOO_MUCH, code_of, user,
};
use crate::run::isolation::Isolation;
use crate::run::watch::{Watch, descendants};
use crate::run::{namespace, view};
use course::loopback::raise_loopback;

/// The size of the largest file that a test may write.
const FILE_BYTES: u64 = 1 << 30;
/// The memory that a process may write to. Its address space is not bounded: browsers reserve thousands of gigabytes.
const DATA_BYTES: u64 = 4 << 30;
/// Processes and threads of a user, where the kernel counts them for this test alone; root is not bound (`getrlimit(2)`).
const PROCESSES: u64 = 4096;
/// How many processes are killed at a time.
const MANY: usize = 10_000;
/// How long killed processes may take to end.
const REAP_TIMEOUT: Duration = Duration::from_secs(10);

/// How a test has ended.
enum End {
    Code(u8),
    TimedOut,
    TooMuch(String),
    Cancelled,
}

/// Runs the test to its end and returns its exit status, or one of ours.
///
/// # Errors
///
/// Fails if the test cannot be confined or started, or its processes cannot be killed.
pub(super) fn run(options: &Options) -> io::Result<u8> {
    let cancelled = end_with_parent(options.isolation)?;
    let folder = std::env::current_dir()?;
    let proc = restrict(options)?;
    std::env::set_current_dir(&folder)?;
    set_child_subreaper(true)?;
    set_no_new_privs()?;
    set_limits(options)?;
    let mut command = Command::new(&options.words[0]);
    command.args(&options.words[1..]).process_group(0);
    drop_privileges(&mut command, options, proc.as_ref())?;
    let mut child = command.spawn()?;
    let end = wait(&mut child, options, &cancelled);
    // Not needed in a PID namespace, because the kernel kills all its processes when the first one ends.
    if !options.isolation.hides_processes() {
        reap(&child)?;
    }
    Ok(match end {
        End::Code(code) => code,
        End::TimedOut | End::Cancelled => TIMED_OUT,
        End::TooMuch(what) => {
            eprintln!("The test was ended: it had {what}.");
            TOO_MUCH
        }
    })
}

/// Asks the kernel for a signal when our parent ends.
///
/// SIGKILL is enough for the first process of a PID namespace, because the kernel kills the others with it. Outside of one,
/// SIGTERM leaves us time to kill them.
fn end_with_parent(isolation: Isolation) -> io::Result<Arc<AtomicBool>> {
    let cancelled = Arc::new(AtomicBool::new(false));
    if isolation.hides_processes() {
        set_pdeathsig(Signal::SIGKILL)?;
    } else {
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&cancelled))?;
        }
        set_pdeathsig(Signal::SIGTERM)?;
    }
    Ok(cancelled)
}

/// Takes network and files away where there are namespaces; returns a writable `/proc`.
fn restrict(options: &Options) -> io::Result<Option<File>> {
    if options.isolation.namespaces().is_empty() {
        return Ok(None);
    }
    // Checked first, because unmounting in the machine's own namespace would take away its files.
    let own = namespace::of_mounts()?;
    if options
        .inside
        .as_ref()
        .is_none_or(|outside| *outside == own)
    {
        return Err(io::Error::other("there is no mount namespace to restrict"));
    }
    raise_loopback()?;
    view::restrict(&options.read, &options.write, options.isolation).map(Some)
}

/// Runs the test as an unprivileged user; a compiler keeps its user, because it must write to the target folder.
fn drop_privileges(
    command: &mut Command,
    options: &Options,
    proc: Option<&File>,
) -> io::Result<()> {
    let user = options.user.unwrap_or_else(|| user(options.isolation));
    match (options.isolation, proc) {
        (Isolation::User | Isolation::SharedProcesses, Some(proc)) => {
            namespace::drop_privileges(user, proc)?;
        }
        (Isolation::Root | Isolation::OtherUser, _) if !options.build => {
            command.uid(user).gid(user);
        }
        (_, _) => {}
    }
    Ok(())
}

fn set_limits(options: &Options) -> io::Result<()> {
    let cpu = 2 * options.seconds + 10;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    if options.build {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_CPU, cpu, cpu)?;
    setrlimit(Resource::RLIMIT_FSIZE, FILE_BYTES, FILE_BYTES)?;
    setrlimit(Resource::RLIMIT_DATA, DATA_BYTES, DATA_BYTES)?;
    // Only here, because elsewhere the kernel also counts the user's other processes; the watch counts in any case.
    let is_ordinary = options.isolation == Isolation::User && options.user != Some(NOBODY_UID);
    if options.isolation.bounds_processes() || is_ordinary {
        setrlimit(Resource::RLIMIT_NPROC, PROCESSES, PROCESSES)?;
    }
    Ok(())
}

/// Waits until the child ends, the deadline passes, the watch finds too much, or our parent ends.
fn wait(child: &mut Child, options: &Options, cancelled: &AtomicBool) -> End {
    let deadline = Instant::now() + Duration::from_secs(options.seconds);
    let mut watch = Watch::new(options.memory, options.build);
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return End::Code(code_of(status));
        }
        if cancelled.load(Ordering::Relaxed) {
            return End::Cancelled;
        }
        if let Some(what) = watch.look() {
            return End::TooMuch(what);
        }
        thread::sleep(POLL_INTERVAL);
    }
    End::TimedOut
}

/// Kills and reaps the child's group and every orphan, until none is left.
///
/// All are stopped before the first is killed, because a process that still runs could start others meanwhile.
fn reap(child: &Child) -> io::Result<()> {
    let deadline = Instant::now() + REAP_TIMEOUT;
    let group = Pid::from_raw(child.id().cast_signed());
    // Both fail if the group has no process left.
    let _ = killpg(group, Signal::SIGSTOP);
    let _ = killpg(group, Signal::SIGKILL);
    loop {
        let left = descendants(MANY);
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            for pid in &left {
                let _ = kill(Pid::from_raw(*pid), signal);
            }
        }
        // Zombies are reaped before the next walk, because there may be thousands.
        let last = loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => break Some(()),
                Err(_) => break None,
                Ok(_) => {}
            }
        };
        if last.is_none() {
            return Ok(());
        }
        thread::sleep(POLL_INTERVAL);
        if Instant::now() > deadline {
            return Err(io::Error::other("processes of the test do not end"));
        }
    }
}
