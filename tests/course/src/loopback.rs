//! The loopback interface of a new network namespace, which is down at first (`network_namespaces(7)`).

use std::io::{self, IoSlice};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendmsg, socket,
};

/// Sets the interface `lo`, whose number is always 1, to "up" (`rtnetlink(7)`, RTM_NEWLINK).
///
/// # Errors
///
/// Fails if the kernel does not allow it.
pub fn raise_loopback() -> io::Result<()> {
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
    error_of(&answer[..count])
}

/// Reads the error number of a NLMSG_ERROR message, which is 0 for success and negative otherwise (`netlink(7)`).
fn error_of(answer: &[u8]) -> io::Result<()> {
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
        assert!(error_of(&answer(0)).is_ok());
        assert_eq!(error_of(&answer(-1)).unwrap_err().raw_os_error(), Some(1));
        assert!(error_of(&[0; 3]).is_err());
    }
}
