//! The kernel's TCP sockets: their states, and what a program has not read yet.
//!
//! With this a test waits until a program has read everything, in any language, without a sleep.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::diag;

/// The state of a connection that is open in both directions.
pub const ESTABLISHED: u8 = 1;
/// The state of a connection whose SYN nobody has answered yet.
pub const SYN_SENT: u8 = 2;

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketRow {
    /// The socket's own address.
    pub local: SocketAddr,
    /// The other end; for a listener the unspecified address and port 0.
    pub remote: SocketAddr,
    /// The state as the kernel numbers it: [`ESTABLISHED`], [`SYN_SENT`], 8 close wait, 10 listening.
    pub state: u8,
    /// Bytes sent and not yet acknowledged.
    pub unsent: u64,
    /// Bytes received and not yet read; for a listener the connections not yet accepted.
    pub unread: u64,
}

/// Returns the rows of all TCP sockets of this machine (`/proc/net/tcp`), IPv4 first.
#[must_use]
pub fn rows() -> Vec<SocketRow> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|path| fs::read_to_string(path).unwrap_or_default());
    tables
        .iter()
        .flat_map(|table| table.lines().filter_map(parse_row))
        .collect()
}

/// Returns the row of the socket at `local` that is connected to `remote`.
///
/// It asks the kernel about this one connection. Where the kernel does not know how to answer, it looks through
/// [`rows`], which takes a tenth of a second on a machine that has just run a benchmark.
#[must_use]
pub fn find(local: SocketAddr, remote: SocketAddr) -> Option<SocketRow> {
    let (local, remote) = (canonical(local), canonical(remote));
    diag::find(local, remote).unwrap_or_else(|_| {
        rows()
            .into_iter()
            .find(|row| row.local == local && row.remote == remote)
    })
}

/// Tells whether the socket of this connection at `local` is open in both directions.
#[must_use]
pub fn is_established(local: SocketAddr, remote: SocketAddr) -> bool {
    find(local, remote).is_some_and(|row| row.state == ESTABLISHED)
}

fn parse_row(line: &str) -> Option<SocketRow> {
    let mut fields = line.split_whitespace().skip(1);
    let local = parse_address(fields.next()?)?;
    let remote = parse_address(fields.next()?)?;
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let (unsent, unread) = fields.next()?.split_once(':')?;
    let (unsent, unread) = (parse_count(unsent)?, parse_count(unread)?);
    Some(SocketRow {
        local,
        remote,
        state,
        unsent,
        unread,
    })
}

fn parse_count(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// Parses `0100007F:1F90`: 32-bit words in the machine's byte order, then the port.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut octets = Vec::new();
    for start in (0..address.len()).step_by(8) {
        let word = u32::from_str_radix(address.get(start..start + 8)?, 16).ok()?;
        octets.extend_from_slice(&word.to_ne_bytes());
    }
    let address = match <[u8; 4]>::try_from(octets.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(
            <[u8; 16]>::try_from(octets.as_slice()).ok()?,
        )),
    };
    Some(canonical(SocketAddr::new(address, port)))
}

/// Writes an IPv4 address that is mapped into IPv6 as IPv4, and drops scope and flow.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    #[test]
    #[cfg(target_endian = "little")]
    fn a_row_is_parsed() {
        let line =
            "   1: 0100007F:1F90 0100007F:C350 01 00000003:0000000A 00:00000000 00000000  0 0 1 1";
        let row = parse_row(line).unwrap();
        assert_eq!(row.local, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(row.remote, "127.0.0.1:50000".parse().unwrap());
        assert_eq!((row.state, row.unsent, row.unread), (1, 3, 10));
        assert_eq!(
            parse_row("  sl  local_address rem_address   st tx_queue rx_queue"),
            None
        );
    }

    #[test]
    fn unread_bytes_are_seen() {
        for address in ["127.0.0.1:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                continue;
            };
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.write_all(b"12345").unwrap();
            let (local, remote) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            let row = find(remote, local).unwrap();
            assert_eq!(
                (row.state, row.unsent, row.unread),
                (ESTABLISHED, 0, 5),
                "{address}"
            );
            assert_eq!(
                (row.local, row.remote),
                (canonical(remote), canonical(local))
            );
            assert!(rows().contains(&row), "both ways say the same");
            assert_eq!(find(local, remote).unwrap().unread, 0);
        }
    }

    #[test]
    fn a_listener_is_no_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let nobody = "127.0.0.1:1".parse().unwrap();
        assert_eq!(find(address, nobody), None);
        assert_eq!(find(nobody, address), None);
        assert_eq!(
            diag::find(address, nobody).unwrap(),
            None,
            "an answer, not an error"
        );
    }
}
