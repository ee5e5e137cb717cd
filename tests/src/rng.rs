//! Random bytes that can be replayed: every test has one seed, printed when it fails.
//!
//! `COURSE_SEED=0x1234` (or decimal) replays the bytes of an earlier run. The generator is `SplitMix64`:
//! small, fast, and good enough for test data.

use crate::transcript::Transcript;

/// The bytes that code gets wrong if it takes bytes for text.
const AWKWARD: [u8; 6] = [0x00, 0xff, b'\r', b'\n', 0x80, 0x1a];

/// A small seeded random number generator.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// Starts a generator from the seed of the current test; each call in a test gives another stream.
    #[must_use]
    pub fn for_test() -> Self {
        let transcript = Transcript::current();
        Self::from_seed(
            transcript
                .seed()
                .wrapping_add(transcript.next_stream() << 32),
        )
    }

    /// Starts a generator from `seed`.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Returns the next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 up to, not including, `bound`.
    ///
    /// # Panics
    ///
    /// Panics if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        usize::try_from(self.next_u64() % bound).unwrap_or(0)
    }

    /// Returns `length` random bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    /// Returns at least 16 random bytes that contain 00, FF, CR LF and other bytes that are not text.
    pub fn nonce(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = self.bytes(length.max(16));
        let start = self.below(bytes.len() - AWKWARD.len());
        bytes[start..start + AWKWARD.len()].copy_from_slice(&AWKWARD);
        bytes
    }

    /// Returns one line of `length` bytes (at least 16): a nonce without LF inside, with CR LF at the end.
    pub fn line(&mut self, length: usize) -> Vec<u8> {
        let mut line = self.nonce(length);
        for byte in &mut line {
            if *byte == b'\n' {
                *byte = b'n';
            }
        }
        let end = line.len() - 2;
        line[end..].copy_from_slice(b"\r\n");
        // The two last bytes may have hit the awkward ones, so the front gets its own.
        line[..2].copy_from_slice(&[0xff, 0x00]);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(bytes: &[u8], part: &[u8]) -> bool {
        bytes.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert_eq!(Rng::from_seed(7).bytes(33), Rng::from_seed(7).bytes(33));
        assert_ne!(Rng::from_seed(7).bytes(33), Rng::from_seed(8).bytes(33));
    }

    #[test]
    fn two_generators_of_one_test_differ() {
        assert_ne!(Rng::for_test().bytes(16), Rng::for_test().bytes(16));
    }

    #[test]
    fn a_nonce_holds_the_awkward_bytes() {
        for seed in 0..200 {
            let nonce = Rng::from_seed(seed).nonce(20);
            assert_eq!(nonce.len(), 20);
            assert!(holds(&nonce, &AWKWARD), "seed {seed}: {nonce:?}");
        }
    }

    #[test]
    fn a_line_has_one_line_feed_at_its_end() {
        for seed in 0..200 {
            let line = Rng::from_seed(seed).line(24);
            assert!(line.ends_with(b"\r\n"));
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert!(line.contains(&0) && line.contains(&0xff));
        }
    }
}
