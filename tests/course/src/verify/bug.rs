//! The wrong solutions in `tests/bugs`: a typical mistake each, and the test that must catch it.
//!
//! A file is a patch of the reference below a head of four lines:
//! ```text
//! Stage: stage1
//! Exercise: 1.3
//! Misconception: One read brings one line.
//! Caught by: e13_a_line_may_come_in_any_pieces
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::Lines;

use anyhow::{Context, Result, bail, ensure};

use crate::verify::plan::{Change, Claim, Demand, Proof, Setting};
use course::listing;
use course::manifest::{Manifest, owner_of};

/// The head of a wrong solution.
#[derive(Debug, PartialEq, Eq)]
struct Bug {
    file: PathBuf,
    stage: String,
    exercise: String,
    misconception: String,
    caught_by: String,
}

/// Plans the proof that every wrong solution is caught by the test that it names.
///
/// # Errors
///
/// Fails if a file has no proper head, or names an exercise or a test that is not of its stage.
pub(super) fn settings<'a>(root: &Path, manifest: &'a Manifest) -> Result<Vec<Setting<'a>>> {
    let bugs = read_all(&root.join("tests/bugs"))?;
    bugs.into_iter().map(|bug| bug.setting(manifest)).collect()
}

impl Bug {
    /// Checks that the exercise belongs to the stage, and the test to the exercise's stage.
    fn check(&self, manifest: &Manifest) -> Result<()> {
        let (stage, _) = manifest.find(&self.exercise)?;
        ensure!(
            stage.id() == self.stage,
            "{}: exercise {} is not of {}",
            self.file.display(),
            self.exercise,
            self.stage
        );
        ensure!(
            owner_of(stage, &self.caught_by).is_some(),
            "{}: {} is no test of an exercise of {}",
            self.file.display(),
            self.caught_by,
            self.stage
        );
        Ok(())
    }

    fn setting(self, manifest: &Manifest) -> Result<Setting<'_>> {
        self.check(manifest)?;
        let name = self.file.file_stem().unwrap_or_default().to_string_lossy();
        let text = format!("{name} ({}) is caught by {}", self.exercise, self.caught_by);
        let demand = Demand::Catches(self.caught_by);
        Ok(Setting {
            stage: manifest.stage(&self.stage)?,
            change: Change::Patch(self.file),
            claims: vec![Claim::new(Proof::Bugs, text, demand)],
        })
    }
}

/// Applies a patch in a folder; returns the refusal of a patch that does not fit.
pub(super) fn apply(patch: &Path, folder: &Path) -> Result<Option<String>> {
    let output = Command::new("git")
        .arg("apply")
        .arg(patch)
        .current_dir(folder)
        // Set, because a repository around the workbench would make the paths relative to its own root.
        .env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(folder))
        .stdin(Stdio::null())
        .output()
        .context("cannot start git")?;
    let refusal = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Ok((!output.status.success()).then_some(refusal))
}

fn read_all(folder: &Path) -> Result<Vec<Bug>> {
    let files = listing::below(folder, "patch")?;
    files.into_iter().map(|file| read(&file)).collect()
}

fn read(file: &Path) -> Result<Bug> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    parse(file, &text).with_context(|| format!("in {}", file.display()))
}

fn parse(file: &Path, text: &str) -> Result<Bug> {
    let mut head = Head::of(text);
    Ok(Bug {
        stage: head.value("Stage")?,
        exercise: head.value("Exercise")?,
        misconception: head.value("Misconception")?,
        caught_by: head.value("Caught by")?,
        file: file.to_owned(),
    })
}

/// The lines above a patch, each with a key and a value.
#[derive(Debug)]
pub(super) struct Head<'a>(Lines<'a>);

impl<'a> Head<'a> {
    /// Creates a reader of a text's head.
    pub(super) fn of(text: &'a str) -> Self {
        Self(text.lines())
    }

    /// Reads the next line, which must have this key.
    ///
    /// # Errors
    ///
    /// Fails if it has another, or no value.
    pub(super) fn value(&mut self, key: &str) -> Result<String> {
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
    use course::workspace;

    #[test]
    fn every_wrong_solution_has_a_proper_head() {
        let root = workspace::root().unwrap();
        let manifest = Manifest::load(&root).unwrap();
        for bug in read_all(&root.join("tests/bugs")).unwrap() {
            bug.check(&manifest).unwrap();
            assert!(bug.misconception.ends_with('.'), "{}", bug.file.display());
        }
    }

    #[test]
    fn a_head_that_lacks_a_line_is_refused() {
        let text = "Stage: stage1\nExercise: 1.1\nCaught by: e11_x\n";
        let error = parse(Path::new("x.patch"), text).unwrap_err().to_string();
        assert!(error.contains("Misconception"), "{error}");
    }

    #[test]
    fn a_patch_changes_the_folder_or_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let patch = folder.path().join("a.patch");
        fs::write(
            &patch,
            "Head\n--- a/x/f\n+++ b/x/f\n@@ -1 +1 @@\n-one\n+two\n",
        )
        .unwrap();
        let bench = folder.path().join("bench");
        fs::create_dir_all(bench.join("x")).unwrap();
        fs::write(bench.join("x/f"), "one\n").unwrap();
        assert_eq!(apply(&patch, &bench).unwrap(), None);
        assert_eq!(fs::read(bench.join("x/f")).unwrap(), b"two\n");
        assert!(apply(&patch, &bench).unwrap().is_some());
    }
}
