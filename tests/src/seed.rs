//! The seed of a test's random bytes: `COURSE_SEED=0x1234` (or decimal) replays the bytes of an earlier run.

use std::env;
use std::hash::{BuildHasher, RandomState};

/// Chooses the seed of a test: `COURSE_SEED` if it is set, a fresh one otherwise.
///
/// # Panics
///
/// Panics if `COURSE_SEED` is not a number. The panic is a plain one, because a transcript needs a seed first.
pub(crate) fn choose_seed() -> u64 {
    let Ok(text) = env::var("COURSE_SEED") else {
        return RandomState::new().hash_one(0) & 0xffff_ffff;
    };
    let Some(seed) = parse_seed(&text) else {
        panic!("COURSE_SEED is {text:?}, but it must be a number such as 7 or 0x1f");
    };
    seed
}

fn parse_seed(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_decimal_or_hexadecimal() {
        assert_eq!(parse_seed("12"), Some(12));
        assert_eq!(parse_seed("0xff"), Some(255));
        assert_eq!(parse_seed("abc"), None);
    }
}
