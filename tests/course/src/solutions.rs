//! The file with which an instructor releases solutions: `solutions.json` in a workspace.
//!
//! ```text
//!   the course ── cargo course pack solutions --upto 3.2 ──▶ solutions.json ──▶ a student's workspace
//! ```
//!
//! It holds the solutions of some exercises, and the edition of the course that they fit.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use course::bug::{self, Bug};
use course::manifest::Exercise;

/// The file's name in a workspace.
pub(crate) const FILE: &str = "solutions.json";
/// The version of its format.
const FORMAT: u32 = 2;

/// All of the file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Solutions {
    format: u32,
    /// The edition of the course.
    edition: String,
    solutions: Vec<Solution>,
}

/// The solution of an exercise.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Solution {
    exercise: String,
    pub(crate) items: Vec<Item>,
    /// The beliefs behind its wrong solutions: what the functions are written against.
    pub(crate) beliefs: Vec<String>,
}

/// A function of a solution.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    /// Its path, as `course.toml` names it.
    pub(crate) path: String,
    /// Its text, with the documentation.
    pub(crate) text: String,
}

impl Solutions {
    /// Collects the solutions of exercises from the reference at `root`.
    ///
    /// # Errors
    ///
    /// Fails if a function is not there.
    pub(crate) fn collect<'a>(
        root: &Path,
        edition: String,
        exercises: impl IntoIterator<Item = &'a Exercise>,
    ) -> Result<Self> {
        let solutions = exercises
            .into_iter()
            .map(|exercise| Solution::of(root, exercise));
        Ok(Self {
            format: FORMAT,
            edition,
            solutions: solutions.collect::<Result<_>>()?,
        })
    }

    /// Reads a file for a workspace of `edition`.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read, is malformed, or is for another edition of the course.
    pub(crate) fn read(file: &Path, edition: Option<&str>) -> Result<Self> {
        let name = file.display();
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
        let found: Self = serde_json::from_str(&text).with_context(|| {
            format!("{name} is not a file of `cargo course pack solutions`, or is damaged; ask your instructor for it again")
        })?;
        ensure!(
            found.format == FORMAT,
            "{name} has format {}, and this workspace knows format {FORMAT}: update the older of the two",
            found.format
        );
        if Some(found.edition.as_str()) != edition {
            bail!(
                "{name} is for edition {} of the course, and this workspace has {}: ask your instructor for the file that fits, \
                 or for the course to `cargo course update` with",
                found.edition,
                edition.unwrap_or("none")
            );
        }
        Ok(found)
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Takes the solution of an exercise out of the others.
    ///
    /// # Errors
    ///
    /// Fails if the file has others only.
    pub(crate) fn take(mut self, exercise: &Exercise) -> Result<Solution> {
        let is_it = |one: &Solution| one.exercise == exercise.id();
        let place = self.solutions.iter().position(is_it).with_context(|| {
            format!(
                "the solution of exercise {} is not released yet: {FILE} has {}",
                exercise.id(),
                self.names()
            )
        })?;
        Ok(self.solutions.swap_remove(place))
    }

    /// Names the exercises of the file.
    pub(crate) fn names(&self) -> String {
        let names: Vec<_> = self
            .solutions
            .iter()
            .map(|one| one.exercise.as_str())
            .collect();
        names.join(", ")
    }
}

impl Solution {
    /// Reads the solution of an exercise from the reference at `root`.
    ///
    /// # Errors
    ///
    /// Fails if a function is not there.
    pub(crate) fn of(root: &Path, exercise: &Exercise) -> Result<Self> {
        let items = exercise.items()?.into_iter().map(|item| {
            let (source, function) = item.read(root)?;
            Ok(Item {
                path: item.to_string(),
                text: source[function.whole].to_owned(),
            })
        });
        Ok(Self {
            exercise: exercise.id().to_owned(),
            items: items.collect::<Result<_>>()?,
            beliefs: beliefs(root, exercise)?,
        })
    }
}

/// Returns the beliefs behind the wrong solutions of an exercise; none where the wrong solutions are not there.
fn beliefs(root: &Path, exercise: &Exercise) -> Result<Vec<String>> {
    if !root.join(bug::FOLDER).is_dir() {
        return Ok(Vec::new());
    }
    let mine = Bug::all(root)?
        .into_iter()
        .filter(|bug| bug.exercise == exercise.id());
    Ok(mine.map(|bug| bug.misconception).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::starter::Record;
    use course::manifest::Manifest;
    use course::workspace;

    #[test]
    fn a_file_is_read_as_it_was_written_and_knows_its_edition() {
        let root = workspace::root().unwrap();
        if Record::read(&root).unwrap().is_some() {
            return; // A starter has no solutions.
        }
        let manifest = Manifest::load(&root).unwrap();
        let released = manifest.exercises().map(|(_, one)| one).take(2);
        let solutions = Solutions::collect(&root, "1a".to_owned(), released).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        solutions.write(&file).unwrap();
        let read = |edition| Solutions::read(&file, edition);
        let of = |id: &str| read(Some("1a")).unwrap().take(manifest.find(id).unwrap().1);
        assert!(of("1.1").unwrap().items[0].text.contains("fn try_listen"));
        let error = of("1.3").unwrap_err().to_string();
        assert!(
            error.contains("not released yet: solutions.json has 1.1, 1.2"),
            "{error}"
        );
        for other in [Some("2b"), None] {
            let error = read(other).unwrap_err().to_string();
            assert!(error.contains("is for edition 1a"), "{error}");
        }
        for text in ["", "{}", "{\"format\": 1, \"edition\": \"1a\"}", "[1]"] {
            fs::write(&file, text).unwrap();
            let error = read(Some("1a")).unwrap_err().to_string();
            assert!(error.contains("is damaged"), "{error}");
        }
        fs::write(
            &file,
            "{\"format\": 3, \"edition\": \"1a\", \"solutions\": []}",
        )
        .unwrap();
        let error = read(Some("1a")).unwrap_err().to_string();
        assert!(error.contains("has format 3"), "{error}");
    }
}
