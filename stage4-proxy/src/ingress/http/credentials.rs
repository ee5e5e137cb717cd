//! A name and a password in a field: Basic authentication (RFC 7617).

use std::sync::Arc;

use httparse::Header;

use crate::access::{User, Users, Wrong};
use crate::ingress::Step;

/// What a request says about its sender.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// Nothing.
    Missing,
    /// Something else than one field with the scheme Basic.
    Unreadable,
    /// `NAME:PASSWORD`, of which the name has no colon.
    Basic {
        /// The bytes before the first colon.
        name: Vec<u8>,
        /// The bytes behind it.
        password: Vec<u8>,
    },
}

/// Why a request is not known to be a user's: the sentence is for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unproved {
    /// It does not say whose it is. A client may ask so to learn what is demanded.
    #[error("this proxy demands a name and a password")]
    Missing,
    /// What it says cannot be read.
    #[error("this proxy demands a name and a password as Basic (RFC 7617)")]
    Unreadable,
    /// What it says is wrong. Which part is, the client does not learn.
    #[error("the name or the password is wrong")]
    Wrong(Wrong),
}

impl Credentials {
    /// Finds the credentials among the fields of a head.
    pub(super) fn of(fields: &[Header<'_>]) -> Self {
        let is_it = |field: &&Header<'_>| field.name.eq_ignore_ascii_case("Proxy-Authorization");
        let mut values = fields.iter().filter(is_it).map(|field| field.value);
        match (values.next(), values.next()) {
            (None, _) => Self::Missing,
            (Some(value), None) => Self::parse(value).unwrap_or(Self::Unreadable),
            (Some(_), Some(_)) => Self::Unreadable,
        }
    }

    /// Parses `Basic`, blanks, and `NAME:PASSWORD` in Base64.
    fn parse(value: &[u8]) -> Option<Self> {
        let (scheme, rest) = value.split_at_checked("Basic ".len())?;
        let is_basic = scheme.eq_ignore_ascii_case(b"Basic ");
        let pair = is_basic.then(|| base64(rest.trim_ascii()))??;
        let colon = pair.iter().position(|&byte| byte == b':')?;
        Some(Self::Basic {
            name: pair[..colon].to_vec(),
            password: pair[colon + 1..].to_vec(),
        })
    }

    /// Returns the user that these credentials are of.
    ///
    /// # Errors
    ///
    /// Fails if there are none, or if no user has this name and this password.
    pub(super) fn prove(&self, users: &Users) -> Result<Arc<User>, Unproved> {
        match self {
            Self::Missing => Err(Unproved::Missing),
            Self::Unreadable => Err(Unproved::Unreadable),
            Self::Basic { name, password } => users.check(name, password).map_err(Unproved::Wrong),
        }
    }
}

/// Without the password.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Missing => "Missing",
            Self::Unreadable => "Unreadable",
            Self::Basic { .. } => "Basic(..)",
        })
    }
}

impl Unproved {
    /// Returns the end of the handshake with this reply: at once if there was no guess, because browsers ask without
    /// a password first, and wait for the answer.
    pub(super) fn step(self, consumed: usize, reply: Vec<u8>) -> Step {
        match self {
            Self::Missing | Self::Unreadable => Step::refuse(consumed, reply, self.to_string()),
            Self::Wrong(wrong) => Step::unauthorized(consumed, reply, wrong),
        }
    }
}

/// Decodes Base64 with its padding (RFC 4648 section 4); returns `None` if it is none, also if bits are set that belong
/// to no byte, because then each text has one spelling.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let unpadded = text.strip_suffix(b"==").or(text.strip_suffix(b"="));
    let digits = unpadded.unwrap_or(text);
    let mut bytes = Vec::with_capacity(digits.len());
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for &digit in group {
            bits = bits << 6 | u32::from(value(digit)?);
        }
        // Four digits are 24 bits, so the first of the four bytes is always empty.
        let all = (bits << (6 * (4 - group.len()))).to_be_bytes();
        let (whole, rest) = all[1..].split_at(group.len() * 6 / 8);
        if rest.iter().any(|&byte| byte != 0) {
            return None;
        }
        bytes.extend_from_slice(whole);
    }
    Some(bytes)
}

/// Returns the six bits that a digit means.
fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
