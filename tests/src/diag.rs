//! Asks the kernel about one TCP connection, over netlink: `sock_diag(7)`.
//!
//! ```text
//!   bytes of the request                       bytes of the answer
//!    0..16  header: length, type, flags, ..     0..16  header: length, type, ..
//!   16..20  family, protocol, 0, 0             16..20  family, state, timer, ..
//!   20..24  states wanted: all                 20..24  own port, other port (big-endian)
//!   24..28  own port, other port (big-endian)  24..68  the rest of the identity
//!   28..44  own address                        68..72  expires
//!   44..60  other address                      72..76  bytes not yet read by the program
//!   60..72  interface: any; cookie: any        76..80  bytes not yet acknowledged by the other side
//! ```

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::socket_row::SocketRow;

/// `AF_NETLINK`: sockets that talk to the kernel, `netlink(7)`.
const AF_NETLINK: i32 = 16;
/// `NETLINK_SOCK_DIAG`: the netlink protocol for questions about sockets.
const NETLINK_SOCK_DIAG: i32 = 4;
/// `SOCK_DIAG_BY_FAMILY`: the type of request and answer; "no such socket" has another one.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// The length of a request.
const LENGTH: u8 = 72;

/// Returns what the kernel knows about the socket at `local` that is connected to `remote`; `None` if there is none.
///
/// # Errors
///
/// Fails if the kernel has no `sock_diag(7)` for TCP.
pub(crate) fn find(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<SocketRow>> {
    let socket = Socket::new(
        Domain::from(AF_NETLINK),
        Type::DGRAM,
        Some(Protocol::from(NETLINK_SOCK_DIAG)),
    )?;
    // The kernel answers at once; the limit keeps a test from blocking forever on one that does not.
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut answer = [0; 1024];
    let (mut sending, mut receiving) = (&socket, &socket);
    sending.write_all(&request(local, remote))?;
    let length = receiving.read(&mut answer)?;
    parse(&answer[..length], local, remote)
}

fn request(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let family = if local.is_ipv4() { 2 } else { 10 };
    let mut bytes = u32::from(LENGTH).to_ne_bytes().to_vec();
    bytes.extend_from_slice(&BY_FAMILY.to_ne_bytes());
    bytes.extend_from_slice(&REQUEST.to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&[family, TCP, 0, 0]);
    bytes.extend_from_slice(&[0xff; 4]);
    bytes.extend_from_slice(&local.port().to_be_bytes());
    bytes.extend_from_slice(&remote.port().to_be_bytes());
    bytes.extend_from_slice(&sixteen_bytes(local.ip()));
    bytes.extend_from_slice(&sixteen_bytes(remote.ip()));
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&[0xff; 8]);
    bytes
}

/// An IPv4 address takes the first four bytes.
fn sixteen_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(four) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&four.octets());
            bytes
        }
        IpAddr::V6(six) => six.octets(),
    }
}

fn parse(answer: &[u8], local: SocketAddr, remote: SocketAddr) -> io::Result<Option<SocketRow>> {
    let number = |at: usize| {
        answer
            .get(at..at + 4)
            .map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))
    };
    let (Some(kind), Some(detail)) = (answer.get(4..6), number(16)) else {
        return Err(ErrorKind::InvalidData.into());
    };
    if kind != BY_FAMILY.to_ne_bytes() {
        // NLMSG_ERROR carries a negative errno; ENOENT (2) is the answer "there is none".
        let errno = i32::from_ne_bytes(detail.to_ne_bytes()).wrapping_neg();
        return if errno == 2 {
            Ok(None)
        } else {
            Err(io::Error::from_raw_os_error(errno))
        };
    }
    let ports = [local.port().to_be_bytes(), remote.port().to_be_bytes()].concat();
    // Without a connection the kernel offers the listener at the same port, which is another socket.
    if answer.get(20..24) != Some(&ports[..]) {
        return Ok(None);
    }
    let (Some(unread), Some(unsent)) = (number(72), number(76)) else {
        return Err(ErrorKind::InvalidData.into());
    };
    Ok(Some(SocketRow {
        local,
        remote,
        state: answer[17],
        unsent: unsent.into(),
        unread: unread.into(),
        timer: answer[18],
    }))
}
