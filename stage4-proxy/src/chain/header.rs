//! The two headers: a request for a connection, and its response.

use stage2_client::Target;

use crate::wire_address;

/// The version in the first byte of both headers.
const VERSION: u8 = 1;

/// What the first bytes of a request header are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A part of one.
    Incomplete,
    /// A whole one of `length` bytes; what lies behind it is for the next hop.
    Connect {
        /// Where the hop connects to.
        next: Target,
        /// The length of the header.
        length: usize,
    },
    /// None, for this reason.
    Malformed(&'static str),
}

impl Request {
    /// Parses a request header from the first bytes of `input`.
    #[must_use]
    pub fn parse(input: &[u8]) -> Self {
        let address = match input {
            [] => return Self::Incomplete,
            [VERSION, address @ ..] => address,
            [_, ..] => return Self::Malformed("the version of the header is unknown"),
        };
        match wire_address::parse(address) {
            wire_address::Parsed::Incomplete => Self::Incomplete,
            wire_address::Parsed::UnknownType => {
                Self::Malformed("the type of the address is unknown")
            }
            wire_address::Parsed::Complete { port: 0, .. } => Self::Malformed("the port is 0"),
            wire_address::Parsed::Complete { host: None, .. } => {
                Self::Malformed("the name is not a host name")
            }
            wire_address::Parsed::Complete {
                host: Some(host),
                port,
                length,
            } => Self::Connect {
                next: Target { host, port },
                length: 1 + length,
            },
        }
    }

    /// Encodes the header for a hop that is to connect to `next`.
    #[must_use]
    pub fn encode(next: &Target) -> Vec<u8> {
        [&[VERSION], &wire_address::encode_target(next)[..]].concat()
    }
}

/// Encodes all request headers of a chain: each hop gets the address of the next, the last one that of
/// the target.
#[must_use]
pub fn headers(hops: &[Target], target: &Target) -> Vec<u8> {
    let further = hops.iter().skip(1).chain([target]);
    let headers = further.take(hops.len()).map(Request::encode);
    headers.collect::<Vec<_>>().concat()
}

/// How a hop's connect has ended, by its number in the response header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Status {
    /// The next hop, or the target, is connected.
    #[error("connected")]
    Ok = 0,
    /// The name has no address.
    #[error("name resolution failed")]
    Resolve = 1,
    /// No program listens there.
    #[error("connection refused")]
    Refused = 2,
    /// No reply came in time.
    #[error("connection timed out")]
    TimedOut = 3,
    /// There is no route.
    #[error("unreachable: no route to host")]
    Unreachable = 4,
    /// The hop's access rules refuse the address.
    #[error("not allowed")]
    NotAllowed = 5,
    /// The hop has not understood the header, or has not got all of it in time.
    #[error("malformed header")]
    Malformed = 6,
    /// The hop has no room for another session.
    #[error("limit reached")]
    LimitReached = 7,
    /// Anything else.
    #[error("connection failed")]
    Other = 255,
}

impl Status {
    /// Returns the status with this number; one that is not known here is [`Status::Other`].
    #[must_use]
    pub fn of(number: u8) -> Self {
        const KNOWN: [Status; 8] = [
            Status::Ok,
            Status::Resolve,
            Status::Refused,
            Status::TimedOut,
            Status::Unreachable,
            Status::NotAllowed,
            Status::Malformed,
            Status::LimitReached,
        ];
        KNOWN
            .get(usize::from(number))
            .copied()
            .unwrap_or(Self::Other)
    }
}

/// A response header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// How the hop's connect has ended.
    pub status: Status,
    /// What the hop says about it, for people; empty for a success.
    pub text: String,
}

impl Response {
    /// Encodes the header; the text is cut at 255 bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut end = self.text.len().min(255);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let length = u8::try_from(end).unwrap_or(u8::MAX);
        let head = [VERSION, self.status as u8, length];
        [&head, &self.text.as_bytes()[..end]].concat()
    }

    /// Parses a header from the first bytes of `input` and returns it with its length, or `None` while a
    /// part is missing.
    ///
    /// The text comes from another machine and ends in logs and terminals, so control characters are
    /// replaced.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are no header of this version.
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, NoResponse> {
        match *input {
            [] => return Ok(None),
            [version, ..] if version != VERSION => return Err(NoResponse),
            _ => {}
        }
        let Some(&[_, status, length]) = input.get(..3) else {
            return Ok(None);
        };
        let end = 3 + usize::from(length);
        let text = input.get(3..end).map(String::from_utf8_lossy);
        Ok(text.map(|text| {
            let text = text.replace(is_unsafe, "\u{fffd}");
            let status = Status::of(status);
            (Self { status, text }, end)
        }))
    }
}

/// Returns whether a character could change what a terminal or a log shows around it: control
/// characters, and those that order, separate or hide text.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The bytes of a hop are no response header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no hop of a chain")]
pub struct NoResponse;
