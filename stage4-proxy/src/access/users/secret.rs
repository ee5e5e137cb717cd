//! Passwords, and their comparison in constant time.

use std::fmt;

use subtle::ConstantTimeEq;

/// The longest name and the longest password, in bytes: SOCKS5 has one byte for each length (RFC 1929
/// section 2).
pub(super) const LONGEST: usize = 255;

/// A password, filled up with zeros behind its length.
///
/// A comparison that ends at the first wrong byte tells an attacker by its time how many bytes are right, and so
/// a password is guessed byte by byte. Here each comparison reads all bytes, and all passwords have the same
/// number of them, so that the time does not tell the length either.
#[derive(Clone)]
pub(super) struct Secret([u8; 1 + LONGEST]);

impl Secret {
    /// Creates a secret; returns `None` if the password is longer than [`LONGEST`].
    pub(super) fn new(password: &[u8]) -> Option<Self> {
        let length = u8::try_from(password.len()).ok()?;
        let mut bytes = [0; 1 + LONGEST];
        bytes[0] = length;
        bytes[1..=password.len()].copy_from_slice(password);
        Some(Self(bytes))
    }

    /// Creates the secret of a user that does not exist.
    pub(super) const fn none() -> Self {
        Self([0; 1 + LONGEST])
    }

    /// Returns whether two passwords are equal, in a time that does not depend on them.
    pub(super) fn matches(&self, other: &Self) -> bool {
        // The crate keeps the compiler from ending the loop early, which no loop of ours could promise.
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_match() {
        let longest = [7; LONGEST];
        let all: [&[u8]; 6] = [b"", b"\0", b"a", b"a\0", b"b", &longest];
        for (left, one) in all.iter().enumerate() {
            for (right, other) in all.iter().enumerate() {
                let (one, other) = (Secret::new(one).unwrap(), Secret::new(other).unwrap());
                assert_eq!(one.matches(&other), left == right, "{left} and {right}");
            }
        }
        assert!(Secret::new(&[7; LONGEST + 1]).is_none());
    }

    /// The time itself cannot be tested on a shared machine; that each comparison reads the same number of bytes can.
    #[test]
    fn every_password_has_the_same_length_in_memory() {
        let short = Secret::new(b"a").unwrap();
        assert_eq!(short.0.len(), Secret::none().0.len());
        assert_eq!(size_of_val(&short), 1 + LONGEST);
        assert_eq!(format!("{short:?}"), "Secret(..)");
    }
}
