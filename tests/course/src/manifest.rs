//! The manifest: `course.toml`, the one list of stages and exercises.
//!
//! ```text
//!   course.toml ── parse ──▶ Manifest ── structure ──▶ is it sound in itself?
//!                                     ── sources ────▶ does it fit the code, the tests and the book?
//! ```

mod claim;
mod hunt;
mod simple;
mod sources;
mod structure;
mod unit;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use toml::Spanned;

use crate::item::ItemPath;

pub use hunt::{FOLDER as HUNTS, Hunt};
pub use simple::Simple;
pub use sources::{last_segment, owner_of};
pub use sources::{tests_of, tests_of_exercise};
pub use unit::owner_of as owner_of_unit;

/// The name of the manifest's file.
pub const FILE: &str = "course.toml";

/// All of `course.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The stages in their order.
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
}

/// A stage: a package and its exercises.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The short name, which is also that of its test target: `stage3`.
    pub id: Spanned<String>,
    /// The package and its folder: `stage3-epoll`.
    pub package: Spanned<String>,
    /// Its title.
    pub title: String,
    /// Prefixes of test names that count for no exercise, because they show the faults of the code as given.
    #[serde(default)]
    pub ungraded: Vec<Spanned<String>>,
    /// Beginnings of the paths of unit tests that count for no exercise although they are in a file of one: they need more than
    /// it, or look at what a student may do differently.
    #[serde(default)]
    pub ungraded_unit: Vec<Spanned<String>>,
    /// A test that passes as soon as the program runs: with all exercises written up to `id`, and the simple versions
    /// of the others.
    pub runs: Option<Runs>,
    /// Its exercises, in an order in which each needs earlier ones only.
    #[serde(rename = "exercise")]
    pub exercises: Vec<Exercise>,
    /// Its bug hunts, whose points do not count among the 100.
    #[serde(default, rename = "hunt")]
    pub hunts: Vec<Hunt>,
}

/// When a student's own program of a stage runs for the first time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runs {
    /// The exercise from which on it runs.
    pub from: Spanned<String>,
    /// The test that shows it.
    pub test: Spanned<String>,
}

/// An exercise: functions to write, and the tests that tell whether they are right.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exercise {
    /// Stage and number: `3.2`.
    pub id: Spanned<String>,
    /// Its title.
    pub title: String,
    /// Its points, out of 100.
    pub points: u32,
    /// The time that it takes a student, in minutes.
    pub minutes: u32,
    /// The chapter to read, a file of `book/src`.
    pub chapter: Spanned<String>,
    /// The functions to write.
    pub items: Vec<Spanned<String>>,
    /// What the simple version of the functions does that the starter has in their place; without one, they have no body
    /// at all. It is in the file `tests/simple/ID.rs`.
    pub given: Option<Spanned<String>>,
    /// Prefixes of the names of its tests; the longest one that fits a test decides.
    pub tests: Vec<Spanned<String>>,
    /// Beginnings of the paths of its unit tests, like `line::tests::`; the longest one that fits a test decides. They are beside
    /// the code, and grading runs them as they were handed out.
    #[serde(default)]
    pub unit: Vec<Spanned<String>>,
    /// The exercises whose code this one, or its tests, cannot do without.
    pub needs: Vec<Spanned<String>>,
    /// Help in three steps: the direction, the approach, nearly there.
    pub hints: [String; 3],
}

/// Something wrong in the manifest, at a byte of its text.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    at: usize,
    text: String,
}

impl Problem {
    fn new<T>(at: &Spanned<T>, text: impl Into<String>) -> Self {
        Self {
            at: at.span().start,
            text: text.into(),
        }
    }
}

impl Manifest {
    /// Reads the manifest of the course at `root` and checks that it is sound in itself.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read or parsed, or is not sound; every problem has its line.
    pub fn load(root: &Path) -> Result<Self> {
        Self::parse(&read(root)?)
    }

    /// As [`Manifest::load`], and checks that it fits the code, the tests and the book.
    ///
    /// # Errors
    ///
    /// Fails as [`Manifest::load`] does, and when something does not fit.
    pub fn load_checked(root: &Path) -> Result<Self> {
        let text = read(root)?;
        let manifest = Self::parse(&text)?;
        report(&text, sources::problems(&manifest, root)?)?;
        Ok(manifest)
    }

    /// Parses a manifest and checks that it is sound in itself.
    ///
    /// # Errors
    ///
    /// Fails if it is not.
    pub fn parse(text: &str) -> Result<Self> {
        let manifest: Self =
            toml::from_str(text).map_err(|error| anyhow::anyhow!("{FILE}: {error}"))?;
        report(text, structure::problems(&manifest))?;
        Ok(manifest)
    }

    /// Iterates over all exercises with their stages, in order.
    pub fn exercises(&self) -> impl Iterator<Item = (&Stage, &Exercise)> {
        let of_stage = |stage| Stage::exercises_with(stage);
        self.stages.iter().flat_map(of_stage)
    }

    /// Iterates over all bug hunts with their stages, in order.
    pub fn hunts(&self) -> impl Iterator<Item = (&Stage, &Hunt)> {
        let of_stage = |stage| Stage::hunts_with(stage);
        self.stages.iter().flat_map(of_stage)
    }

    /// Finds a bug hunt by its name.
    ///
    /// # Errors
    ///
    /// Fails if there is none.
    pub fn hunt(&self, name: &str) -> Result<(&Stage, &Hunt)> {
        let found = self.hunts().find(|(_, hunt)| hunt.name() == name);
        found.with_context(|| {
            format!("there is no hunt {name:?}: `cargo course hunt` shows them all")
        })
    }

    /// Finds an exercise as people name it: `3.2`, `32` or `e32`.
    ///
    /// # Errors
    ///
    /// Fails if there is none.
    pub fn find(&self, name: &str) -> Result<(&Stage, &Exercise)> {
        let short = name.strip_prefix('e').unwrap_or(name);
        let short = short.replace(['.', '_'], "");
        let fits = |exercise: &Exercise| exercise.id().replace('.', "") == short;
        let found = self.exercises().find(|(_, exercise)| fits(exercise));
        found.with_context(|| {
            format!("there is no exercise {name:?}: `cargo course` shows them all")
        })
    }

    /// Finds an exercise by its number alone: `3.2`.
    ///
    /// # Errors
    ///
    /// Fails if there is none.
    pub fn find_exactly(&self, id: &str) -> Result<(&Stage, &Exercise)> {
        let mut all = self.exercises();
        let found = all.find(|(_, exercise)| exercise.id() == id);
        found.with_context(|| format!("there is no exercise {id:?} in {FILE}"))
    }

    /// Finds a stage as people name it: `stage3`, `3` or `stage3-epoll`.
    ///
    /// # Errors
    ///
    /// Fails if there is none.
    pub fn stage(&self, name: &str) -> Result<&Stage> {
        let fits = |stage: &&Stage| [stage.id(), stage.package(), stage.number()].contains(&name);
        let names: Vec<_> = self.stages.iter().map(Stage::id).collect();
        let found = self.stages.iter().find(fits);
        found.with_context(|| format!("there is no stage {name:?}, but {}", names.join(", ")))
    }
}

impl Stage {
    /// Returns the short name.
    pub fn id(&self) -> &str {
        self.id.as_ref()
    }

    /// Returns the package's name, which is that of its folder.
    pub fn package(&self) -> &str {
        self.package.as_ref()
    }

    /// Returns the number: `3`.
    pub fn number(&self) -> &str {
        self.id().trim_start_matches("stage")
    }

    fn hunts_with(&self) -> impl Iterator<Item = (&Self, &Hunt)> {
        self.hunts.iter().map(move |hunt| (self, hunt))
    }

    fn exercises_with(&self) -> impl Iterator<Item = (&Self, &Exercise)> {
        self.exercises.iter().map(move |exercise| (self, exercise))
    }
}

impl Exercise {
    /// Returns stage and number.
    pub fn id(&self) -> &str {
        self.id.as_ref()
    }

    fn number_of_stage(&self) -> &str {
        self.id().split('.').next().unwrap_or_default()
    }

    /// Returns number and title, as a `todo!` says it.
    pub fn name(&self) -> String {
        format!("{}: {}", self.id(), self.title)
    }

    /// Returns what the given version of its functions does, if there is one.
    pub fn given(&self) -> Option<&str> {
        self.given.as_ref().map(|text| text.as_ref().as_str())
    }

    /// Returns the page of the book with its box: `stage1-server.html`.
    pub fn page(&self) -> String {
        Path::new(self.chapter.as_ref())
            .with_extension("html")
            .display()
            .to_string()
    }

    /// Returns the functions to write.
    ///
    /// # Errors
    ///
    /// Fails if a path is malformed.
    pub fn items(&self) -> Result<Vec<ItemPath>> {
        self.items
            .iter()
            .map(|item| item.as_ref().parse())
            .collect()
    }

    /// Returns the exercises that this one needs.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        self.needs.iter().map(|need| need.as_ref().as_str())
    }
}

/// Returns the HTML id of an exercise's box: `exercise-3-2`.
pub fn anchor(id: &str) -> String {
    format!("exercise-{}", id.replace('.', "-"))
}

fn read(root: &Path) -> Result<String> {
    let path = root.join(FILE);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Turns problems into one error that names the line of each.
fn report(text: &str, problems: Vec<Problem>) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let line = |at: usize| text[..at].matches('\n').count() + 1;
    let lines: Vec<_> = problems
        .into_iter()
        .map(|problem| format!("{FILE}:{}: {}", line(problem.at), problem.text))
        .collect();
    bail!("{}", lines.join("\n"))
}

/// Returns a number of points in words.
pub fn in_points(points: u32) -> String {
    format!("{points} {}", if points == 1 { "point" } else { "points" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn the_manifest_of_this_course_fits_its_code_its_tests_and_its_book() {
        let checked = Manifest::load_checked(&workspace::root().unwrap());
        if let Err(error) = checked {
            panic!("{error:#}");
        }
    }
}
