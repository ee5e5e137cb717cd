//! What a header says, whatever its version.

use std::net::SocketAddr;

/// Whose connection the sender of a header relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client's.
    Client {
        /// The client's address.
        source: SocketAddr,
        /// The address that the client has connected to.
        destination: SocketAddr,
    },
    /// The sender's own, such as a health check, or that of a client whose address it cannot say: then the
    /// addresses of the connection itself count.
    Sender,
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A part of a header.
    Incomplete,
    /// A whole header of `length` bytes; the rest is the client's.
    Complete {
        /// Whose connection it is.
        origin: Origin,
        /// The length of the header.
        length: usize,
    },
    /// No header, for this reason.
    Malformed(&'static str),
}

impl Origin {
    /// Creates the origin of a client. Addresses of IPv4 mapped into IPv6 become those of IPv4, so that one client has
    /// one address, however it was written.
    pub(super) fn client(source: SocketAddr, destination: SocketAddr) -> Self {
        let canonical =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        Self::Client {
            source: canonical(source),
            destination: canonical(destination),
        }
    }
}
