//! Progress: passed exercises and shown hints, kept beside cargo's output.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::run::build::target_folder;
use crate::splice;
use crate::starter::Record;
use course::listing;
use course::manifest::{Exercise, Hunt, Manifest, Stage};

/// The progress that a workspace remembers.
#[derive(Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Progress {
    /// The fingerprint of the stage's code with which an exercise has passed.
    #[serde(default)]
    passed: BTreeMap<String, u64>,
    /// How many hints were shown.
    #[serde(default)]
    hints: BTreeMap<String, usize>,
    /// The digest of the script with which a hunt was won.
    #[serde(default)]
    hunts: BTreeMap<String, String>,
}

/// The status of an exercise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Its tests pass with the code as it is.
    Passed,
    /// Its tests have passed, but the stage's code has changed since.
    Changed,
    /// It is written, but has not passed.
    Written,
    /// A `todo!` of it is left, or a simple version.
    Open,
    /// It was solved from the start, because the starter begins with a later stage.
    Given,
}

impl Progress {
    /// Reads the progress; empty if there is none.
    pub(crate) fn load(root: &Path) -> Self {
        let text = fs::read_to_string(file(root)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Writes the progress.
    ///
    /// # Errors
    ///
    /// Fails if the folder for cargo's output cannot be written.
    pub(crate) fn save(&self, root: &Path) -> Result<()> {
        let path = file(root);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, serde_json::to_string_pretty(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Records whether an exercise passes with this code.
    pub(crate) fn note(&mut self, exercise: &Exercise, passed: bool, fingerprint: u64) {
        if passed {
            self.passed.insert(exercise.id().to_owned(), fingerprint);
        } else {
            self.passed.remove(exercise.id());
        }
    }

    /// Returns how many hints of an exercise have been shown.
    pub(crate) fn hints(&self, exercise: &Exercise) -> usize {
        self.hints.get(exercise.id()).copied().unwrap_or(0)
    }

    /// Records how many hints of an exercise have been shown.
    pub(crate) fn set_hints(&mut self, exercise: &Exercise, count: usize) {
        self.hints.insert(exercise.id().to_owned(), count);
    }

    /// Returns whether a hunt was won with the script of this digest.
    pub(crate) fn has_caught(&self, hunt: &Hunt, digest: &str) -> bool {
        self.hunts.get(hunt.name()).is_some_and(|won| won == digest)
    }

    /// Records the digest of the script that has won a hunt, or that it is not won.
    pub(crate) fn note_hunt(&mut self, hunt: &Hunt, digest: Option<String>) {
        match digest {
            Some(digest) => self.hunts.insert(hunt.name().to_owned(), digest),
            None => self.hunts.remove(hunt.name()),
        };
    }

    fn status(&self, exercise: &Exercise, is_open: bool, fingerprint: u64) -> Status {
        match self.passed.get(exercise.id()) {
            _ if is_open => Status::Open,
            Some(passed) if *passed == fingerprint => Status::Passed,
            Some(_) => Status::Changed,
            None => Status::Written,
        }
    }
}

/// Returns the status of every exercise, in the order of the manifest.
///
/// # Errors
///
/// Fails if the code cannot be read.
pub(crate) fn statuses<'a>(
    root: &Path,
    manifest: &'a Manifest,
) -> Result<Vec<(&'a Exercise, Status)>> {
    let progress = Progress::load(root);
    let first = Record::read(root)?.map(|record| record.from);
    let mut is_given = first.is_some();
    let mut all = Vec::new();
    for stage in &manifest.stages {
        is_given &= first.as_deref() != Some(stage.id());
        let sources = sources(root, stage)?;
        let print = fingerprint(&sources);
        let open: Vec<_> = sources
            .iter()
            .flat_map(|(_, text)| splice::marks(text))
            .collect();
        for exercise in &stage.exercises {
            let is_open = open.iter().any(|id| id == exercise.id());
            let mut status = progress.status(exercise, is_open, print);
            if is_given && status == Status::Written {
                status = Status::Given;
            }
            all.push((exercise, status));
        }
    }
    Ok(all)
}

/// Finds the first exercise that has not passed.
pub(crate) fn next<'a>(statuses: &[(&'a Exercise, Status)]) -> Option<&'a Exercise> {
    let is_left = |status| matches!(status, Status::Written | Status::Open);
    statuses
        .iter()
        .find(|(_, status)| is_left(*status))
        .map(|(exercise, _)| *exercise)
}

/// Returns a number that changes with the code of a stage.
///
/// # Errors
///
/// Fails if the code cannot be read.
pub(crate) fn fingerprint_of(root: &Path, stage: &Stage) -> Result<u64> {
    Ok(fingerprint(&sources(root, stage)?))
}

fn fingerprint(sources: &[(PathBuf, String)]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (_, text) in sources {
        hasher.write(text.as_bytes());
        hasher.write_u8(0);
    }
    hasher.finish()
}

/// Reads the Rust files of a stage, in the order of their names.
///
/// # Errors
///
/// Fails if they cannot be read.
pub(crate) fn sources(root: &Path, stage: &Stage) -> Result<Vec<(PathBuf, String)>> {
    let files = listing::below(&root.join(stage.package()).join("src"), "rs")?;
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        Ok((path, text))
    };
    files.into_iter().map(read).collect()
}

fn file(root: &Path) -> PathBuf {
    target_folder(root).join("course/progress.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use course::workspace;

    #[test]
    fn what_has_passed_is_forgotten_when_it_fails_and_doubted_when_the_code_changes() {
        let manifest = Manifest::load(&workspace::root().unwrap()).unwrap();
        let (_, exercise) = manifest.find("1.2").unwrap();
        let mut progress = Progress::default();
        assert_eq!(progress.status(exercise, false, 1), Status::Written);
        progress.note(exercise, true, 1);
        assert_eq!(progress.status(exercise, false, 1), Status::Passed);
        assert_eq!(progress.status(exercise, false, 2), Status::Changed);
        assert_eq!(progress.status(exercise, true, 1), Status::Open);
        progress.note(exercise, false, 1);
        assert_eq!(progress.status(exercise, false, 1), Status::Written);
    }

    #[test]
    fn the_next_exercise_is_the_first_that_is_left() {
        let manifest = Manifest::load(&workspace::root().unwrap()).unwrap();
        let mut all: Vec<_> = manifest
            .exercises()
            .map(|(_, one)| (one, Status::Open))
            .collect();
        all[0].1 = Status::Given;
        all[1].1 = Status::Changed;
        assert_eq!(next(&all).unwrap().id(), all[2].0.id());
        for one in &mut all {
            one.1 = Status::Passed;
        }
        assert!(next(&all).is_none());
    }
}
