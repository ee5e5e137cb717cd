//! Why a session has ended, and which of these reasons a handshake can tell its client.

use std::io;

use crate::access::Wrong;
use crate::connect_error::ConnectError;
use crate::deadline::Timeout;
use crate::http::Invalid;
use crate::ingress::Failure;
use crate::token::Side;

/// Why a session has ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    /// Both sides have ended and every byte has arrived.
    #[error("finished")]
    Finished,
    /// A socket broke, and so the other side is reset as well.
    #[error("{0} reset the connection")]
    Reset(Side, #[source] io::Error),
    /// The client closed before its upstream was connected.
    #[error("the client left before it was connected")]
    Gone,
    /// The target could not be reached.
    #[error("cannot connect")]
    Unreached(#[from] ConnectError),
    /// The handshake refuses the client.
    #[error("refused: {0}")]
    Refused(String),
    /// The client's address has as many sessions as it may have.
    #[error("refused: --max-per-client is reached for this address")]
    OverLimit,
    /// The client's address may not come.
    #[error("not allowed: --clients does not have this address")]
    NotAdmitted,
    /// The client has given a wrong name or password.
    #[error("refused: {0}")]
    Unauthorized(Wrong),
    /// The client has sent more bytes than a handshake may have.
    #[error("refused: the handshake is too long")]
    TooLong,
    /// The rest of the client's request is not valid.
    #[error("refused: {0}")]
    BadRequest(Invalid),
    /// The target's response is not valid, or is missing.
    #[error("the response of the target is not valid: {0}")]
    BadResponse(Invalid),
    /// A time limit has passed.
    #[error("{0} time limit reached")]
    TimedOut(Timeout),
    /// The proxy stops.
    #[error("the proxy stops")]
    Stopped,
}

impl Reason {
    /// Changes the reason for which a target could not be reached.
    pub(crate) fn map_unreached(self, change: impl FnOnce(ConnectError) -> ConnectError) -> Self {
        match self {
            Self::Unreached(error) => Self::Unreached(change(error)),
            Self::Finished
            | Self::Reset(..)
            | Self::Gone
            | Self::Refused(_)
            | Self::OverLimit
            | Self::NotAdmitted
            | Self::Unauthorized(_)
            | Self::TooLong
            | Self::BadRequest(_)
            | Self::BadResponse(_)
            | Self::TimedOut(_)
            | Self::Stopped => self,
        }
    }

    /// Returns the failure that a handshake can put into its protocol's words, if it is one.
    pub(super) fn failure(&self) -> Option<Failure<'_>> {
        match self {
            Self::Unreached(error) => Some(Failure::Unreached(error)),
            Self::TooLong => Some(Failure::TooLong),
            Self::BadRequest(invalid) => Some(Failure::BadRequest(*invalid)),
            Self::BadResponse(invalid) => Some(Failure::BadResponse(*invalid)),
            Self::TimedOut(Timeout::Handshake) => Some(Failure::TooSlow),
            // Only a session that forwards a request is refused for these: see `after_silence`.
            Self::TimedOut(Timeout::Idle | Timeout::HalfClose) => Some(Failure::Silent),
            // A refusal is the handshake's own, and its reply is there already.
            Self::Refused(_)
            | Self::OverLimit
            | Self::NotAdmitted
            | Self::Unauthorized(_)
            | Self::Finished
            | Self::Reset(..)
            | Self::Gone
            | Self::TimedOut(
                Timeout::WrongPassword | Timeout::NextRequest | Timeout::Connect | Timeout::Linger,
            )
            | Self::Stopped => None,
        }
    }
}
