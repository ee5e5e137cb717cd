//! A TCP socket, not yet bound or connected, with the sizes of buffers and segments that a test chooses.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// The sizes of a socket; `None` leaves the choice to the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SocketOptions {
    /// `SO_RCVBUF`, which also limits the window that the other side sees.
    pub(crate) receive_buffer: Option<usize>,
    /// `SO_SNDBUF`.
    pub(crate) send_buffer: Option<usize>,
    /// `TCP_MAXSEG`, which the other side is told in the handshake.
    pub(crate) segment: Option<u32>,
}

impl SocketOptions {
    /// Creates a blocking TCP socket of `address`'s family.
    ///
    /// # Errors
    ///
    /// Fails like `socket(2)` and `setsockopt(2)`.
    pub(crate) fn open(self, address: SocketAddr) -> io::Result<Socket> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        // Before connect and listen, because the window scale is agreed on in the handshake; accepted sockets inherit both sizes.
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.segment {
            socket.set_tcp_mss(bytes)?;
        }
        Ok(socket)
    }
}
