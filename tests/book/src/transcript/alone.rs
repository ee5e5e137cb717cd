//! Makes a session harmless and repeatable: it has a network of its own, and all its processes end with it, however it ends.

use std::fs;
use std::io;
use std::process::{self, Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getgid, getuid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use course::loopback::raise_loopback;

/// The exit code of a session that a signal has ended.
const EXIT_CODE: i32 = 130;

/// How long the processes that are left may take to end.
const REAP_TIMEOUT: Duration = Duration::from_secs(10);

/// Held while a program is started. A session that ends early keeps it, so that no program is started after the last look.
static STARTS: Mutex<()> = Mutex::new(());

/// Leaves the network of the machine for one with loopback only (`network_namespaces(7)`); while there is one thread.
///
/// A user namespace comes with it (`user_namespaces(7)`), so that no privilege is needed; the user stays the same, and so do
/// the files and processes that it sees.
///
/// # Errors
///
/// Fails if the kernel does not allow it.
pub(super) fn leave_network() -> io::Result<()> {
    let (user, group) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    raise_loopback()
}

/// Makes this process the parent of every orphan of the session (`prctl(2)`), so that [`reap`] finds it.
///
/// # Errors
///
/// Fails if the kernel does not allow it.
pub(super) fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(true)?)
}

/// Ends the session with all its processes on a signal, and when its parent ends first; after [`adopt_orphans`].
///
/// The programs run in process groups of their own, so that neither Ctrl-C nor a signal to our group reaches them.
///
/// # Errors
///
/// Fails if the kernel does not allow it.
pub(super) fn end_on_signals() -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            let _none_starts = starts();
            // The error would be a process that does not end, and then there is no more to be done.
            let _ = kill_children();
            process::exit(EXIT_CODE);
        }
    });
    Ok(set_pdeathsig(Signal::SIGTERM)?)
}

/// Starts a program of the session.
///
/// # Errors
///
/// Fails if it cannot be started.
pub(super) fn start(command: &mut Command) -> io::Result<Child> {
    let _one_starts = starts();
    command.spawn()
}

fn starts() -> MutexGuard<'static, ()> {
    // It guards nothing that could be left half done.
    STARTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills and reaps our children until none is left; does not return if the session ends early.
///
/// # Errors
///
/// Fails if some are still running after [`REAP_TIMEOUT`].
pub(super) fn reap() -> io::Result<()> {
    let _none_starts = starts();
    kill_children()
}

fn kill_children() -> io::Result<()> {
    let deadline = Instant::now() + REAP_TIMEOUT;
    loop {
        for pid in children()? {
            // It may have ended by itself.
            let _ = kill(pid, Signal::SIGKILL);
        }
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(_) => return Ok(()),
            Ok(WaitStatus::StillAlive) => thread::sleep(Duration::from_millis(2)),
            Ok(_) => {}
        }
        if Instant::now() > deadline {
            return Err(io::Error::other("processes of the session do not end"));
        }
    }
}

/// Lists our children, inherited orphans included (`proc_pid_task(5)`).
fn children() -> io::Result<Vec<Pid>> {
    let pid = process::id();
    let text = fs::read_to_string(format!("/proc/self/task/{pid}/children"))?;
    let numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
    Ok(numbers.map(Pid::from_raw).collect())
}
