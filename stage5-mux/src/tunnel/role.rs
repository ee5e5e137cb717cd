//! The two ends of a link.

use std::fmt;

/// Which end of the link this process is; it decides the numbers of the streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end that has initiated the link.
    Client,
    /// The end that has received it.
    Server,
}

impl Role {
    /// Returns the role of the other end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// The end of the link that has opened a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Opener {
    /// This process.
    Us,
    /// The process at the other end.
    Peer,
}

impl fmt::Display for Opener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Us => "ours",
            Self::Peer => "the peer",
        })
    }
}
