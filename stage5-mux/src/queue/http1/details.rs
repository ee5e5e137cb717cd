//! The properties of an HTTP request on which its response depends.

/// What the reader of a response must know of an HTTP request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Details {
    /// The method was HEAD: the response has no body, whatever its head says.
    pub(super) head_only: bool,
    /// The version that the client speaks.
    pub(super) version: Version,
}

/// A minor version of HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// HTTP/1.0: no chunks, and the connection closes unless both sides agree to keep it.
    Http10,
    /// HTTP/1.1: chunks are known, and the connection is kept unless one side says `close`.
    Http11,
}

impl Version {
    /// Returns the version with this minor number; a head with a later one was read as 1.1.
    pub(super) fn from_minor(minor: u8) -> Self {
        match minor {
            0 => Self::Http10,
            _ => Self::Http11,
        }
    }
}
