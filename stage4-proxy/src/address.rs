//! Addresses of sockets: of the internet, or of a Unix socket (`unix(7)`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The word in front of the path of a Unix socket.
const UNIX: &str = "unix:";
/// The longest path: the kernel's `sun_path` without the zero behind it (`unix(7)`).
const MAX_PATH: usize = 107;

/// Where a proxy listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// At an address and a port.
    Internet(SocketAddr),
    /// At a Unix socket with this path.
    Unix(PathBuf),
}

/// The other end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAddr {
    /// An address and a port.
    Internet(SocketAddr),
    /// A program of this machine at a Unix socket, which mostly has no name.
    Unix,
}

impl ListenAddress {
    /// Returns the address and the port, if they are the internet's.
    #[must_use]
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Internet(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl PeerAddr {
    /// Returns the address that rules judge the peer by: a program at a Unix socket counts as one at 127.0.0.1, because
    /// both are on this machine.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        match self {
            Self::Internet(address) => address.ip(),
            Self::Unix => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// Returns the address and the port, if they are the internet's.
    #[must_use]
    pub fn socket_addr(self) -> Option<SocketAddr> {
        match self {
            Self::Internet(address) => Some(address),
            Self::Unix => None,
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Internet(address)
    }
}

impl From<SocketAddr> for PeerAddr {
    fn from(address: SocketAddr) -> Self {
        Self::Internet(address)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internet(address) => write!(formatter, "{address}"),
            Self::Unix(path) => formatter.write_str(&unix_text(path)),
        }
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internet(address) => write!(formatter, "{address}"),
            Self::Unix => formatter.write_str("unix"),
        }
    }
}

/// Writes the path of a Unix socket as the command line does: `unix:PATH`.
#[must_use]
pub fn unix_text(path: &Path) -> String {
    format!("{UNIX}{}", path.display())
}

/// Reads `unix:PATH`; returns `None` if the text does not begin like that.
///
/// # Errors
///
/// Fails with one sentence for the user if there is no path, or if it is longer than the kernel's 107 bytes.
pub fn parse_unix(text: &str) -> Option<Result<PathBuf, String>> {
    let path = text.strip_prefix(UNIX)?;
    let length = path.len();
    Some(match path {
        "" => Err("there is no path behind unix:, write unix:/run/NAME.sock".to_owned()),
        _ if length > MAX_PATH => Err(format!(
            "the path of a Unix socket has at most {MAX_PATH} bytes, and this one has {length}: a relative path is shorter"
        )),
        _ => Ok(path.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_unix_sockets() {
        assert_eq!(
            parse_unix("unix:/run/a.sock"),
            Some(Ok("/run/a.sock".into()))
        );
        assert_eq!(parse_unix("unix:a"), Some(Ok("a".into())));
        assert_eq!(parse_unix("localhost:80"), None);
        assert!(
            parse_unix("unix:")
                .unwrap()
                .unwrap_err()
                .contains("no path")
        );
        let path = |length| format!("unix:{}", "x".repeat(length));
        assert!(parse_unix(&path(107)).unwrap().is_ok());
        assert!(
            parse_unix(&path(108))
                .unwrap()
                .unwrap_err()
                .contains("107 bytes")
        );
    }

    #[test]
    fn addresses_are_written_as_they_are_read() {
        let unix = ListenAddress::Unix("/run/a.sock".into());
        assert_eq!(unix.to_string(), "unix:/run/a.sock");
        assert_eq!(unix.socket_addr(), None);
        let address: SocketAddr = "[::1]:80".parse().unwrap();
        assert_eq!(ListenAddress::from(address).to_string(), "[::1]:80");
        assert_eq!(PeerAddr::from(address).to_string(), "[::1]:80");
        assert_eq!(
            (PeerAddr::Unix.to_string(), PeerAddr::Unix.socket_addr()),
            ("unix".to_owned(), None)
        );
        assert!(PeerAddr::Unix.ip().is_loopback());
    }

    #[test]
    fn a_peer_takes_no_more_room_than_its_address() {
        assert_eq!(size_of::<PeerAddr>(), size_of::<SocketAddr>());
    }
}
