//! One TCP socket as the kernel shows it, and how a line of `/proc/net/tcp` becomes one (`proc_net(5)`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The state of a connection that is open in both directions.
pub const ESTABLISHED: u8 = 1;
/// The state of a connection whose SYN has not been answered yet.
pub const SYN_SENT: u8 = 2;
/// The state of a connection whose other end has sent its FIN: it sends no more, but bytes may be left to read.
pub const CLOSE_WAIT: u8 = 8;
/// The timer of a connection on which nothing is unacknowledged, if the kernel probes a silent peer (`SO_KEEPALIVE`).
pub const KEEPALIVE: u8 = 2;
/// The timer of a sender whose peer has no room left: it asks now and then whether the window has opened.
pub const ZERO_WINDOW_PROBE: u8 = 4;

/// One TCP socket of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketRow {
    /// The socket's own address.
    pub local: SocketAddr,
    /// The other end; for a listener the unspecified address and port 0.
    pub remote: SocketAddr,
    /// The state as the kernel numbers it: [`ESTABLISHED`], [`SYN_SENT`], [`CLOSE_WAIT`], 10 listening.
    pub state: u8,
    /// Bytes sent and not yet acknowledged.
    pub unsent: u64,
    /// Bytes received and not yet read; for a listener the connections not yet accepted.
    pub unread: u64,
    /// The timer that runs as the kernel numbers it: 0 none, 1 retransmission, [`KEEPALIVE`], [`ZERO_WINDOW_PROBE`].
    pub timer: u8,
}

/// Parses one line of `/proc/net/tcp` or `/proc/net/tcp6`; `None` if it is the heading.
pub(crate) fn parse_row(line: &str) -> Option<SocketRow> {
    let mut fields = line.split_whitespace().skip(1);
    let local = parse_address(fields.next()?)?;
    let remote = parse_address(fields.next()?)?;
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let (unsent, unread) = fields.next()?.split_once(':')?;
    let (unsent, unread) = (parse_count(unsent)?, parse_count(unread)?);
    let (timer, _) = fields.next()?.split_once(':')?;
    let timer = u8::from_str_radix(timer, 16).ok()?;
    Some(SocketRow {
        local,
        remote,
        state,
        unsent,
        unread,
        timer,
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
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
