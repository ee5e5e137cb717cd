//! The 64 bits that epoll stores for a socket and returns with each of its events.
//!
//! ```text
//!  63                            32 31                      8 7       0
//! ┌────────────────────────────────┬─────────────────────────┬─────────┐
//! │           generation           │           row           │  kind   │
//! └────────────────────────────────┴─────────────────────────┴─────────┘
//! ```
//!
//! The row and the kind are the socket's place in the route table, so that no search is needed. The
//! generation tells *which* socket was meant. Rows and file descriptors are reused, but generations
//! are not (for 2^32 sockets), so the event of a closed socket compares unequal and is dropped.

use std::fmt;

/// The two sockets of a session: one column of the route table each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The socket that was accepted: column 0.
    Client,
    /// The socket that was connected: column 1.
    Upstream,
}

impl Side {
    /// Returns the side at the other end of the session.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Upstream,
            Self::Upstream => Self::Client,
        }
    }

    /// Returns the column of the route table that belongs to this side.
    #[must_use]
    pub fn column(self) -> usize {
        match self {
            Self::Client => 0,
            Self::Upstream => 1,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
        })
    }
}

/// The kind of source that an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One socket of a session.
    Session(Side),
    /// The listening socket: clients are waiting in the accept queue.
    Listener,
    /// The eventfd: another thread has put a message into the mailbox.
    Waker,
    /// The one connection that all clients share (stage 5): it has a generation and no row.
    Link,
    /// The timer of the one direction that gathers (see `worker/gathering.rs`).
    Gathering,
    /// A socket for datagrams: it has a place in the tables of datagrams, and a generation there.
    Datagram(DatagramSocket),
}

/// The sockets for datagrams (see `udp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DatagramSocket {
    /// Where the datagrams of all clients arrive.
    Listener,
    /// Where the answers for one flow arrive.
    Flow,
    /// Where the datagrams of an association's client arrive.
    Client,
    /// Where the answers for an association arrive, with IPv4 addresses.
    Upstream4,
    /// Where they arrive with IPv6 addresses.
    Upstream6,
}

impl Kind {
    fn bits(self) -> u64 {
        match self {
            Self::Session(Side::Client) => 0,
            Self::Session(Side::Upstream) => 1,
            Self::Listener => 2,
            Self::Waker => 3,
            Self::Link => 4,
            Self::Datagram(DatagramSocket::Listener) => 5,
            Self::Datagram(DatagramSocket::Flow) => 6,
            Self::Datagram(DatagramSocket::Client) => 7,
            Self::Datagram(DatagramSocket::Upstream4) => 8,
            Self::Datagram(DatagramSocket::Upstream6) => 9,
            Self::Gathering => 10,
        }
    }

    fn from_bits(bits: u64) -> Option<Self> {
        match bits {
            0 => Some(Self::Session(Side::Client)),
            1 => Some(Self::Session(Side::Upstream)),
            2 => Some(Self::Listener),
            3 => Some(Self::Waker),
            4 => Some(Self::Link),
            5 => Some(Self::Datagram(DatagramSocket::Listener)),
            6 => Some(Self::Datagram(DatagramSocket::Flow)),
            7 => Some(Self::Datagram(DatagramSocket::Client)),
            8 => Some(Self::Datagram(DatagramSocket::Upstream4)),
            9 => Some(Self::Datagram(DatagramSocket::Upstream6)),
            10 => Some(Self::Gathering),
            _ => None,
        }
    }
}

/// The place of a socket in the route table, with a guard against earlier sockets in that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    kind: Kind,
    row: u32,
    generation: u32,
}

impl Token {
    /// The number of rows that a token can name.
    pub const MAX_ROWS: u32 = 1 << 24;

    /// The token of the listening socket.
    pub const LISTENER: Self = Self::listener(0);

    /// The token of the waker.
    pub const WAKER: Self = Self {
        kind: Kind::Waker,
        row: 0,
        generation: 0,
    };

    /// The token of the timer for the direction that gathers.
    pub const GATHERING: Self = Self {
        kind: Kind::Gathering,
        row: 0,
        generation: 0,
    };

    /// Names the socket of `generation` in one cell of the route table.
    ///
    /// # Panics
    ///
    /// Panics if `row` is not below [`Token::MAX_ROWS`]: the route table never has such a row.
    #[must_use]
    pub fn new(row: u32, side: Side, generation: u32) -> Self {
        assert!(row < Self::MAX_ROWS, "row {row} does not fit into a token");
        Self {
            kind: Kind::Session(side),
            row,
            generation,
        }
    }

    /// Names the socket of `generation` of a link, which has no row in a route table.
    #[must_use]
    pub fn link(generation: u32) -> Self {
        Self {
            kind: Kind::Link,
            row: 0,
            generation,
        }
    }

    /// Names a listening socket by its place among those of its worker, below [`Token::MAX_ROWS`];
    /// [`Token::LISTENER`] is the first.
    #[must_use]
    pub const fn listener(place: u32) -> Self {
        Self {
            kind: Kind::Listener,
            row: place,
            generation: 0,
        }
    }

    /// Names a socket for datagrams by its row in its own table, below [`Token::MAX_ROWS`].
    #[must_use]
    pub fn datagram(socket: DatagramSocket, row: u32, generation: u32) -> Self {
        Self {
            kind: Kind::Datagram(socket),
            row,
            generation,
        }
    }

    /// Returns the kind of source that the token names.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// Returns the row of the route table.
    #[must_use]
    pub fn row(self) -> u32 {
        self.row
    }

    /// Returns the generation of the socket.
    #[must_use]
    pub fn generation(self) -> u32 {
        self.generation
    }

    /// Packs the token into the 64 bits that a poller carries.
    #[must_use]
    pub fn pack(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.row) << 8 | self.kind.bits()
    }

    /// Unpacks a token, or returns `None` if the bits are none that [`Token::pack`] returns.
    #[must_use]
    pub fn unpack(bits: u64) -> Option<Self> {
        let [kind, row @ ..] = bits.to_le_bytes();
        let [r0, r1, r2, g0, g1, g2, g3] = row;
        Some(Self {
            kind: Kind::from_bits(u64::from(kind))?,
            row: u32::from_le_bytes([r0, r1, r2, 0]),
            generation: u32::from_le_bytes([g0, g1, g2, g3]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_fields_stand_where_the_picture_shows_them() {
        let token = Token::new(0x00ab_cdef, Side::Upstream, 0x1234_5678);
        assert_eq!(token.pack(), 0x1234_5678_abcd_ef01);
        assert_eq!(Token::LISTENER.pack(), 2);
        assert_eq!(Token::WAKER.pack(), 3);
        assert_eq!(Token::link(0x1234_5678).pack(), 0x1234_5678_0000_0004);
    }

    #[test]
    fn an_unknown_kind_is_nothing() {
        assert_eq!(Token::unpack(11), None);
        assert_eq!(Token::unpack(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn unpacking_undoes_packing(row in 0..Token::MAX_ROWS, generation: u32, client: bool) {
            let side = if client { Side::Client } else { Side::Upstream };
            let flow = Token::datagram(DatagramSocket::Flow, row, generation);
            let listener = Token::listener(row);
            for token in [Token::new(row, side, generation), Token::link(generation), flow, listener] {
                prop_assert_eq!(Token::unpack(token.pack()), Some(token));
            }
        }
    }
}
