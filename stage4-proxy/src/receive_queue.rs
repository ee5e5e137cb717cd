//! The receive queue of a socket: the bytes that have come and that nobody has read.

use nix::libc;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SetStruct;
use socket2::Socket;

#[derive(Clone, Copy, Debug)]
struct LowWaterMark;

nix::setsockopt_impl!(
    LowWaterMark,
    libc::SOL_SOCKET,
    libc::SO_RCVLOWAT,
    u32,
    SetStruct<u32>
);

/// Has the kernel report a socket as readable only when so many bytes wait there, or an end, or an error
/// (`SO_RCVLOWAT`, `socket(7)`; epoll respects it since Linux 2.6.28); 1 is the default. If as many wait already, that is
/// a new event.
///
/// The kernel takes half of the largest receive queue (`net.ipv4.tcp_rmem`, `tcp(7)`) instead of more, and reports less
/// when its memory is short. A Unix socket is reported with its first byte all the same.
pub(crate) fn report_from(socket: &Socket, bytes: u32) {
    // It cannot fail: the number is in range, and the socket is open.
    let _ = setsockopt(socket, LowWaterMark, &bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use harness::PATIENCE;
    use stage3_epoll::{Events, Interest, Poll, Token};

    #[test]
    fn fewer_bytes_than_the_mark_are_no_event_until_it_is_lowered() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let near: Socket = listener.accept().unwrap().0.into();
        let poll = Poll::new().unwrap();
        poll.register(&near, Token(0), Interest::READABLE.edge())
            .unwrap();
        let mut events = Events::with_capacity(1);
        let mut come = |within| {
            poll.poll(&mut events, Some(within)).unwrap();
            events.iter().count()
        };
        let a_while = Duration::from_millis(50);
        report_from(&near, 10);
        far.write_all(b"nine bytes"[..9].as_ref()).unwrap();
        assert_eq!(come(a_while), 0, "9 of 10 bytes");
        far.write_all(b"s").unwrap();
        assert_eq!(come(PATIENCE), 1, "10 bytes");
        report_from(&near, 100);
        far.write_all(b"!").unwrap();
        assert_eq!(come(a_while), 0, "11 of 100 bytes");
        report_from(&near, 1);
        assert_eq!(come(PATIENCE), 1, "the mark is below what waits");
        report_from(&near, 100);
        drop(far);
        assert_eq!(come(PATIENCE), 1, "the end");
    }
}
