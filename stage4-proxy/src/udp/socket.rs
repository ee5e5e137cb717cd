//! The sockets for datagrams.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::sockopt::{
    Ipv4PacketInfo, Ipv4RecvErr, Ipv6RecvErr, Ipv6RecvPacketInfo, UdpGroSegment,
};
use nix::sys::socket::{MsgFlags, recvmsg, setsockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Bytes of datagrams that may wait in the kernel for a worker; it allows less if `net.core.rmem_max` does
/// (`socket(7)`). A burst of the clients waits here, and there is no other backpressure.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Bytes of answers that may wait at the socket of a flow or an association: with the kernel's usual 200 KiB, answers to
/// 300 small datagrams fill it.
const ANSWERS_BUFFER: usize = 1024 * 1024;

/// Errors of one socket that are read in one turn.
const ERRORS_PER_TURN: usize = 64;

/// Creates the socket that the datagrams of all clients arrive at.
///
/// `SO_REUSEADDR` is not set: unlike with TCP, it would let two programs share a port (`socket(7)`). With
/// `reuse_port`, the kernel spreads clients over the sockets of all workers by a hash of both addresses, so that
/// the datagrams of one client stay with one worker.
///
/// # Errors
///
/// Fails if the address is in use or not this machine's, with a sentence that says so.
pub(crate) fn listen(address: SocketAddr, reuse_port: bool) -> io::Result<Socket> {
    let doing = format!("receive datagrams on {address}");
    try_listen(address, reuse_port).map_err(|error| {
        let kind = error.kind();
        // In the words that people search for.
        let reason = if kind == io::ErrorKind::AddrInUse {
            "address already in use (another program receives there)".to_owned()
        } else {
            error.to_string()
        };
        io::Error::new(kind, format!("cannot {doing}: {reason}"))
    })
}

fn try_listen(address: SocketAddr, reuse_port: bool) -> io::Result<Socket> {
    let socket = new(address)?;
    socket.set_reuse_port(reuse_port)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    // Before bind(2), so that no datagram arrives without it.
    if address.ip().is_unspecified() {
        match address {
            SocketAddr::V4(_) => setsockopt(&socket, Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, Ipv6RecvPacketInfo, &true)?,
        }
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Creates a socket that sends to `peer` only, and gets datagrams of no other sender.
///
/// # Errors
///
/// Fails if there is no route or no descriptor.
pub(super) fn connected(peer: SocketAddr) -> io::Result<Socket> {
    let socket = new(peer)?;
    socket.set_recv_buffer_size(ANSWERS_BUFFER)?;
    socket.connect(&peer.into())?;
    Ok(socket)
}

/// Creates a socket that can send to `peer`, and gets datagrams of every sender.
///
/// The kernel puts the ICMP messages for such a socket into a queue if it is asked to (`ip(7)`, `IP_RECVERR`);
/// otherwise a closed port would look like a silent one.
///
/// # Errors
///
/// Fails if there is no route or no descriptor.
pub(super) fn unconnected(peer: SocketAddr) -> io::Result<Socket> {
    let socket = bound(unspecified(peer))?;
    match peer {
        SocketAddr::V4(_) => setsockopt(&socket, Ipv4RecvErr, &true)?,
        SocketAddr::V6(_) => setsockopt(&socket, Ipv6RecvErr, &true)?,
    }
    Ok(socket)
}

/// Creates a socket with an address of its own, which hears nothing of ICMP messages.
///
/// # Errors
///
/// Fails if the address is not this machine's, or if there is no descriptor.
pub(super) fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = new(address)?;
    socket.set_recv_buffer_size(ANSWERS_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Checks that there is a route to an address: connect(2) on a datagram socket sends nothing (`udp(7)`).
///
/// # Errors
///
/// Fails if there is none, or no descriptor.
pub(super) fn check_route(peer: SocketAddr) -> io::Result<()> {
    UdpSocket::bind(unspecified(peer))?.connect(peer)
}

/// Lets the kernel join equally long datagrams of one sender into runs (`udp(7)`, `UDP_GRO`); returns whether it can.
pub(super) fn ask_for_runs(socket: &Socket) -> bool {
    setsockopt(socket, UdpGroSegment, &true).is_ok()
}

/// Reads the queue of errors until it is empty, because it keeps the poller awake.
pub(super) fn drain_errors(socket: &Socket) {
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    for _ in 0..ERRORS_PER_TURN {
        if recvmsg::<()>(socket.as_raw_fd(), &mut [], None, flags).is_err() {
            return;
        }
    }
}

/// Returns the address of any interface and any port, of the family of `address`.
pub(super) fn unspecified(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    (ip, 0).into()
}

fn new(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Returns the address that a socket is bound to.
pub(super) fn local_addr(socket: &Socket) -> Option<SocketAddr> {
    socket
        .local_addr()
        .ok()
        .as_ref()
        .and_then(SockAddr::as_socket)
}
