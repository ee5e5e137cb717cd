//! What a frame says, whichever wire it has come over.

use std::fmt;
use std::ops::BitOr;

use crate::tunnel::role::Opener;

/// The name of a stream on the link: its number, and the end that has opened it.
///
/// `multiplex` numbers the streams of both ends from 0, so that the number alone names two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// The end that has opened the stream.
    pub opener: Opener,
    /// Its number on the wire.
    pub number: u32,
}

impl fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "stream {} of {}", self.number, self.opener)
    }
}

/// The set of signals in a frame of a stream; the bits are those of yamux.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals(u8);

impl Signals {
    /// No signal.
    pub const NONE: Self = Self(0);
    /// The sender opens the stream (SYN).
    pub const OPEN: Self = Self(1);
    /// The sender accepts the stream (ACK).
    pub const ACCEPT: Self = Self(2);
    /// The sender sends nothing more on the stream (FIN).
    pub const FINISH: Self = Self(4);
    /// The sender has given the stream up, in both directions (RST).
    pub const RESET: Self = Self(8);

    /// Creates the set from the flags of a yamux header; unknown flags are left out.
    #[must_use]
    pub fn from_flags(flags: u16) -> Self {
        let [_, low] = flags.to_be_bytes();
        Self(low & 15)
    }

    /// Returns whether the set has all signals of `other`.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Signals {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What follows the header, or what its length means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// This many bytes of the stream follow.
    Payload(u32),
    /// No byte follows; the receiver may send this many bytes more on the stream.
    Credit(u32),
    /// This many bytes follow that belong to no stream: a name, or the text of an error.
    Note(u32),
}

impl Body {
    /// Returns how many bytes lie between this header and the next one.
    #[must_use]
    pub fn bytes_behind(self) -> u32 {
        match self {
            Self::Payload(length) | Self::Note(length) => length,
            Self::Credit(_) => 0,
        }
    }
}

/// A frame that has arrived, without the bytes behind its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// About one stream.
    Stream {
        /// The stream.
        id: StreamId,
        /// What the sender does with it.
        signals: Signals,
        /// What follows.
        body: Body,
    },
    /// The peer wants this value back.
    Ping(u32),
    /// The peer returns the value of a ping.
    Pong(u32),
    /// The peer opens no streams any more, for this reason.
    GoAway(Reason),
    /// A frame without a meaning, of a type that the wire leaves open; this many bytes follow.
    Undefined(u32),
}

impl Frame {
    /// Returns how many bytes lie between this header and the next one.
    #[must_use]
    pub fn bytes_behind(self) -> u32 {
        match self {
            Self::Stream { body, .. } => body.bytes_behind(),
            Self::Undefined(length) => length,
            Self::Ping(_) | Self::Pong(_) | Self::GoAway(_) => 0,
        }
    }
}

/// A frame to send. It says one thing, although yamux could say several at once: every peer understands that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// About one stream.
    Stream(StreamId, Saying),
    /// Asks for this value back.
    Ping(u32),
    /// Returns the value of a ping.
    Pong(u32),
    /// Opens no streams any more, for this reason.
    GoAway(Reason),
}

/// What a frame that we send says about its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saying {
    /// It is opened.
    Open,
    /// It is accepted.
    Accept,
    /// The peer may send this many bytes more.
    Credit(u32),
    /// This many bytes follow.
    Payload(u32),
    /// No bytes follow any more.
    Finish,
    /// It is given up.
    Reset,
}

/// Why an end of the link opens no streams any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It is about to stop; open streams go on.
    #[error("it stops")]
    Normal = 0,
    /// The other end has broken the protocol.
    #[error("protocol error")]
    ProtocolError = 1,
    /// It has failed itself.
    #[error("internal error")]
    InternalError = 2,
}

impl Reason {
    /// Returns the reason with this code; an unknown one is a failure of the sender.
    #[must_use]
    pub fn of(code: u32) -> Self {
        match code {
            0 => Self::Normal,
            1 => Self::ProtocolError,
            _ => Self::InternalError,
        }
    }
}

/// How the bytes of a link break the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The version of a yamux header is not 0: most likely the peer speaks something else.
    #[error("unknown version: the peer does not speak yamux")]
    UnknownVersion,
    /// The type of a frame is not defined.
    #[error("unknown type of frame")]
    UnknownType,
    /// A frame of a stream names the session.
    #[error("a frame of a stream has the number 0")]
    StreamZero,
    /// A frame is longer than its bound.
    #[error("a frame is too long")]
    FrameTooLong,
    /// A number does not fit into 32 bits.
    #[error("a number is too large: the peer does not speak multiplex")]
    NumberTooLarge,
    /// The peer has opened a stream with a number of ours.
    #[error("the peer has opened a stream with a number of ours")]
    WrongParity,
    /// The peer has opened a stream that is open.
    #[error("the peer has opened a stream twice")]
    OpenedTwice,
    /// The peer has sent more than its window.
    #[error("the peer has sent more than the window of a stream")]
    WindowOverrun,
    /// The peer gives more credit than 32 bits can hold.
    #[error("the credit of a stream overflows")]
    CreditOverflow,
    /// The peer opens streams, and does not read how they are refused.
    #[error("too many refused streams")]
    TooManyRefused,
}
