//! The bytes that streams carry: no two streams have the same, and none repeats after the length of a frame or window.

use std::sync::OnceLock;

/// The length after which the content repeats: a prime, so that no frame or window is a multiple of it.
const PERIOD: usize = 65_521;

/// Returns bytes that look random, twice in a row.
fn table() -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        let bytes: Vec<u8> = (0..PERIOD).map(|_| next()).collect();
        [&bytes[..], &bytes].concat()
    })
}

/// Returns the bytes of a stream from an offset on, at most as many as the content has before it repeats.
fn at(seed: u32, offset: u64, length: usize) -> &'static [u8] {
    let place = (u64::from(seed) * 7919 + offset) % PERIOD as u64;
    let start = usize::try_from(place).unwrap_or_default();
    &table()[start..start + length.min(PERIOD)]
}

/// Writes the bytes of a stream from an offset on.
pub(crate) fn write(seed: u32, mut offset: u64, buffer: &mut [u8]) {
    for part in buffer.chunks_mut(PERIOD) {
        part.copy_from_slice(at(seed, offset, part.len()));
        offset += part.len() as u64;
    }
}

/// Checks that these are the bytes of a stream from an offset on.
///
/// # Panics
///
/// Panics if one differs.
pub(crate) fn check(seed: u32, mut offset: u64, bytes: &[u8]) {
    for part in bytes.chunks(PERIOD) {
        let is_right = part == at(seed, offset, part.len());
        assert!(
            is_right,
            "the stream with seed {seed} differs behind byte {offset}"
        );
        offset += part.len() as u64;
    }
}
