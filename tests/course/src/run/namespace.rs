//! Namespaces (`namespaces(7)`): a network with loopback only, processes, mounts and a user of one's own.

use std::fs::{self, File};
use std::io::{self, IoSlice, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use nix::fcntl::{OFlag, openat};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendmsg, socket,
};
use nix::sys::stat::Mode;
use nix::unistd::{getgid, getuid};

use super::isolation::Isolation;

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
pub(super) fn lose_rights(user: u32, proc: &File) -> io::Result<()> {
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

/// Sets the interface `lo`, whose number is always 1, to "up" (`rtnetlink(7)`, RTM_NEWLINK).
///
/// # Errors
/// When the kernel does not allow it.
pub(crate) fn raise_loopback() -> io::Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const REQUEST_WITH_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    let mut message = Vec::new();
    // struct nlmsghdr: length, type, flags, sequence, port.
    message.extend(32_u32.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(REQUEST_WITH_ACK.to_ne_bytes());
    message.extend([0; 8]);
    // struct ifinfomsg: family, padding, type, index, flags, mask of flags to change.
    message.extend([0; 4]);
    message.extend(1_i32.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());

    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    let kernel = NetlinkAddr::new(0, 0);
    let parts = [IoSlice::new(&message)];
    sendmsg(
        netlink.as_raw_fd(),
        &parts,
        &[],
        MsgFlags::empty(),
        Some(&kernel),
    )?;
    let mut answer = [0; 256];
    let count = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    judge(&answer[..count])
}

/// Reads the error number of a NLMSG_ERROR message, which is 0 for success and negative otherwise (`netlink(7)`).
fn judge(answer: &[u8]) -> io::Result<()> {
    let number = answer.get(16..20).and_then(|bytes| bytes.try_into().ok());
    match number.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(-number)),
        None => Err(io::Error::other("the kernel's answer is too short")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_answer_is_understood() {
        let answer = |number: i32| {
            let mut bytes = vec![0; 16];
            bytes.extend(number.to_ne_bytes());
            bytes
        };
        assert!(judge(&answer(0)).is_ok());
        assert_eq!(judge(&answer(-1)).unwrap_err().raw_os_error(), Some(1));
        assert!(judge(&[0; 3]).is_err());
    }
}
