//! A bug hunt as `course.toml` lists it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

/// The folder of the hunts, below that of the course.
pub const FOLDER: &str = "tests/hunts";

/// A bug hunt: a program with a fault, for which a student writes a script that exposes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hunt {
    /// The name, which tells the symptom and not the cause: `restart-refused`.
    pub name: Spanned<String>,
    /// Its title.
    pub title: String,
    /// Its points, which are not among the 100 of the exercises.
    pub points: u32,
    /// The time that it takes a student, in minutes.
    pub minutes: u32,
}

impl Hunt {
    /// Returns the name.
    pub fn name(&self) -> &str {
        self.name.as_ref()
    }

    /// Returns the file with the report of the symptom, relative to the course.
    pub fn report(&self) -> PathBuf {
        Path::new(FOLDER).join(format!("{}.md", self.name()))
    }

    /// Returns the kept script, which exposes the fault, relative to the course. Students do not get it.
    pub fn kept(&self) -> PathBuf {
        Path::new(FOLDER).join(format!("{}.py", self.name()))
    }
}
