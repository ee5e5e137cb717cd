//! Namespaces (`namespaces(7)`): a network with loopback only, processes, mounts and a user of one's own.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use nix::fcntl::{OFlag, openat};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{getgid, getuid};

use crate::run::isolation::Isolation;

/// Makes the namespaces of an isolation; must be called while the process has one thread.
///
/// With a user namespace comes a root of its own (`user_namespaces(7)`), who may set up the others and nothing else.
///
/// # Errors
/// When the kernel does not allow it.
pub(super) fn make(isolation: Isolation) -> io::Result<()> {
    let flags = isolation.namespaces();
    let ids = (getuid().as_raw(), getgid().as_raw());
    unshare(flags)?;
    if flags.contains(CloneFlags::CLONE_NEWUSER) {
        map(&File::open("/proc")?, 0, ids)?;
    }
    Ok(())
}

/// Names the mount namespace that we are in: `mnt:[4026531832]` (`namespaces(7)`).
///
/// # Errors
/// When there is no `/proc`.
pub(super) fn of_mounts() -> io::Result<PathBuf> {
    fs::read_link("/proc/self/ns/mnt")
}

/// Gives up the root of the user namespace: in a further one, we and our children are `user`, who has no rights.
///
/// `proc` is a `/proc` that can be written to.
///
/// # Errors
/// When the kernel does not allow it.
pub(super) fn drop_privileges(user: u32, proc: &File) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)?;
    map(proc, user, (0, 0))
}

/// Says who we are in a new user namespace; `outside` are the user and the group that we are outside.
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
