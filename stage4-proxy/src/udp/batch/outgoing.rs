//! What sends: datagrams of one socket in up to 32 messages of one sendmmsg(2), each a datagram or a run of them.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::sockopt::UdpGsoSegment;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg, setsockopt,
};
use socket2::Socket;

use crate::udp::batch::BATCH;
use crate::udp::batch::runs::Runs;

/// The memory for sending.
#[derive(Default)]
pub(in crate::udp) struct Outgoing {
    headers: Headers,
    /// The receivers of the datagrams.
    receivers: Vec<Option<SocketAddr>>,
    /// The receivers of the next messages.
    addresses: Vec<Option<SockaddrStorage>>,
    /// The numbers of datagrams in the next messages.
    counts: Vec<usize>,
    /// `None` until the first datagram.
    runs: Option<Runs>,
}

/// A datagram to be sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::udp) struct Outbound<'a> {
    /// The receiver; `None` on a connected socket.
    pub(in crate::udp) to: Option<SocketAddr>,
    /// Its bytes: what this proxy puts in front, and the payload.
    pub(in crate::udp) parts: [&'a [u8]; 2],
}

/// What became of the datagrams of one call.
#[derive(Debug, Default)]
pub(in crate::udp) struct Sent {
    /// The kernel has taken so many.
    pub(in crate::udp) count: usize,
    /// It has no room for so many now, because they come faster than they leave.
    pub(in crate::udp) full: usize,
    /// So many are longer than a datagram can be, or than their way allows (`EMSGSIZE`).
    pub(in crate::udp) too_long: usize,
    /// It refuses so many for another reason, for example because there is no route.
    pub(in crate::udp) failed: usize,
    /// What it had to say about earlier datagrams on this socket: an ICMP message has arrived.
    pub(in crate::udp) error: Option<io::Error>,
    /// It has taken so many runs.
    pub(in crate::udp) runs: usize,
    /// It has refused so many runs, or to take any; their datagrams went one by one.
    pub(in crate::udp) refused_runs: usize,
}

/// Headers for sendmmsg(2), made when they are needed first: one set for each combination of control messages, because a
/// header has room for exactly those that it has.
#[derive(Default)]
struct Headers([Option<MultiHeaders<SockaddrStorage>>; 6]);

/// What all messages of one call have in common.
#[derive(Clone, Copy, Debug)]
struct Common {
    /// The sender's address, on a socket that has several.
    from: Option<IpAddr>,
    /// The length of the segments, if the messages are runs.
    segment: Option<u16>,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("Outgoing");
        debug.field("runs", &self.runs).finish_non_exhaustive()
    }
}

impl Outgoing {
    /// Sends datagrams and does not wait for room; `from` is the sender's address, on a socket that has several.
    pub(in crate::udp) fn send<'a>(
        &mut self,
        socket: &Socket,
        from: Option<IpAddr>,
        datagrams: impl IntoIterator<Item = Outbound<'a>>,
    ) -> Sent {
        self.receivers.clear();
        let taken = datagrams.into_iter().map(|datagram| {
            self.receivers.push(datagram.to);
            datagram.parts.map(IoSlice::new)
        });
        let all: Vec<[IoSlice<'_>; 2]> = taken.collect();
        let (mut sent, mut rest) = (Sent::default(), &all[..]);
        if !rest.is_empty() {
            self.ask_for_runs(socket, &mut sent);
        }
        while !rest.is_empty() {
            let segment = self.plan(rest);
            match self.send_some(socket, Common { from, segment }, rest) {
                Ok(messages) => {
                    let count = self.counts[..messages].iter().sum();
                    sent.count += count;
                    sent.runs += segment.map_or(0, |_| messages);
                    rest = &rest[count..];
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
                Err(errno) if self.refuses_run(segment, errno) => sent.refused_runs += 1,
                Err(errno) => {
                    let lost = self.counts[0];
                    sent.lose(errno, lost);
                    rest = &rest[lost..];
                }
            }
        }
        sent
    }

    /// Asks whether the kernel knows runs, once: an old one would ignore the control message, and send one long datagram.
    fn ask_for_runs(&mut self, socket: &Socket, sent: &mut Sent) {
        if self.runs.is_none() {
            let is_known = setsockopt(socket, UdpGsoSegment, &0).is_ok();
            self.runs = Some(Runs::new(is_known));
            sent.refused_runs += usize::from(!is_known);
        }
    }

    /// Divides the next datagrams into messages for one call, and returns the length of their segments if they are runs.
    fn plan(&mut self, rest: &[[IoSlice<'_>; 2]]) -> Option<u16> {
        self.counts.clear();
        self.addresses.clear();
        let (mut first, skipped) = (0, self.receivers.len() - rest.len());
        let mut common = None;
        while first < rest.len() && self.counts.len() < BATCH {
            let to = self.receivers[skipped + first];
            let same = self.receivers[skipped + first..].iter().zip(&rest[first..]);
            let same = same.take_while(|(receiver, _)| **receiver == to);
            let count = self
                .runs
                .map_or(1, |runs| runs.count(same.map(|(_, parts)| length(parts))));
            let segment = u16::try_from(length(&rest[first]))
                .ok()
                .filter(|_| count > 1);
            if *common.get_or_insert(segment) != segment {
                break;
            }
            self.counts.push(count);
            self.addresses.push(to.map(SockaddrStorage::from));
            first += count;
        }
        common.flatten()
    }

    /// Sends the messages of the plan, and returns how many the kernel has taken.
    fn send_some(
        &mut self,
        socket: &Socket,
        common: Common,
        rest: &[[IoSlice<'_>; 2]],
    ) -> Result<usize, Errno> {
        let (mut messages, mut begin): ([&[IoSlice<'_>]; BATCH], usize) = ([&[]; BATCH], 0);
        for (message, count) in messages.iter_mut().zip(&self.counts) {
            *message = rest[begin..begin + count].as_flattened();
            begin += count;
        }
        let (four, six);
        let mut control = Vec::new();
        match common.from {
            None => {}
            Some(IpAddr::V4(from)) => {
                four = packet_info(from);
                control.push(ControlMessage::Ipv4PacketInfo(&four));
            }
            Some(IpAddr::V6(from)) => {
                six = packet_info6(from);
                control.push(ControlMessage::Ipv6PacketInfo(&six));
            }
        }
        control.extend(common.segment.as_ref().map(ControlMessage::UdpGsoSegments));
        let headers = self.headers.of(common);
        let (fd, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let messages = &messages[..self.counts.len()];
        let sent = sendmmsg(fd, headers, messages, &self.addresses, control, flags);
        sent.map(Iterator::count)
    }

    /// Returns whether `errno` says that the kernel does not cut runs of `segment` on their way, and notes it.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the errors are the kernel's"
    )]
    fn refuses_run(&mut self, segment: Option<u16>, errno: Errno) -> bool {
        let (Some(segment), Some(runs)) = (segment, &mut self.runs) else {
            return false;
        };
        match errno {
            // A segment with its headers is longer than the way allows. A datagram would be sent in fragments.
            Errno::EMSGSIZE | Errno::EINVAL => runs.narrow(segment.into()),
            // The device has no checksums, or the way is encrypted.
            Errno::EIO | Errno::EOPNOTSUPP => runs.stop(),
            _ => return false,
        }
        true
    }
}

impl Sent {
    /// Notes why the kernel has not taken `count` datagrams.
    fn lose(&mut self, errno: Errno, count: usize) {
        if errno == Errno::EMSGSIZE {
            self.too_long += count;
        } else {
            self.failed += count;
        }
    }
}

impl Headers {
    fn of(&mut self, common: Common) -> &mut MultiHeaders<SockaddrStorage> {
        let number = match (common.from, common.segment) {
            (None, None) => 0,
            (None, Some(_)) => 1,
            (Some(IpAddr::V4(_)), None) => 2,
            (Some(IpAddr::V4(_)), Some(_)) => 3,
            (Some(IpAddr::V6(_)), None) => 4,
            (Some(IpAddr::V6(_)), Some(_)) => 5,
        };
        self.0[number].get_or_insert_with(|| {
            let control = match number {
                0 => None,
                1 => Some(nix::cmsg_space!(u16)),
                2 => Some(nix::cmsg_space!(libc::in_pktinfo)),
                3 => Some(nix::cmsg_space!(libc::in_pktinfo, u16)),
                4 => Some(nix::cmsg_space!(libc::in6_pktinfo)),
                _ => Some(nix::cmsg_space!(libc::in6_pktinfo, u16)),
            };
            MultiHeaders::preallocate(BATCH, control)
        })
    }
}

fn length(parts: &[IoSlice<'_>; 2]) -> usize {
    parts[0].len() + parts[1].len()
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
