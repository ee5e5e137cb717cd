//! Datagrams in batches: up to 32 in one recvmmsg(2), and up to 32 in one sendmmsg(2).
//!
//! One worker has one [`Batches`], which every socket shares: a flow owns no buffer. The memory of 32 slots of
//! 64 KiB is only reserved; the kernel fills each slot from its beginning, so that small datagrams touch one page
//! of each.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage,
    recvmmsg, sendmmsg,
};
use socket2::Socket;

use crate::udp::flow_table::FlowId;
use crate::udp::packet::Header;

/// Datagrams in one system call.
pub(super) const BATCH: usize = 32;
/// The memory for one datagram: more than any has (65,507 bytes with IPv4, `udp(7)`), so that none is cut.
const SLOT: usize = 64 * 1024;

/// The memory that one worker lends to all of its datagram sockets.
///
/// It has raw pointers for the kernel, and so it stays on the worker's thread.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    /// What was received last.
    pub(super) incoming: Incoming,
    /// Which of it goes up, and with which flow.
    pub(super) pieces: Vec<Piece>,
    /// Which of it goes up, and where, without a flow.
    pub(super) aimed: Vec<Aimed>,
    /// What is put in front of each answer for an association.
    pub(super) headers: Vec<Header>,
    /// What sends.
    pub(super) outgoing: Outgoing,
}

/// The payload of a received datagram that goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The flow that it belongs to.
    pub(super) flow: FlowId,
    /// The number of the datagram in its batch.
    pub(super) number: usize,
    /// Where the payload begins, behind the headers for this proxy.
    pub(super) start: usize,
}

/// The payload of a received datagram that goes up without a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Aimed {
    /// Where it goes.
    pub(super) to: SocketAddr,
    /// The number of the datagram in its batch.
    pub(super) number: usize,
    /// Where the payload begins, behind the header for this proxy.
    pub(super) start: usize,
}

/// The datagrams of one recvmmsg(2).
#[derive(Default)]
pub(super) struct Incoming {
    /// Empty until the first datagram: a worker without datagrams owns none.
    memory: Vec<u8>,
    headers: Lanes,
    heads: Vec<Head>,
}

/// What is known about a received datagram beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The sender's address.
    pub(super) from: SocketAddr,
    /// The address that it was sent to, on a socket that asks for it ([`Lane::Wildcard4`]).
    pub(super) local: Option<IpAddr>,
    /// Its length.
    pub(super) length: usize,
    /// Bytes are missing.
    pub(super) is_cut: bool,
}

/// The kinds of sockets, by what the kernel writes into a header.
///
/// Each kind has headers of its own, because recvmmsg(2) leaves in them how long the sender's address and the
/// control message were, and takes that for the room that the next call has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Has an IPv4 address.
    Plain4,
    /// Has an IPv6 address.
    Plain6,
    /// Has every IPv4 address, and is told which one a datagram was sent to (`ip(7)`, `IP_PKTINFO`).
    Wildcard4,
    /// Has every IPv6 address, and is told likewise (`ipv6(7)`, `IPV6_PKTINFO`).
    Wildcard6,
}

/// The headers of each [`Lane`], made when they are needed first.
#[derive(Default)]
struct Lanes([Option<MultiHeaders<SockaddrStorage>>; 4]);

/// The headers for sendmmsg(2).
#[derive(Default)]
pub(super) struct Outgoing {
    headers: Lanes,
    addresses: Vec<Option<SockaddrStorage>>,
}

/// A datagram to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outbound<'a> {
    /// The receiver; `None` on a connected socket.
    pub(super) to: Option<SocketAddr>,
    /// Its bytes: what this proxy puts in front, and the payload.
    pub(super) parts: [&'a [u8]; 2],
}

/// What became of the datagrams of one call.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// The kernel has taken so many.
    pub(super) count: usize,
    /// It has no room for so many now, because they come faster than they leave.
    pub(super) full: usize,
    /// So many are longer than a datagram can be, or than their way allows (`EMSGSIZE`).
    pub(super) too_long: usize,
    /// It refuses so many for another reason, for example because there is no route.
    pub(super) failed: usize,
    /// What it had to say about earlier datagrams on this socket: an ICMP message has arrived.
    pub(super) error: Option<io::Error>,
}

impl Lane {
    /// Returns the lane of a socket that is bound to `address`, or connected from it.
    pub(super) fn of(address: SocketAddr, is_told: bool) -> Self {
        match (address, is_told) {
            (SocketAddr::V4(_), false) => Self::Plain4,
            (SocketAddr::V6(_), false) => Self::Plain6,
            (SocketAddr::V4(_), true) => Self::Wildcard4,
            (SocketAddr::V6(_), true) => Self::Wildcard6,
        }
    }

    fn headers(self) -> MultiHeaders<SockaddrStorage> {
        let control = match self {
            Self::Plain4 | Self::Plain6 => None,
            Self::Wildcard4 => Some(nix::cmsg_space!(libc::in_pktinfo)),
            Self::Wildcard6 => Some(nix::cmsg_space!(libc::in6_pktinfo)),
        };
        MultiHeaders::preallocate(BATCH, control)
    }
}

impl Lanes {
    fn of(&mut self, lane: Lane) -> &mut MultiHeaders<SockaddrStorage> {
        self.0[lane as usize].get_or_insert_with(|| lane.headers())
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("Incoming");
        debug.field("heads", &self.heads).finish_non_exhaustive()
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Outgoing").finish_non_exhaustive()
    }
}

impl Incoming {
    /// Receives up to [`BATCH`] datagrams; none means that there is none now.
    ///
    /// # Errors
    ///
    /// Fails with what the kernel knows about earlier datagrams on this socket, for example that the port
    /// is closed: the socket itself still works.
    pub(super) fn receive(&mut self, socket: &Socket, lane: Lane) -> io::Result<usize> {
        self.heads.clear();
        if self.memory.is_empty() {
            self.memory = vec![0; BATCH * SLOT];
        }
        let mut slots = self.memory.chunks_mut(SLOT);
        let mut slots: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]);
        let headers = self.headers.of(lane);
        let flags = MsgFlags::MSG_DONTWAIT;
        match recvmmsg(socket.as_raw_fd(), headers, &mut slots, flags, None) {
            Ok(received) => self.heads.extend(received.map(|it| head(&it))),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(self.heads.len())
    }

    /// Returns how many datagrams were received last.
    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    /// Iterates over the received datagrams.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Head, &[u8])> {
        let slots = self.memory.chunks(SLOT);
        let heads = self.heads.iter().copied();
        heads
            .zip(slots)
            .map(|(head, slot)| (head, &slot[..head.length.min(SLOT)]))
    }

    /// Returns the bytes of a received datagram from `start` on.
    pub(super) fn payload(&self, number: usize, start: usize) -> &[u8] {
        let length = self
            .heads
            .get(number)
            .map_or(0, |head| head.length.min(SLOT));
        let slot = self.memory.get(number * SLOT..number * SLOT + length);
        slot.and_then(|slot| slot.get(start..)).unwrap_or_default()
    }
}

impl Outgoing {
    /// Sends up to [`BATCH`] datagrams and does not wait for room; `from` is the sender's address, on a socket that
    /// has several.
    pub(super) fn send<'a>(
        &mut self,
        socket: &Socket,
        from: Option<IpAddr>,
        datagrams: impl IntoIterator<Item = Outbound<'a>>,
    ) -> Sent {
        let mut parts = [[IoSlice::new(&[]); 2]; BATCH];
        self.addresses.clear();
        for (place, datagram) in parts.iter_mut().zip(datagrams) {
            *place = datagram.parts.map(IoSlice::new);
            self.addresses.push(datagram.to.map(SockaddrStorage::from));
        }
        let (mut sent, mut rest) = (Sent::default(), &parts[..self.addresses.len()]);
        while !rest.is_empty() {
            match self.send_some(socket, from, rest) {
                Ok(taken) => {
                    sent.count += taken;
                    rest = &rest[taken..];
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN | Errno::ENOBUFS) => {
                    sent.full += rest.len();
                    return sent;
                }
                // It is about an earlier datagram, and taken from the socket with this call: the datagram itself
                // was not sent. A second one is about this datagram.
                Err(errno) if sent.error.is_none() && is_of_earlier(errno) => {
                    sent.error = Some(errno.into());
                }
                Err(Errno::EMSGSIZE) => {
                    sent.too_long += 1;
                    rest = &rest[1..];
                }
                Err(_) => {
                    sent.failed += 1;
                    rest = &rest[1..];
                }
            }
        }
        sent
    }

    fn send_some(
        &mut self,
        socket: &Socket,
        from: Option<IpAddr>,
        rest: &[[IoSlice<'_>; 2]],
    ) -> Result<usize, Errno> {
        let addresses = &self.addresses[self.addresses.len() - rest.len()..];
        let (fd, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let (four, six);
        let (lane, control) = match from {
            None => (Lane::Plain4, None),
            Some(IpAddr::V4(from)) => {
                four = packet_info(from);
                (Lane::Wildcard4, Some(ControlMessage::Ipv4PacketInfo(&four)))
            }
            Some(IpAddr::V6(from)) => {
                six = packet_info6(from);
                (Lane::Wildcard6, Some(ControlMessage::Ipv6PacketInfo(&six)))
            }
        };
        let headers = self.headers.of(lane);
        let sent = sendmmsg(fd, headers, rest, addresses, control.as_slice(), flags);
        sent.map(Iterator::count)
    }
}

/// Returns what a header says.
fn head(received: &RecvMsg<'_, '_, SockaddrStorage>) -> Head {
    let from = received.address.as_ref().and_then(socket_addr);
    let control = received.cmsgs().ok();
    Head {
        // Every datagram has a sender; port 0 is none.
        from: from.unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into()),
        local: control.and_then(|mut control| control.find_map(|it| destination(&it))),
        length: received.bytes,
        is_cut: received.flags.contains(MsgFlags::MSG_TRUNC),
    }
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
    reason = "the control messages are the kernel's, and no other was asked for"
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

fn packet_info(from: Ipv4Addr) -> libc::in_pktinfo {
    libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: libc::in_addr {
            s_addr: u32::from(from).to_be(),
        },
        ipi_addr: libc::in_addr { s_addr: 0 },
    }
}

fn packet_info6(from: Ipv6Addr) -> libc::in6_pktinfo {
    libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr {
            s6_addr: from.octets(),
        },
        ipi6_ifindex: 0,
    }
}

/// Returns whether a send fails because of what an ICMP message has said about an earlier datagram (`ip(7)`,
/// `udp(7)`).
fn is_of_earlier(errno: Errno) -> bool {
    [
        Errno::ECONNREFUSED,
        Errno::EHOSTUNREACH,
        Errno::ENETUNREACH,
        Errno::EPROTO,
        Errno::EHOSTDOWN,
        Errno::ENOPROTOOPT,
    ]
    .contains(&errno)
}
