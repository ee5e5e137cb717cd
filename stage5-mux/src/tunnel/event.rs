//! What a session and its caller tell each other.

use std::time::Duration;

use crate::tunnel::frame::{Reason, Violation};
use crate::tunnel::key::StreamKey;

/// What the peer has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// It has opened a stream. The caller accepts or resets it, at any later time; bytes may follow at once.
    Opened(StreamKey),
    /// It has sent bytes on a stream. The caller takes all of them now, and says later when they are consumed.
    Payload {
        /// The stream.
        stream: StreamKey,
        /// Its next bytes; there is at least one.
        bytes: &'a [u8],
    },
    /// It has sent everything on a stream.
    Ended(StreamKey),
    /// It has given a stream up, in both directions; the handle names nothing any more.
    Reset(StreamKey),
    /// It opens no streams any more, and takes none. Those that are open go on.
    Leaves,
}

/// What the local side of a stream has for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// So many bytes were put into the buffer, at least one, and there may be more.
    Bytes(usize),
    /// So many bytes were put into the buffer, at least one, and there is no more for now.
    Last(usize),
    /// There is nothing for now; [`readable`](super::session::Session::readable) says when there is.
    Blocked,
    /// The local side has sent everything.
    End,
    /// The local side is broken.
    Failed,
}

/// The local sides of all streams.
pub trait Source {
    /// Reads bytes of a stream's local side into a buffer that is not empty.
    fn read(&mut self, stream: StreamKey, buffer: &mut [u8]) -> Pulled;
}

/// Why a stream could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// One of the two ends is about to stop.
    #[error("the link takes no new streams")]
    Leaving,
    /// The link is lost.
    #[error("the link is lost")]
    Lost,
    /// There are as many streams as allowed.
    #[error("too many streams over the link")]
    TooMany,
    /// Every number has been used; a new link has them all again.
    #[error("the link has no stream numbers left")]
    NoNumber,
}

/// Why a link is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The peer has broken the protocol.
    #[error("protocol error: {0}")]
    Violated(#[from] Violation),
    /// The peer gives the link up.
    #[error("the peer gives the link up: {0}")]
    GivenUp(Reason),
    /// The peer was silent for too long.
    #[error("timed out: the peer was silent for {0:?}")]
    Silent(Duration),
}
