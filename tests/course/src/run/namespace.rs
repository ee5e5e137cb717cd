//! Namespaces (`namespaces(7)`): a network with loopback only, and own processes, mounts and users.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use nix::fcntl::{OFlag, openat};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{getgid, getuid};

use crate::run::isolation::Isolation;

/// Creates the namespaces of an isolation; must be called while the process has one thread.
///
/// A user namespace has a root of its own (`user_namespaces(7)`), which may set up the others and nothing else.
///
/// # Errors
///
/// Fails if the kernel does not allow it.
pub(super) fn make(isolation: Isolation) -> io::Result<()> {
    let flags = isolation.namespaces();
    let ids = (getuid().as_raw(), getgid().as_raw());
    unshare(flags)?;
    if flags.contains(CloneFlags::CLONE_NEWUSER) {
        map(&File::open("/proc")?, 0, ids)?;
    }
    Ok(())
}

/// Returns the name of our mount namespace: `mnt:[4026531832]` (`namespaces(7)`).
///
/// # Errors
///
/// Fails if there is no `/proc`.
pub(super) fn of_mounts() -> io::Result<PathBuf> {
    fs::read_link("/proc/self/ns/mnt")
}

/// Gives up root of the user namespace: in a further one, we and our children are the unprivileged `user`.
///
/// `proc` is a writable `/proc`.
///
/// # Errors
///
/// Fails if the kernel does not allow it.
pub(super) fn drop_privileges(user: u32, proc: &File) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)?;
    map(proc, user, (0, 0))
}

/// Maps our user in a new user namespace; `outside` are our user and group outside of it.
fn map(proc: &File, inside: u32, outside: (u32, u32)) -> io::Result<()> {
    let write = |name: &str, text: &str| -> io::Result<()> {
        let path = format!("self/{name}");
        let file = openat(proc, path.as_str(), OFlag::O_WRONLY, Mode::empty())?;
        File::from(file).write_all(text.as_bytes())
    };
    write("setgroups", "deny")?;
    write("uid_map", &format!("{inside} {} 1", outside.0))?;
    write("gid_map", &format!("{inside} {} 1", outside.1))
}
