//! Questions on paper: all of them at once, without answers or with them.

use std::io;
use std::path::Path;

use anyhow::Result;

use super::ask::Desk;
use course::manifest::Manifest;
use course::quiz::Question;

/// Prints questions.
///
/// # Errors
///
/// Fails if standard output cannot be written.
pub(super) fn questions(
    root: &Path,
    manifest: &Manifest,
    all: &[&Question],
    answers: bool,
) -> Result<()> {
    let desk = Desk { root, manifest };
    let mut output = io::stdout().lock();
    for (at, question) in all.iter().enumerate() {
        desk.show(&mut output, question, (at + 1, all.len()))?;
        if answers {
            desk.explain(&mut output, question)?;
        }
    }
    Ok(())
}
