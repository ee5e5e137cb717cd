//! The transcripts' files, `book/transcripts/NAME.txt`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use course::listing;

use crate::transcript::format::Transcript;

/// Returns the names of all transcripts, in order.
///
/// # Errors
///
/// Fails if the folder cannot be read.
pub(crate) fn names(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("book/transcripts");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    listing::stems(&folder, "txt")
}

/// Returns the path of a transcript.
pub(crate) fn path_of(root: &Path, name: &str) -> PathBuf {
    root.join("book/transcripts")
        .join(name)
        .with_extension("txt")
}

/// Reads a transcript.
///
/// # Errors
///
/// Fails if it does not exist or is malformed.
pub(super) fn read(root: &Path, name: &str) -> Result<Transcript> {
    let text = fs::read_to_string(path_of(root, name))
        .with_context(|| format!("there is no book/transcripts/{name}.txt"))?;
    Transcript::parse(&text).with_context(|| format!("book/transcripts/{name}.txt"))
}
