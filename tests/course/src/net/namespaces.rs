//! The namespaces around a network (`namespaces(7)`): users, processes, mounts.
//!
//! The processes are in a PID namespace, because then the kernel ends all of them with the first one: nothing can remain.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Error, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{geteuid, getgid, getuid};

/// Creates the namespaces, while the process has one thread; its children are in them.
///
/// Root needs no user namespace, and in some containers may not have one; everyone else needs one, in which he is root.
///
/// # Errors
///
/// Fails if the kernel does not allow it.
pub(super) fn create() -> Result<()> {
    let flags = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    if geteuid().is_root() && unshare(flags).is_ok() {
        return Ok(());
    }
    let (user, group) = (getuid(), getgid());
    let made = unshare(flags | CloneFlags::CLONE_NEWUSER)
        .map_err(io::Error::from)
        .and_then(|()| fs::write("/proc/self/setgroups", "deny"))
        .and_then(|()| fs::write("/proc/self/uid_map", format!("0 {user} 1")))
        .and_then(|()| fs::write("/proc/self/gid_map", format!("0 {group} 1")));
    made.map_err(|error| Error::new(error).context(refusal()))
}

/// Says why the kernel refuses, as far as its settings tell.
fn refusal() -> String {
    let is = |name: &str, value: &str| {
        fs::read_to_string(Path::new("/proc/sys").join(name)).is_ok_and(|text| text.trim() == value)
    };
    let setting = if is("user/max_user_namespaces", "0") {
        "user.max_user_namespaces=15000"
    } else if is("kernel/unprivileged_userns_clone", "0") {
        "kernel.unprivileged_userns_clone=1"
    } else if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
        "kernel.apparmor_restrict_unprivileged_userns=0"
    } else if is("user/max_net_namespaces", "0") {
        "user.max_net_namespaces=15000"
    } else {
        return "the kernel allows no namespaces here, as in many containers".to_owned();
    };
    format!(
        "the kernel allows no namespaces to users without privileges; root can change it: sysctl -w {setting}"
    )
}

/// Gives the namespaces a `/proc` and an `/etc/hosts` of their own; `hosts` is a file with its contents.
///
/// # Errors
///
/// Fails if the kernel does not allow it.
pub(super) fn mount_own(hosts: &Path) -> io::Result<()> {
    let nothing: Option<&str> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(nothing, "/", nothing, private, nothing)?;
    // Without it the numbers of processes are those of the machine, and everything else works: some containers hide
    // parts of `/proc` and allow no other one.
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let _ = mount(Some("proc"), "/proc", Some("proc"), flags, nothing);
    mount(
        Some(hosts),
        "/etc/hosts",
        nothing,
        MsFlags::MS_BIND,
        nothing,
    )?;
    Ok(())
}
