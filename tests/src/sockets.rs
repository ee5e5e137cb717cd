//! The kernel's view of TCP sockets: their states, and how many bytes are still unread.
//!
//! With this a test waits until a program in any language has read everything, and needs no sleep.

use std::fs;
use std::net::SocketAddr;

use crate::diag;
use crate::socket_row::{canonical, parse_row};

pub use crate::socket_row::{
    CLOSE_WAIT, ESTABLISHED, KEEPALIVE, SYN_SENT, SocketRow, ZERO_WINDOW_PROBE,
};

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

/// A view of the sockets that are being connected to one address, except those that were there before.
#[derive(Debug)]
pub struct Attempts {
    address: SocketAddr,
    known: Vec<SocketAddr>,
}

impl Attempts {
    /// Watches an address from now on; the sockets that are there already do not count, such as those of a black hole.
    #[must_use]
    pub fn to(address: SocketAddr) -> Self {
        // Twice, because the kernel does not print the table at one moment: a scan may miss a row.
        let scans = [rows(), rows()];
        let to_it = scans.iter().flatten().filter(|row| row.remote == address);
        let known = to_it.map(|row| row.local).collect();
        Self { address, known }
    }

    /// Returns how many sockets are being connected now.
    #[must_use]
    pub fn count(&self) -> usize {
        let is_one = |row: &SocketRow| {
            row.remote == self.address && row.state == SYN_SENT && !self.known.contains(&row.local)
        };
        rows().into_iter().filter(is_one).count()
    }
}

/// Returns the row of the socket at `local` that is connected to `remote`.
///
/// It asks the kernel about this one connection. If the kernel cannot answer that, it searches all [`rows`], which
/// takes a tenth of a second on a machine that has just run a benchmark.
#[must_use]
pub fn find(local: SocketAddr, remote: SocketAddr) -> Option<SocketRow> {
    let (local, remote) = (canonical(local), canonical(remote));
    diag::find(local, remote).unwrap_or_else(|_| {
        rows()
            .into_iter()
            .find(|row| row.local == local && row.remote == remote)
    })
}

/// Returns whether the socket of this connection at `local` is open in both directions.
#[must_use]
pub fn is_established(local: SocketAddr, remote: SocketAddr) -> bool {
    find(local, remote).is_some_and(|row| row.state == ESTABLISHED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

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
        let other = "127.0.0.1:1".parse().unwrap();
        assert_eq!(find(address, other), None);
        assert_eq!(find(other, address), None);
        assert_eq!(
            diag::find(address, other).unwrap(),
            None,
            "an answer, not an error"
        );
    }
}
