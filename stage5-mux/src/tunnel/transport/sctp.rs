//! `sctp:` and `sctp-listen:`: a stream of SCTP, where the kernel has it (`sctp(7)`, RFC 9260).
//!
//! A one-to-one socket reads and writes like one of TCP, so it is an endpoint like any other. SCTP keeps the boundaries of
//! messages, which mean nothing to a link, and it knows no half-close, which a link does not need.

use std::io;
use std::net::SocketAddr;

use nix::libc;
use nix::sys::socket::setsockopt;
use socket2::{Domain, Protocol, Socket, Type};

/// As many as the machine allows.
const BACKLOG: i32 = 4096;

/// `SOL_SCTP` (`linux/socket.h`).
const SOL_SCTP: i32 = 132;
/// `SCTP_NODELAY` (`linux/sctp.h`).
const SCTP_NODELAY: i32 = 3;

#[derive(Clone, Copy, Debug)]
struct NoDelay;

nix::setsockopt_impl!(
    NoDelay,
    SOL_SCTP,
    SCTP_NODELAY,
    bool,
    nix::sys::socket::sockopt::SetBool
);

/// Checks that the kernel has SCTP.
///
/// # Errors
///
/// Fails with one sentence if it has not.
pub(in crate::tunnel) fn check() -> io::Result<()> {
    socket(Domain::IPV4).map(drop)
}

/// Creates a non-blocking socket that listens.
///
/// # Errors
///
/// Fails with one sentence if the kernel has no SCTP, or if it refuses the address.
pub(super) fn listen(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket(Domain::for_address(address))?;
    let listening = socket
        .bind(&address.into())
        .and_then(|()| socket.listen(BACKLOG));
    let explain = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    };
    listening.map_err(explain)?;
    Ok(socket)
}

/// Begins to connect; the socket is writable once it is decided.
///
/// # Errors
///
/// Fails if the kernel has no SCTP, or if it refuses the address at once.
pub(in crate::tunnel) fn start_connect(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket(Domain::for_address(address))?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(nix::errno::Errno::EINPROGRESS as i32) => {
            Err(error)
        }
        Ok(()) | Err(_) => Ok(socket),
    }
}

fn socket(domain: Domain) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking();
    let socket =
        Socket::new(domain, kind, Some(Protocol::SCTP)).map_err(|error| explain(&error))?;
    // Without it, a small frame waits for the acknowledgement of the one before.
    let _ = setsockopt(&socket, NoDelay, &true);
    Ok(socket)
}

fn explain(error: &io::Error) -> io::Error {
    let why = format!("cannot use SCTP: {error} (the kernel needs its module: modprobe sctp)");
    io::Error::new(error.kind(), why)
}
