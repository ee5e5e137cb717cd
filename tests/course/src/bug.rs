//! The wrong solutions in `tests/bugs`: a typical mistake each, and the test that must catch it.
//!
//! A file is a patch of the reference below a head of four lines:
//! ```text
//! Stage: stage1
//! Exercise: 1.3
//! Misconception: One read brings one line.
//! Caught by: e13_a_line_may_come_in_any_pieces
//! ```
//! A unit test is named by its path, such as `waker::tests::a_full_number_is_a_wake_up_too`.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::Lines;

use anyhow::{Context, Result, bail};

use crate::listing;

/// The folder of the wrong solutions, below that of the course.
pub const FOLDER: &str = "tests/bugs";

/// The head of a wrong solution.
#[derive(Debug, PartialEq, Eq)]
pub struct Bug {
    /// The patch.
    pub file: PathBuf,
    /// The stage whose reference it changes.
    pub stage: String,
    /// The exercise in which a student makes this mistake.
    pub exercise: String,
    /// The belief of a student who writes this, as a sentence.
    pub misconception: String,
    /// The test that must fail.
    pub caught_by: String,
}

impl Bug {
    /// Reads all wrong solutions of the course at `root`.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read, or has no proper head.
    pub fn all(root: &Path) -> Result<Vec<Self>> {
        let files = listing::below(&root.join(FOLDER), "patch")?;
        files.into_iter().map(|file| Self::read(&file)).collect()
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or has no proper head.
    pub fn read(file: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(file, &text).with_context(|| format!("in {}", file.display()))
    }

    fn parse(file: &Path, text: &str) -> Result<Self> {
        let mut head = Head::of(text);
        Ok(Self {
            stage: head.value("Stage")?,
            exercise: head.value("Exercise")?,
            misconception: head.value("Misconception")?,
            caught_by: head.value("Caught by")?,
            file: file.to_owned(),
        })
    }
}

/// The lines above a patch, each with a key and a value.
#[derive(Debug)]
pub struct Head<'a>(Lines<'a>);

impl<'a> Head<'a> {
    /// Creates a reader of a text's head.
    pub fn of(text: &'a str) -> Self {
        Self(text.lines())
    }

    /// Reads the next line, which must have this key.
    ///
    /// # Errors
    ///
    /// Fails if it has another, or no value.
    pub fn value(&mut self, key: &str) -> Result<String> {
        let line = self.0.next().and_then(|line| line.strip_prefix(key));
        match line.and_then(|rest| rest.strip_prefix(": ")) {
            Some(value) if !value.trim().is_empty() => Ok(value.trim().to_owned()),
            _ => bail!("the head needs a line \"{key}: ...\" here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_lacks_a_line_is_refused() {
        let text = "Stage: stage1\nExercise: 1.1\nCaught by: e11_x\n";
        let error = Bug::parse(Path::new("x.patch"), text).unwrap_err();
        assert!(error.to_string().contains("Misconception"), "{error}");
    }
}
