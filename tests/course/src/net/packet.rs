//! A packet socket (`packet(7)`): frames in and out of one interface.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvfrom, send,
    setsockopt, socket, sockopt,
};

/// The buffer that we ask for, so that a burst does not overflow it; the kernel gives up to `net.core.rmem_max`.
const BUFFER_BYTES: usize = 4 << 20;
/// A frame that our own kernel has sent through the interface (PACKET_OUTGOING).
const OUTGOING: u8 = 4;

/// One interface, seen from outside of the protocols.
#[derive(Debug)]
pub(super) struct Port(OwnedFd);

impl Port {
    /// Opens the interface with this name.
    ///
    /// # Errors
    ///
    /// Fails if there is none, or the kernel has no packet sockets for us.
    pub(super) fn open(name: &str) -> io::Result<Self> {
        let address = address_of(name)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            flags,
            SockProtocol::EthAll,
        )?;
        setsockopt(&socket, sockopt::RcvBuf, &BUFFER_BYTES)?;
        // Until now it has received from every interface.
        bind(socket.as_raw_fd(), &address)?;
        Ok(Self(socket))
    }

    /// Receives a frame that has come in through the interface; `None` if there is none at the moment.
    ///
    /// # Errors
    ///
    /// Fails if the interface is gone.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match recvfrom::<LinkAddr>(self.0.as_raw_fd(), buffer) {
                Ok((_, Some(from))) if from.pkttype() == OUTGOING => {}
                Ok((count, _)) => return Ok(Some(count)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends a frame out of the interface; one that the kernel does not take is lost, as on any network.
    pub(super) fn send(&self, frame: &[u8]) {
        let _ = send(self.0.as_raw_fd(), frame, MsgFlags::empty());
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Finds the address of an interface itself, which has its number.
fn address_of(name: &str) -> io::Result<LinkAddr> {
    let mut interfaces = getifaddrs()?.filter(|interface| interface.interface_name == name);
    interfaces
        .find_map(|interface| interface.address?.as_link_addr().copied())
        .ok_or_else(|| io::Error::other(format!("there is no interface {name}")))
}
