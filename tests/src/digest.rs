//! Fingerprints of long byte streams, so that a test need not keep 64 MiB to compare them.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The length and SHA-256 of a byte stream.
#[derive(Clone, PartialEq, Eq)]
pub struct Digest {
    /// How many bytes went in.
    pub bytes: u64,
    hash: [u8; 32],
}

impl Digest {
    /// Computes the digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes with SHA-256 ", self.bytes)?;
        self.hash
            .iter()
            .take(8)
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))?;
        write!(formatter, "...")
    }
}

/// Computes a [`Digest`] piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Hasher {
    bytes: u64,
    state: Sha256,
}

impl Hasher {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.state.update(piece);
    }

    /// Returns the digest of all pieces.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest {
            bytes: self.bytes,
            hash: self.state.finalize().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_whole() {
        let mut hasher = Hasher::default();
        hasher.update(b"ab");
        hasher.update(b"c");
        let digest = hasher.finish();
        assert_eq!(digest, Digest::of(b"abc"));
        assert_eq!(
            format!("{digest:?}"),
            "3 bytes with SHA-256 ba7816bf8f01cfea..."
        );
    }
}
