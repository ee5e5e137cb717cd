//! What was received last: up to 32 messages of one recvmmsg(2), each a datagram or a run of them.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg,
};
use socket2::Socket;

use crate::udp::batch::BATCH;
use crate::udp::batch::runs::split;

/// The memory for one message: more than any has (65,507 bytes with IPv4, `udp(7)`, and a run is not longer), so that
/// none is cut.
const SLOT: usize = 64 * 1024;

/// The datagrams of one recvmmsg(2).
#[derive(Default)]
pub(in crate::udp) struct Incoming {
    /// Empty until the first datagram: a worker without datagrams owns none.
    memory: Vec<u8>,
    heads: Vec<Head>,
    /// The messages that were runs.
    runs: usize,
}

/// What is known about a received datagram beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::udp) struct Head {
    /// The sender's address.
    pub(in crate::udp) from: SocketAddr,
    /// The address that it was sent to, on a socket that asks for it (`IP_PKTINFO`).
    pub(in crate::udp) local: Option<IpAddr>,
    /// Where its bytes begin in the memory.
    start: usize,
    /// Its length.
    pub(in crate::udp) length: usize,
    /// Bytes are missing, or its borders.
    pub(in crate::udp) is_cut: bool,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("Incoming");
        debug.field("heads", &self.heads).finish_non_exhaustive()
    }
}

impl Incoming {
    /// Receives up to [`BATCH`] messages and returns their number; none means that there is none now.
    ///
    /// # Errors
    ///
    /// Fails with what the kernel knows about earlier datagrams on this socket, for example that the port
    /// is closed: the socket itself still works.
    pub(in crate::udp) fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        self.heads.clear();
        self.runs = 0;
        if self.memory.is_empty() {
            self.memory = vec![0; BATCH * SLOT];
        }
        let mut slots = self.memory.chunks_mut(SLOT);
        let mut slots: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]);
        // New for each call, because the kernel leaves in them how long the sender's address and the control messages
        // were, and the next call would take that for the room that it has. A run would lose its borders.
        let control = nix::cmsg_space!(libc::in6_pktinfo, libc::c_int);
        let mut headers = MultiHeaders::preallocate(BATCH, Some(control));
        let flags = MsgFlags::MSG_DONTWAIT;
        let received = match recvmmsg(socket.as_raw_fd(), &mut headers, &mut slots, flags, None) {
            Ok(received) => received,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
            Err(errno) => return Err(errno.into()),
        };
        let mut count = 0;
        for message in received {
            let (head, segment) = read(&message);
            let places = split(message.bytes.min(SLOT), segment);
            let before = self.heads.len();
            self.heads.extend(places.map(|place| Head {
                start: count * SLOT + place.start,
                length: place.len(),
                ..head
            }));
            self.runs += usize::from(self.heads.len() - before > 1);
            count += 1;
        }
        Ok(count)
    }

    /// Returns how many datagrams were received last.
    pub(in crate::udp) fn len(&self) -> usize {
        self.heads.len()
    }

    /// Returns how many of the messages that were received last are runs.
    pub(in crate::udp) fn runs(&self) -> usize {
        self.runs
    }

    /// Iterates over the received datagrams.
    pub(in crate::udp) fn iter(&self) -> impl Iterator<Item = (Head, &[u8])> {
        let heads = self.heads.iter();
        heads.map(|&head| (head, &self.memory[head.start..head.start + head.length]))
    }

    /// Returns the bytes of a received datagram from `start` on.
    pub(in crate::udp) fn payload(&self, number: usize, start: usize) -> &[u8] {
        let head = self.heads.get(number);
        let place = head.map(|head| head.start + start..head.start + head.length);
        place
            .and_then(|place| self.memory.get(place))
            .unwrap_or_default()
    }
}

/// Returns what the kernel says about a message, and the length of its segments if it is a run.
fn read(message: &RecvMsg<'_, '_, SockaddrStorage>) -> (Head, Option<usize>) {
    let from = message.address.as_ref().and_then(socket_addr);
    let mut head = Head {
        // Every datagram has a sender; port 0 is none.
        from: from.unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into()),
        local: None,
        start: 0,
        length: message.bytes,
        is_cut: message.flags.contains(MsgFlags::MSG_TRUNC),
    };
    let mut segment = None;
    match message.cmsgs() {
        Ok(control) => {
            for control in control {
                head.local = head.local.or_else(|| destination(&control));
                segment = segment.or_else(|| segment_of(&control));
            }
        }
        // There was no room for them, so that the borders may be missing.
        Err(_) => head.is_cut = true,
    }
    (head, segment)
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    let four = address
        .as_sockaddr_in()
        .map(|&four| SocketAddr::V4(four.into()));
    four.or_else(|| {
        address
            .as_sockaddr_in6()
            .map(|&six| SocketAddr::V6(six.into()))
    })
}

/// Returns the address that a datagram was sent to.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the control messages are the kernel's"
)]
fn destination(control: &ControlMessageOwned) -> Option<IpAddr> {
    match control {
        // The local address of the route back, which a multicast destination is not.
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into())
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            (!address.is_multicast()).then(|| address.into())
        }
        _ => None,
    }
}

/// Returns the length of the segments of a run.
fn segment_of(control: &ControlMessageOwned) -> Option<usize> {
    let ControlMessageOwned::UdpGroSegments(segment) = control else {
        return None;
    };
    usize::try_from(*segment).ok()
}
