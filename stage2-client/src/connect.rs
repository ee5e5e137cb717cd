//! Connects to a server: blocking with a time limit, or non-blocking in two steps.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};

/// Connects to the first of `addresses` that answers; each one gets the whole `timeout`.
///
/// An address that refuses, is unreachable or does not answer is skipped, because a host with
/// several addresses is up as long as one of them is. The socket comes back in blocking mode.
///
/// # Errors
/// Fails if no address answers: the text names each address and its reason, the kind is that of
/// the last one. Fails with [`io::ErrorKind::InvalidInput`] if there is no address to try.
pub fn connect(addresses: &[SocketAddr], timeout: Duration) -> io::Result<Socket> {
    let mut failures = Vec::new();
    for &address in addresses {
        match connect_one(address, timeout) {
            Ok(socket) => return Ok(socket),
            Err(error) => failures.push((address, error)),
        }
    }
    Err(no_answer(&failures, timeout))
}

/// Connects to one address with a socket of its own, and waits for `timeout` at most.
fn connect_one(address: SocketAddr, timeout: Duration) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.connect_timeout(&address.into(), timeout)?;
    Ok(socket)
}

/// Makes the error of [`connect`]: `cannot connect to ADDRESS (REASON) or ADDRESS (REASON)`, with [`reason`] for each.
fn no_answer(failures: &[(SocketAddr, io::Error)], timeout: Duration) -> io::Error {
    let Some((_, last)) = failures.last() else {
        let sentence = "cannot connect: there is no address to try";
        return io::Error::new(io::ErrorKind::InvalidInput, sentence);
    };
    let tried: Vec<_> = failures
        .iter()
        .map(|(address, error)| format!("{address} ({})", reason(error, timeout)))
        .collect();
    let sentence = format!("cannot connect to {}", tried.join(" or "));
    io::Error::new(last.kind(), sentence)
}

fn reason(error: &io::Error, timeout: Duration) -> String {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        "connection refused".to_owned()
    } else if error.kind() == io::ErrorKind::TimedOut {
        format!(
            "timed out: no answer within {}",
            humantime::format_duration(timeout)
        )
    } else {
        error.to_string()
    }
}

/// Starts to connect and returns at once: the socket is non-blocking and close-on-exec.
///
/// The socket becomes writable when the connection is made or has failed; then ask
/// [`finish_connect`] which of the two. `EINPROGRESS` says that the handshake is in progress, so it
/// is not an error (`connect(2)`).
///
/// # Errors
/// Fails at once if no socket can be made, or if the kernel already knows that the address cannot
/// be reached (`ENETUNREACH`, `EADDRNOTAVAIL`); on loopback even a refusal may come at once.
pub fn start_connect(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(domain, kind, Some(Protocol::TCP))?;
    match socket.connect(&address.into()) {
        Ok(()) => Ok(socket),
        // Compared by number, because std has no stable ErrorKind for it.
        Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => Ok(socket),
        Err(error) => Err(error),
    }
}

/// Returns the outcome of a connection begun by [`start_connect`], once its socket is writable.
///
/// Writable alone proves nothing: a refused connection is writable, too. The kernel keeps the
/// outcome in `SO_ERROR` and hands it out once (`socket(7)`).
///
/// # Errors
/// Fails with the reason why the connection was not made, for example `ECONNREFUSED`.
pub fn finish_connect(socket: &Socket) -> io::Result<()> {
    match socket.take_error()? {
        None => Ok(()),
        Some(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(150);

    /// Listens without the code of stage 1, which is not what these tests are about.
    fn listener(backlog: i32) -> (Socket, SocketAddr) {
        let (socket, address) = refusing("127.0.0.1:0").unwrap();
        socket.listen(backlog).unwrap();
        (socket, address)
    }

    /// Binds a port and does not listen: connecting is refused, and no other program can take the
    /// port.
    fn refusing(address: &str) -> Option<(Socket, SocketAddr)> {
        let address: SocketAddr = address.parse().unwrap();
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).ok()?;
        socket.bind(&address.into()).ok()?;
        let address = socket.local_addr().ok()?.as_socket()?;
        Some((socket, address))
    }

    /// A listener whose accept queue is full answers no further SYN: a black hole on loopback.
    fn black_hole() -> (Vec<Socket>, SocketAddr) {
        let (listener, address) = listener(0);
        let mut sockets = vec![listener];
        // Backlog 0 still takes one connection; the second one finds the queue full.
        loop {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            if filler.connect_timeout(&address.into(), SHORT).is_err() {
                break;
            }
            sockets.push(filler);
            assert!(sockets.len() < 16, "the accept queue never fills");
        }
        (sockets, address)
    }

    fn wait_until_writable(socket: &Socket) {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd as _;
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
        let timeout = PollTimeout::try_from(PATIENCE).unwrap();
        assert_eq!(poll(&mut fds, timeout), Ok(1));
    }

    #[test]
    fn connects_and_is_blocking_again() {
        let (_listener, address) = listener(8);
        let socket = connect(&[address], PATIENCE).unwrap();
        assert!(!socket.nonblocking().unwrap());
        assert_eq!(socket.peer_addr().unwrap().as_socket(), Some(address));
    }

    #[test]
    fn ipv6_refused_then_ipv4_works() {
        // On a machine without IPv6 the first address is unreachable instead of refused: it is
        // skipped all the same.
        let ipv6 = refusing("[::1]:0");
        let first = ipv6
            .as_ref()
            .map_or("[::1]:9".parse().unwrap(), |(_, address)| *address);
        let (_listener, second) = listener(8);
        let socket = connect(&[first, second], PATIENCE).unwrap();
        assert_eq!(socket.peer_addr().unwrap().as_socket(), Some(second));
    }

    #[test]
    fn a_silent_address_then_one_that_works() {
        let (_sockets, silent) = black_hole();
        let (_listener, works) = listener(8);
        let socket = connect(&[silent, works], SHORT).unwrap();
        assert_eq!(socket.peer_addr().unwrap().as_socket(), Some(works));
    }

    #[test]
    fn the_error_names_every_address_and_its_reason() {
        let (_sockets, silent) = black_hole();
        let (_bound, refused) = refusing("127.0.0.1:0").unwrap();
        let error = connect(&[silent, refused], SHORT).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let sentence = format!(
            "cannot connect to {silent} (timed out: no answer within 150ms) or {refused} (connection refused)"
        );
        assert_eq!(error.to_string(), sentence);
    }

    #[test]
    fn no_address_is_an_error_too() {
        let error = connect(&[], PATIENCE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_started_connection_finishes() {
        let (_listener, address) = listener(8);
        let socket = start_connect(address).unwrap();
        assert!(socket.nonblocking().unwrap());
        wait_until_writable(&socket);
        finish_connect(&socket).unwrap();
    }

    #[test]
    fn a_refused_connection_is_writable_and_has_failed() {
        let (_bound, address) = refusing("127.0.0.1:0").unwrap();
        let outcome = start_connect(address).and_then(|socket| {
            wait_until_writable(&socket);
            finish_connect(&socket)
        });
        let kind = outcome.unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_silent_address_does_not_hold_the_caller() {
        let (_sockets, address) = black_hole();
        let socket = start_connect(address).unwrap();
        finish_connect(&socket).unwrap();
        assert!(socket.peer_addr().is_err(), "still in progress");
    }
}
