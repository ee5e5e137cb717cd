//! A socket as the inspector shows it: asked of the kernel at the moment of the copy, and at no other time.

use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use socket2::{SockAddr, Socket};

use crate::address::PeerAddr;
use crate::inspect::{EndpointView, UnixView};
use crate::kernel_queues;
use crate::token::Side;

/// Copies out what the inspector shows of the socket at one side of a session: its addresses, and the bytes that the kernel
/// holds of it (see [`kernel_queues`]).
///
/// A `side` of [`Side::Client`] has connected to us, and one of [`Side::Upstream`] was connected from here. `peer` may be
/// another address than the kernel's, for example of the client that a PROXY protocol header has named.
#[must_use]
pub fn of(socket: &Socket, peer: PeerAddr, side: Side) -> EndpointView {
    let local = socket.local_addr().ok().and_then(|it| it.as_socket());
    EndpointView {
        fd: socket.as_raw_fd(),
        local,
        peer: peer.socket_addr(),
        unix: local.is_none().then(|| unix_view(socket)),
        kernel: kernel_queues::of(socket, side),
    }
}

fn unix_view(socket: &Socket) -> UnixView {
    let path_of = |address: io::Result<SockAddr>| {
        let path = address.ok()?.as_pathname()?.display().to_string();
        Some(path)
    };
    let credentials = getsockopt(socket, PeerCredentials).ok();
    UnixView {
        // Only the end that listens has a name: ours for a client, the other one for an upstream.
        path: path_of(socket.local_addr()).or_else(|| path_of(socket.peer_addr())),
        pid: credentials.map(|it| it.pid()),
        uid: credentials.map(|it| it.uid()),
    }
}
