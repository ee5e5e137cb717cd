//! Why an upstream could not be reached, in the words of every border that has to say it.

use std::io;

/// The reason why no connection to a target came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address, or nobody could be asked.
    #[error("name resolution failed")]
    Resolve(#[source] io::Error),
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// No answer came within the time limit.
    #[error("connection timed out")]
    TimedOut,
    /// There is no way to the host or its network.
    #[error("unreachable")]
    Unreachable,
    /// Anything else that the kernel reports.
    #[error("connection failed")]
    Other(#[source] io::Error),
}

/// A [`ConnectError`] without its details: the label of a metric, the code of a reply.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FailureReason {
    /// See [`ConnectError::Resolve`].
    Resolve,
    /// See [`ConnectError::Refused`].
    Refused,
    /// See [`ConnectError::TimedOut`].
    TimedOut,
    /// See [`ConnectError::Unreachable`].
    Unreachable,
    /// See [`ConnectError::Other`].
    Other,
}

impl ConnectError {
    /// Returns the error without its details.
    #[must_use]
    pub fn reason(&self) -> FailureReason {
        match self {
            Self::Resolve(_) => FailureReason::Resolve,
            Self::Refused => FailureReason::Refused,
            Self::TimedOut => FailureReason::TimedOut,
            Self::Unreachable => FailureReason::Unreachable,
            Self::Other(_) => FailureReason::Other,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_errno_of_connect_has_its_reason() {
        let reason = |errno| ConnectError::from(io::Error::from(errno)).reason();
        use nix::errno::Errno;
        assert_eq!(reason(Errno::ECONNREFUSED), FailureReason::Refused);
        assert_eq!(reason(Errno::ECONNRESET), FailureReason::Refused);
        assert_eq!(reason(Errno::ETIMEDOUT), FailureReason::TimedOut);
        assert_eq!(reason(Errno::EHOSTUNREACH), FailureReason::Unreachable);
        assert_eq!(reason(Errno::ENETUNREACH), FailureReason::Unreachable);
        assert_eq!(reason(Errno::EADDRNOTAVAIL), FailureReason::Other);
        assert_eq!(reason(Errno::EACCES), FailureReason::Other);
    }
}
