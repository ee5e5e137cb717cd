//! The second track: the milestones of a program that is written from an empty file, in any language.
//!
//! `tests/scratch/milestones.toml` lists them. A milestone is proved by black-box tests, which reach the program by its command
//! line, its sockets and its signals alone.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::manifest::{Manifest, Stage, last_segment, tests_of};

/// The file, below the folder of the course.
pub const FILE: &str = "tests/scratch/milestones.toml";
/// The folder with the course's own solutions in C, which a workspace does not have.
pub const EXAMPLES: &str = "tests/scratch/c";
/// The sum of the points of a stage.
const POINTS: u32 = 100;

/// All milestones.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Track {
    /// The stages that can be done from an empty file, in their order.
    #[serde(rename = "stage")]
    pub programs: Vec<Program>,
}

/// The program of a stage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The stage's short name.
    pub id: String,
    /// The files of the course's own solution, below [`EXAMPLES`].
    pub sources: Vec<String>,
    /// The milestones, in the order in which a student reaches them.
    #[serde(rename = "milestone")]
    pub milestones: Vec<Milestone>,
}

/// A step on the way to a whole program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Milestone {
    /// Its name: `lines`.
    pub name: String,
    /// What the program can do then, in one sentence.
    pub sentence: String,
    /// Its points, out of 100 for each stage.
    pub points: u32,
    /// The chapter to read, a file of `book/src`.
    pub chapter: String,
    /// The beginnings of the names of its tests.
    pub tests: Vec<String>,
}

impl Track {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// Fails if it is missing or malformed.
    pub fn load(root: &Path) -> Result<Self> {
        let path = root.join(FILE);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).map_err(|error| anyhow::anyhow!("{FILE}: {error}"))
    }

    /// Finds the program of a stage.
    ///
    /// # Errors
    ///
    /// Fails if the stage has no milestones.
    pub fn program(&self, stage: &Stage) -> Result<&Program> {
        let found = self
            .programs
            .iter()
            .find(|program| program.id == stage.id());
        found.with_context(|| format!("{} has no milestones in {FILE}", stage.id()))
    }

    /// Checks that the points of each stage add up, and that each test is there and belongs to one milestone only.
    ///
    /// # Errors
    ///
    /// Fails with the first thing that is wrong.
    pub fn check(&self, root: &Path, manifest: &Manifest) -> Result<()> {
        for program in &self.programs {
            let stage = manifest.stage(&program.id)?;
            program.check(root, &tests_of(root, stage)?)?;
        }
        Ok(())
    }
}

impl Program {
    fn check(&self, root: &Path, tests: &[String]) -> Result<()> {
        let points: u32 = self.milestones.iter().map(|one| one.points).sum();
        let id = &self.id;
        ensure!(points == POINTS, "{FILE}: {id} has {points} points");
        let mut taken = HashSet::new();
        for milestone in &self.milestones {
            let name = &milestone.name;
            let chapter = root.join("book/src").join(&milestone.chapter);
            ensure!(
                chapter.is_file(),
                "{FILE}: {id}, {name}: there is no chapter {}",
                chapter.display()
            );
            for text in &milestone.tests {
                ensure!(
                    tests.iter().any(|test| test.starts_with(text)),
                    "{FILE}: {id}, {name}: no test begins with {text}"
                );
            }
            for test in tests.iter().filter(|test| milestone.owns(test)) {
                ensure!(
                    taken.insert(test),
                    "{FILE}: {id}: {test} belongs to two milestones"
                );
            }
        }
        Ok(())
    }
}

impl Milestone {
    /// Returns whether a test, named with its modules or without, is one of its tests.
    #[must_use]
    pub fn owns(&self, test: &str) -> bool {
        let name = last_segment(test);
        self.tests.iter().any(|text| name.starts_with(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn the_milestones_fit_the_tests_and_the_book() {
        let root = workspace::root().unwrap();
        let manifest = Manifest::load(&root).unwrap();
        if let Err(error) = Track::load(&root).unwrap().check(&root, &manifest) {
            panic!("{error:#}");
        }
    }

    #[test]
    fn a_test_without_a_milestone_is_found_by_none() {
        let root = workspace::root().unwrap();
        let manifest = Manifest::load(&root).unwrap();
        let mut track = Track::load(&root).unwrap();
        track.programs[0].milestones[0]
            .tests
            .push("e99_".to_owned());
        let error = track.check(&root, &manifest).unwrap_err();
        assert!(format!("{error:#}").contains("no test begins with e99_"));
    }
}
