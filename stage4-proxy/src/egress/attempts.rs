//! The attempts to connect one session, as long as none of them is its upstream.

use std::time::Instant;

use crate::egress::permits::Permit;
use crate::endpoint::Endpoint;
use crate::race::Race;
use crate::token::Token;

/// The attempts of a session in the phase `Connecting`.
///
/// ```text
///   one address        ──▶ Only ────────────────────────────▶ connected
///   several addresses  ──▶ Race: at most 3 sockets ─────────▶ the winner moves into the cell
/// ```
#[derive(Debug)]
pub(crate) enum Attempts {
    /// The socket is the session's upstream already, and its token is in the upstream's cell.
    Only {
        /// When the attempt began.
        since: Instant,
    },
    /// The upstream's cell is empty until a socket has won. Boxed, because every row of the table
    /// has room for a phase, and few sessions are in a race.
    Race(Box<Race<Racer>>),
}

/// One socket of a race.
#[derive(Debug)]
pub(crate) struct Racer {
    /// The token of its events, which is in no cell yet.
    pub(crate) token: Token,
    /// The socket.
    pub(crate) endpoint: Endpoint,
    /// The right to this socket, given back when it is closed or has won; `None` for a socket that
    /// the session has room for anyway.
    _permit: Option<Permit>,
}

impl Racer {
    /// Enters a socket into a race.
    pub(crate) fn new(token: Token, endpoint: Endpoint, permit: Option<Permit>) -> Self {
        Self {
            token,
            endpoint,
            _permit: permit,
        }
    }
}

/// A socket of which the kernel has announced that its connect(2) has ended, well or not.
#[derive(Debug)]
pub(crate) struct Concluded {
    /// The socket.
    pub(crate) endpoint: Endpoint,
    /// The token to put into the upstream's cell if it has won; `None` if it is there already.
    pub(crate) token: Option<Token>,
    /// When the attempt began.
    pub(crate) since: Instant,
}
