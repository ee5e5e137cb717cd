//! Another `/etc/resolv.conf` for the programs that a thread starts: a mount namespace of its own (`mount_namespaces(7)`).

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Does something on a thread whose programs ask one name server, with one attempt of two seconds, and nothing else.
///
/// # Errors
///
/// Fails if the mounts fail, for example because the user may not mount; then `action` has not run.
pub(super) fn with_name_server<T: Send>(
    name_server: Ipv4Addr,
    folder: &Path,
    action: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let on_thread = || {
        replace_files(name_server, folder).map_err(|error| {
            io::Error::other(format!("a resolver of its own: {error}: run this as root"))
        })?;
        action()
    };
    let outcome = thread::scope(|scope| scope.spawn(on_thread).join());
    outcome.map_err(|_| io::Error::other("the thread with its own resolver has panicked"))?
}

/// Mounts two files over those of the system, for this thread and the programs that it starts.
fn replace_files(name_server: Ipv4Addr, folder: &Path) -> io::Result<()> {
    // The thread must share its root and working directory with no other one.
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
    // Otherwise the mounts would appear outside as well.
    let nothing = None::<&OsStr>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(nothing, "/", nothing, private, nothing)?;
    let resolver = format!("nameserver {name_server}\noptions timeout:2 attempts:1\n");
    for (name, text) in [
        ("resolv.conf", resolver.as_str()),
        ("nsswitch.conf", "hosts: files dns\n"),
    ] {
        let file = folder.join(name);
        fs::write(&file, text)?;
        let place = Path::new("/etc").join(name);
        mount(Some(&file), &place, nothing, MsFlags::MS_BIND, nothing)?;
    }
    Ok(())
}
