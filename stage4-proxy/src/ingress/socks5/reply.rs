//! Replies: what the proxy says to a request (RFC 1928 section 6).

use std::net::{Ipv4Addr, SocketAddr};

use crate::chain::Status;
use crate::ingress::Failure;
use crate::wire_address;

/// The first byte of every message.
pub(super) const VERSION: u8 = 5;
/// The method without authentication (RFC 1928 section 3).
pub(super) const METHOD_NONE: u8 = 0;
/// The method by name and password (RFC 1929).
pub(super) const METHOD_PASSWORD: u8 = 2;
/// The reply to a client none of whose methods fits.
pub(super) const METHOD_UNACCEPTABLE: u8 = 0xff;

/// The outcome of a request, by its number in the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The target is connected.
    Succeeded = 0,
    /// Anything that has no number of its own.
    Failure = 1,
    /// An access rule forbids the target.
    NotAllowed = 2,
    /// There is no route to the target.
    NetworkUnreachable = 3,
    /// The name has no address. RFC 1928 has no number for that, and this is what others send.
    HostUnreachable = 4,
    /// No program listens at the target.
    Refused = 5,
    /// The target has not answered in time. The number means an expired TTL in the RFC; other proxies
    /// send it for a time limit, so that a client can tell this case from the others.
    TimedOut = 6,
    /// The proxy knows CONNECT only.
    CommandNotSupported = 7,
    /// The type of the address is none of 1, 3 and 4.
    AddressNotSupported = 8,
}

impl Reply {
    /// Encodes the reply; `bound` is the proxy's end of the connection to the target.
    ///
    /// ```text
    ///    05 │ rep │ 00 │ address
    /// ```
    /// A failure has no such address: all zeros stand for it.
    pub(super) fn encode(self, bound: Option<SocketAddr>) -> Vec<u8> {
        let bound = bound.unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into());
        [&[VERSION, self as u8, 0], &wire_address::encode(bound)[..]].concat()
    }
}

impl From<&Failure<'_>> for Reply {
    fn from(failure: &Failure<'_>) -> Self {
        match failure {
            Failure::Unreached(error) => Self::from(Status::from(*error)),
            Failure::TooSlow
            | Failure::Silent
            | Failure::TooLong
            | Failure::BadRequest(_)
            | Failure::BadResponse(_) => Self::Failure,
        }
    }
}

impl From<Status> for Reply {
    fn from(status: Status) -> Self {
        match status {
            Status::Ok => Self::Succeeded,
            Status::Resolve => Self::HostUnreachable,
            Status::NotAllowed => Self::NotAllowed,
            Status::Refused => Self::Refused,
            Status::TimedOut => Self::TimedOut,
            Status::Unreachable => Self::NetworkUnreachable,
            Status::Malformed | Status::LimitReached | Status::Other => Self::Failure,
        }
    }
}
