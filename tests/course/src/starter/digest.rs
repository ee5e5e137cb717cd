//! SHA-256 of files, as `sha256sum` writes it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use course::listing;
use course::manifest::{FILE, Manifest};

/// The digits of an edition: enough to tell two editions of a course apart.
const DIGITS: usize = 12;

/// Returns the digest of bytes in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Returns the edition of a course: a name that changes with its exercises and the code of its stages, but not with its tests,
/// its tools or its book.
///
/// # Errors
///
/// Fails if a file cannot be read.
pub(crate) fn edition(root: &Path, manifest: &Manifest) -> Result<String> {
    let mut lines = String::new();
    let mut add = |file: &Path| -> Result<()> {
        let bytes =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(file);
        let _ = writeln!(lines, "{}  {}", sha256(&bytes), name.display());
        Ok(())
    };
    add(&root.join(FILE))?;
    for stage in &manifest.stages {
        for file in listing::below(&root.join(stage.package()).join("src"), "rs")? {
            add(&file)?;
        }
    }
    Ok(sha256(lines.as_bytes())[..DIGITS].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_sha256sum() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), abc);
    }
}
