//! Patterns for names: `example.com`, `*.example.org`.

use std::fmt;
use std::str::FromStr;

/// One name, or all names below one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamePattern {
    /// In lower case, without the dot of the root.
    name: String,
    /// The name itself does not match, but every name that ends with a dot and this one.
    below: bool,
}

/// The text is not a [`NamePattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has characters or labels that no host name has.
    #[error("{0:?} is neither an address nor a host name")]
    BadName(String),
    /// It ends in a number, as no host name does: the resolver would take it for an IPv4 address.
    #[error("{0:?} ends in a number, so it is no name: write the address with four numbers")]
    Number(String),
}

impl NamePattern {
    /// Returns whether a name, as the client has written it, is meant: case and the dot of the root at its
    /// end make no difference (RFC 4343 section 3, RFC 1034 section 3.1).
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name).as_bytes();
        let own = self.name.as_bytes();
        let Some((front, end)) = name.split_at_checked(name.len().wrapping_sub(own.len())) else {
            return false;
        };
        let is_in_place = if self.below {
            // At least one character in front of the dot.
            front.len() > 1 && front.ends_with(b".")
        } else {
            front.is_empty()
        };
        is_in_place && end.eq_ignore_ascii_case(own)
    }
}

impl FromStr for NamePattern {
    type Err = NameError;

    /// Parses a host name (RFC 1123 section 2.1; an underscore is accepted, too), or `*.` and a host name.
    ///
    /// # Errors
    ///
    /// Fails if the rest is not a host name in ASCII; an international name has to be written in its ASCII form
    /// (RFC 5890 section 2.3.2.1).
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (name, below) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(NameError::BadName(text.to_owned()));
        }
        if ends_in_a_number(name) {
            return Err(NameError::Number(text.to_owned()));
        }
        Ok(Self {
            name: name.to_ascii_lowercase(),
            below,
        })
    }
}

impl fmt::Display for NamePattern {
    /// Writes the pattern so that parsing it gives the same pattern again.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.below { "*." } else { "" };
        write!(formatter, "{star}{}", self.name)
    }
}

fn is_label(label: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=63).contains(&label.len()) && label.bytes().all(is_allowed)
}

/// Returns whether `inet_aton(3)` could take the name for an address, as in `0177.1` and `0x7f.1`.
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hexadecimal = last.strip_prefix("0x").or(last.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => last.bytes().all(|byte| byte.is_ascii_digit()),
    }
}
