//! A restricted view of the file system (`mount_namespaces(7)`): the system's programs and the requested paths, read-only.
//!
//! ```text
//!   /usr /bin /lib /etc ...   as they are, read-only      /dev    null, zero, full, random
//!   --read PATH               in its place, read-only     /proc   of the new namespace, read-only
//!   --write PATH              in its place                /tmp    empty, in memory, bounded
//! ```
//!
//! Everything else is not there: homes, the course with its reference, other submissions.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};

use crate::run::isolation::Isolation;

/// The folders that programs need.
const SYSTEM: &[&str] = &[
    "bin", "etc", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "opt", "sbin", "usr",
];
/// Devices without a memory.
const DEVICES: &[&str] = &["full", "null", "random", "urandom", "zero"];
/// Where the old root is while the new one is built.
const OLD: &str = "/.old";

/// Restricts the view of this process and its children; must be called in a mount namespace of its own.
///
/// Returns a file descriptor of `/proc` that can still be written to.
///
/// # Errors
///
/// Fails if the kernel does not allow it, or a path is not there.
pub(super) fn restrict(
    read: &[PathBuf],
    write: &[PathBuf],
    isolation: Isolation,
) -> io::Result<File> {
    move_old_root()?;
    for name in SYSTEM {
        show_system(name)?;
    }
    make_devices()?;
    for (folder, size) in [("/tmp", "size=512m"), ("/dev/shm", "size=64m")] {
        fs::create_dir_all(folder)?;
        mount_tmpfs(folder, &format!("mode=1777,nr_inodes=20000,{size}"))?;
    }
    read.iter().try_for_each(|path| show(path))?;
    write.iter().try_for_each(|path| bind(path))?;
    let proc = make_proc(isolation)?;
    umount2(OLD, MntFlags::MNT_DETACH)?;
    fs::remove_dir(OLD)?;
    seal(write)?;
    Ok(proc)
}

/// Replaces the root by an empty one, with the old root below it.
fn move_old_root() -> io::Result<()> {
    let nothing: Option<&str> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(nothing, "/", nothing, private, nothing)?;
    mount_tmpfs("/tmp", "mode=755,size=16m")?;
    fs::create_dir("/tmp/.old")?;
    pivot_root("/tmp", "/tmp/.old")?;
    chdir("/")?;
    Ok(())
}

fn mount_tmpfs(at: &str, options: &str) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), at, Some("tmpfs"), flags, Some(options))?;
    Ok(())
}

/// Shows a folder of the system; `/bin` may be a link into `/usr`.
fn show_system(name: &str) -> io::Result<()> {
    let old = Path::new(OLD).join(name);
    if old.is_symlink() {
        return symlink(fs::read_link(&old)?, Path::new("/").join(name));
    }
    if old.is_dir() {
        return bind(&Path::new("/").join(name));
    }
    Ok(())
}

/// Shows a path, unless it is there already.
fn show(path: &Path) -> io::Result<()> {
    if path.exists() { Ok(()) } else { bind(path) }
}

/// Binds a path of the old root to its place in the new one.
fn bind(path: &Path) -> io::Result<()> {
    let below = path.strip_prefix("/").map_err(io::Error::other)?;
    let old = Path::new(OLD).join(below);
    if old.is_dir() {
        fs::create_dir_all(path)?;
    } else if !path.exists() {
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        File::create(path)?;
    }
    let nothing: Option<&str> = None;
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(&old), path, nothing, flags, nothing)?;
    Ok(())
}

fn make_devices() -> io::Result<()> {
    for name in DEVICES {
        bind(&Path::new("/dev").join(name))?;
    }
    symlink("/proc/self/fd", "/dev/fd")?;
    for (number, name) in ["stdin", "stdout", "stderr"].iter().enumerate() {
        symlink(format!("/proc/self/fd/{number}"), format!("/dev/{name}"))?;
    }
    Ok(())
}

/// Mounts a `/proc` of our PID namespace, or else binds the existing one.
///
/// Returns it opened through another mount that is detached already, so that [`seal`] does not make it read-only.
fn make_proc(isolation: Isolation) -> io::Result<File> {
    let nothing: Option<&str> = None;
    if isolation.hides_processes() {
        fs::create_dir("/proc")?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("proc"), "/proc", Some("proc"), flags, nothing)?;
    } else {
        bind(Path::new("/proc"))?;
    }
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some("/proc"), "/tmp", nothing, flags, nothing)?;
    let proc = File::open("/tmp")?;
    umount2("/tmp", MntFlags::MNT_DETACH)?;
    Ok(proc)
}

/// Makes every mount read-only except for the writable ones.
fn seal(write: &[PathBuf]) -> io::Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let may_write = |at: &Path| {
        at == Path::new("/tmp") || at == Path::new("/dev/shm") || write.iter().any(|one| one == at)
    };
    let nothing: Option<&str> = None;
    for (at, flags) in table.lines().filter_map(parse) {
        if !may_write(&at) {
            let flags = flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
            mount(nothing, &at, nothing, flags, nothing)?;
        }
    }
    Ok(())
}

/// Reads the place and the flags of a mount: the fifth and the sixth word of a line of `mountinfo` (`proc_pid_mountinfo(5)`).
fn parse(line: &str) -> Option<(PathBuf, MsFlags)> {
    let mut words = line.split(' ').skip(4);
    let (at, options) = (words.next()?, words.next()?);
    // The kernel writes a space as \040.
    let at = at
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\134", "\\");
    let flag = |option: &str| match option {
        "nosuid" => MsFlags::MS_NOSUID,
        "nodev" => MsFlags::MS_NODEV,
        "noexec" => MsFlags::MS_NOEXEC,
        "noatime" => MsFlags::MS_NOATIME,
        "nodiratime" => MsFlags::MS_NODIRATIME,
        "relatime" => MsFlags::MS_RELATIME,
        _ => MsFlags::empty(),
    };
    Some((
        at.into(),
        options.split(',').map(flag).collect::<MsFlags>() | MsFlags::MS_NOSUID,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mounts_place_and_flags_are_read() {
        let line = "36 35 98:0 / /a\\040b rw,nodev,relatime shared:1 - ext4 /dev/x rw";
        let (at, flags) = parse(line).unwrap();
        assert_eq!(at, Path::new("/a b"));
        let expected = MsFlags::MS_NODEV | MsFlags::MS_RELATIME | MsFlags::MS_NOSUID;
        assert_eq!(flags, expected);
    }
}
