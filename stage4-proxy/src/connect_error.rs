//! The reasons why an upstream is not reached, which every border words in its own way: the log, the
//! metrics, and the replies of the ingresses.

use std::io;

use nix::errno::Errno;

use crate::access::Denial;
use crate::chain::{HopFailure, Status};

/// The reason why a connection to a target was not made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address, or the resolver could not be asked.
    #[error("name resolution failed")]
    Resolve(#[source] io::Error),
    /// The proxy's own access rules refuse the target, before a byte leaves. The denial is a source, so
    /// that the log has it and the client does not.
    #[error("not allowed")]
    Denied(#[source] Denial),
    /// No program listens there, or it has reset the connection before we could use it.
    #[error("connection refused")]
    Refused,
    /// No reply came within the time limit.
    #[error("connection timed out")]
    TimedOut,
    /// There is no route to the host or its network, or the network of this machine is down.
    #[error("unreachable: no route to host")]
    Unreachable,
    /// A hop of the chain leads no further.
    #[error(transparent)]
    Hop(HopFailure),
    /// The far end of a tunnel, which connects for this one, has given the reason, or there is no way to it.
    #[error("{sentence}")]
    FarEnd {
        /// What the replies of the ingresses say.
        status: Status,
        /// The reason in words, without an address, fit for a client's eyes.
        sentence: String,
    },
    /// Anything else that the kernel reports; its own words follow, such as "Permission denied".
    #[error("connection failed")]
    Other(#[source] io::Error),
}

impl ConnectError {
    /// Returns whether no descriptor was left: not the address is to blame, and it may work a little later.
    pub(crate) fn is_without_descriptor(&self) -> bool {
        match self {
            Self::Other(error) => {
                let errno = error.raw_os_error().map(Errno::from_raw);
                matches!(errno, Some(Errno::EMFILE | Errno::ENFILE))
            }
            Self::Resolve(_)
            | Self::Denied(_)
            | Self::Refused
            | Self::TimedOut
            | Self::Unreachable
            | Self::Hop(_)
            | Self::FarEnd { .. } => false,
        }
    }

    /// Returns whether the name that was dialled is to blame, and no hop behind it.
    pub(crate) fn is_of_the_dialled(&self) -> bool {
        match self {
            Self::Hop(failure) => failure.hop == 0,
            Self::FarEnd { .. } => false,
            Self::Resolve(_)
            | Self::Denied(_)
            | Self::Refused
            | Self::TimedOut
            | Self::Unreachable
            | Self::Other(_) => true,
        }
    }
}

impl From<io::Error> for ConnectError {
    /// Sorts what connect(2) or `SO_ERROR` reported.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "io::ErrorKind is not ours and grows; what is new to us is Other"
    )]
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown => Self::Unreachable,
            _ => Self::Other(error),
        }
    }
}

impl From<&ConnectError> for Status {
    fn from(error: &ConnectError) -> Self {
        match error {
            ConnectError::Resolve(_) => Self::Resolve,
            ConnectError::Denied(_) => Self::NotAllowed,
            ConnectError::Refused => Self::Refused,
            ConnectError::TimedOut => Self::TimedOut,
            ConnectError::Unreachable => Self::Unreachable,
            ConnectError::Hop(failure) => failure.status(),
            ConnectError::FarEnd { status, .. } => *status,
            ConnectError::Other(_) => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_errno_of_connect_has_its_reason() {
        let sentence = |errno| ConnectError::from(io::Error::from(errno)).to_string();
        let table = [
            (Errno::ECONNREFUSED, "connection refused"),
            (Errno::ECONNRESET, "connection refused"),
            (Errno::ETIMEDOUT, "connection timed out"),
            (Errno::EHOSTUNREACH, "unreachable: no route to host"),
            (Errno::ENETUNREACH, "unreachable: no route to host"),
            (Errno::ENETDOWN, "unreachable: no route to host"),
            (Errno::EADDRNOTAVAIL, "connection failed"),
            (Errno::EACCES, "connection failed"),
        ];
        for (errno, expected) in table {
            assert_eq!(sentence(errno), expected, "{errno}");
        }
    }
}
