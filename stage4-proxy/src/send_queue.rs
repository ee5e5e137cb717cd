//! The send queue of a socket: the bytes that write(2) has taken and the peer has not acknowledged.
//!
//! A write only says that the kernel has room. It takes some megabytes in one go, and reports the
//! socket as writable again when a third of them is gone: to the loop, a client that reads slowly
//! looks like one that has stopped. The send queue tells them apart, because it shrinks with every
//! acknowledgement.

use std::io;
use std::os::fd::AsFd;

use nix::libc::{self, c_int};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::GetStruct;
use socket2::Socket;

/// `SO_MEMINFO` (since Linux 4.12; not in `socket(7)`, but in the kernel's `asm-generic/socket.h`):
/// the memory of a socket. `libc` does not name it.
const SO_MEMINFO: c_int = 55;

/// The place of `SK_MEMINFO_WMEM_QUEUED`, the memory of the send queue (`linux/sock_diag.h`).
const WMEM_QUEUED: usize = 5;

/// The readings up to the one that we need.
type Readings = [u32; WMEM_QUEUED + 1];

#[derive(Clone, Copy, Debug)]
struct MemoryInfo;

// `TCP_INFO` counts in bytes instead of memory, but its length depends on the kernel's version.
nix::getsockopt_impl!(
    MemoryInfo,
    libc::SOL_SOCKET,
    SO_MEMINFO,
    Readings,
    GetStruct<Readings>
);

/// How many bytes of a send queue may wait unsent before the socket counts as full: 1 MiB, in every session.
///
/// Without this limit the kernel takes bytes until the whole queue has the size of `net.ipv4.tcp_wmem` (4 MiB by
/// default), although the peer's window is closed. Bytes in flight do not count, so it costs a long, fast link nothing.
/// A quarter of it made the loop wake so often that a gigabyte cost a fifth more processor time.
const MAX_UNSENT: u32 = 1024 * 1024;

/// Limits the unsent bytes of a socket (`TCP_NOTSENT_LOWAT`, since Linux 3.12). Accepted sockets inherit it from their
/// listener.
///
/// # Errors
///
/// Fails if it is not a TCP socket.
pub(crate) fn limit_unsent(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_notsent_lowat(MAX_UNSENT)
}

/// Returns the memory of the send queue in bytes, a little more than it has bytes for the peer.
///
/// It is 0 once the peer has acknowledged every byte and the FIN, and on kernels that do not tell.
#[must_use]
pub fn memory(socket: &impl AsFd) -> u32 {
    getsockopt(socket, MemoryInfo).map_or(0, |readings| readings[WMEM_QUEUED])
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use harness::{PATIENCE, eventually};

    #[test]
    fn it_shrinks_as_the_peer_reads_and_is_0_in_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        assert_eq!(memory(&near), 0);
        near.set_nonblocking(true).unwrap();
        let mut written = 0;
        while let Ok(count) = near.write(&[7; 64 * 1024]) {
            written += count;
        }
        let before = memory(&near);
        assert!(before > 0, "bytes wait for the peer");
        let mut room = vec![0; written / 2];
        far.read_exact(&mut room).unwrap();
        eventually("the kernel has freed some of it", PATIENCE, || {
            memory(&near) < before
        });
        far.read_exact(&mut room[..written - written / 2 - 1])
            .unwrap();
        far.read_exact(&mut [0]).unwrap();
        eventually("the kernel has freed all of it", PATIENCE, || {
            memory(&near) == 0
        });
    }
}
