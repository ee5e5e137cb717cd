//! Creates every listening socket of the course.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

use crate::keepalive::Keepalive;

/// The options of a listening socket; the default suits a blocking server.
///
/// ```
/// use stage1_server::{ListenOptions, listen};
///
/// let options = ListenOptions { nonblocking: true, ..ListenOptions::default() };
/// let listener = listen("127.0.0.1:0".parse().unwrap(), &options).unwrap();
/// assert!(listener.nonblocking().unwrap());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// The length of the accept queue: connections that are complete and not accepted yet. The
    /// kernel silently lowers this number to `net.core.somaxconn`, so a large value means "as many
    /// as this machine allows".
    pub backlog: i32,
    /// Makes `accept(2)` fail with `EAGAIN` instead of waiting. Accepted sockets do not inherit it.
    pub nonblocking: bool,
    /// Lets several sockets listen on the same address; the kernel spreads clients over them.
    pub reuse_port: bool,
    /// Sends small writes at once instead of collecting them (Nagle's algorithm). On Linux every
    /// accepted socket inherits this option, which saves one system call for each client.
    pub nodelay: bool,
    /// Ends the connection of a client that has vanished; `None` waits for it forever. Accepted
    /// sockets inherit this, too.
    pub keepalive: Option<Keepalive>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 4096,
            nonblocking: false,
            reuse_port: false,
            nodelay: false,
            keepalive: Some(Keepalive::default()),
        }
    }
}

/// Creates a TCP socket that listens on `address`; port 0 asks the kernel for a free port.
///
/// The steps are those of every server: `socket(2)`, options, `bind(2)`, `listen(2)`. The options:
///
/// - `CLOEXEC`, always: a program started with `exec` does not inherit the socket.
/// - `SO_REUSEADDR`, always: a restarted server may bind although connections of its predecessor
///   are still in `TIME_WAIT` (`socket(7)`). On Linux it does not let two servers listen at once.
/// - `IPV6_V6ONLY`, always for IPv6: `[::]:8080` means IPv6 alone, whatever the machine's default
///   is, so that no IPv4 client appears under a mapped address like `::ffff:192.0.2.1` (`ipv6(7)`).
/// - `SO_REUSEPORT`, `TCP_NODELAY`, the [`Keepalive`] and the non-blocking mode as `options` say.
///
/// # Errors
/// Fails with one sentence that names the address and the reason: address already in use
/// (`EADDRINUSE`), permission denied (`EACCES`) or address not available (`EADDRNOTAVAIL`).
pub fn listen(address: SocketAddr, options: &ListenOptions) -> io::Result<Socket> {
    try_listen(address, options).map_err(|error| explain(address, &error))
}

/// Returns the address that `socket` is bound to, with the real port (`getsockname(2)`).
///
/// # Errors
/// Fails if the socket is not an internet socket.
pub fn local_addr(socket: &Socket) -> io::Result<SocketAddr> {
    let not_internet = || io::Error::other("the socket has no internet address");
    socket.local_addr()?.as_socket().ok_or_else(not_internet)
}

/// Takes the steps of [`listen`] and returns the kernel's own error if one of them fails.
fn try_listen(address: SocketAddr, options: &ListenOptions) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    if options.reuse_port {
        socket.set_reuse_port(true)?;
    }
    if options.nodelay {
        socket.set_tcp_nodelay(true)?;
    }
    if let Some(keepalive) = options.keepalive {
        keepalive.set_on(&socket)?;
    }
    socket.set_nonblocking(options.nonblocking)?;
    // The options come first, because bind(2) already looks at SO_REUSEADDR and SO_REUSEPORT.
    socket.bind(&address.into())?;
    socket.listen(options.backlog)?;
    Ok(socket)
}

fn explain(address: SocketAddr, error: &io::Error) -> io::Error {
    let kind = error.kind();
    let reason = if kind == io::ErrorKind::AddrInUse {
        "address already in use (another program listens there)".to_owned()
    } else if kind == io::ErrorKind::PermissionDenied {
        "permission denied (ports below 1024 need more rights)".to_owned()
    } else if kind == io::ErrorKind::AddrNotAvailable {
        "address not available (this machine does not have it)".to_owned()
    } else {
        error.to_string()
    };
    io::Error::new(kind, format!("cannot listen on {address}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn port_zero_becomes_a_real_port() {
        let socket = listen(loopback(), &ListenOptions::default()).unwrap();
        assert_ne!(local_addr(&socket).unwrap().port(), 0);
        assert!(socket.reuse_address().unwrap());
        assert!(!socket.nonblocking().unwrap());
    }

    #[test]
    fn a_port_in_use_is_one_clear_sentence() {
        let socket = listen(loopback(), &ListenOptions::default()).unwrap();
        let address = local_addr(&socket).unwrap();
        let error = listen(address, &ListenOptions::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let sentence = format!(
            "cannot listen on {address}: address already in use (another program listens there)"
        );
        assert_eq!(error.to_string(), sentence);
    }

    #[test]
    fn a_foreign_address_is_one_clear_sentence() {
        // 192.0.2.0/24 is reserved for documentation (RFC 5737): no machine has it.
        let address = "192.0.2.1:0".parse().unwrap();
        let error = listen(address, &ListenOptions::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
        assert!(error.to_string().contains("192.0.2.1"), "{error}");
    }

    #[test]
    fn each_reason_has_its_own_words() {
        let table = [
            (
                io::ErrorKind::AddrInUse,
                "address already in use (another program listens there)",
            ),
            (
                io::ErrorKind::PermissionDenied,
                "permission denied (ports below 1024 need more rights)",
            ),
            (
                io::ErrorKind::AddrNotAvailable,
                "address not available (this machine does not have it)",
            ),
            (io::ErrorKind::OutOfMemory, "out of memory"),
        ];
        for (kind, words) in table {
            let error = explain(loopback(), &kind.into());
            assert_eq!(error.kind(), kind);
            assert_eq!(
                error.to_string(),
                format!("cannot listen on 127.0.0.1:0: {words}")
            );
        }
    }

    #[test]
    fn reuse_port_lets_two_listeners_share_an_address() {
        let options = ListenOptions {
            reuse_port: true,
            ..ListenOptions::default()
        };
        let first = listen(loopback(), &options).unwrap();
        let second = listen(local_addr(&first).unwrap(), &options).unwrap();
        assert_eq!(local_addr(&first).unwrap(), local_addr(&second).unwrap());
    }

    #[test]
    fn accepted_sockets_inherit_nodelay() {
        let options = ListenOptions {
            nodelay: true,
            ..ListenOptions::default()
        };
        let listener = listen(loopback(), &options).unwrap();
        let _client = std::net::TcpStream::connect(local_addr(&listener).unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(accepted.tcp_nodelay().unwrap());
    }
}
