//! The tests of a stage that judge an exercise: those that look from outside, and the unit tests.

use std::path::PathBuf;

use anyhow::Result;

use crate::run::guard::Guard;
use crate::run::suite;
use crate::run::test::Run;
use crate::units::Units;
use course::manifest::{Exercise, Stage, last_segment, owner_of, owner_of_unit};

/// The time limit of a unit test, in seconds, which `COURSE_TIME_SCALE` stretches: they take milliseconds, a few of them seconds.
const SECONDS: u64 = 30;

/// All tests of a stage, ready to run.
#[derive(Debug)]
pub(crate) struct Both<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) guard: Guard,
    pub(crate) executable: PathBuf,
    pub(crate) folder: PathBuf,
    units: Units,
    /// First those that look from outside, then the unit tests of exercises.
    pub(crate) names: Vec<String>,
}

impl<'a> Both<'a> {
    /// Lists the tests of an executable, and adds unit tests.
    ///
    /// # Errors
    ///
    /// Fails if the executable cannot be run.
    pub(crate) fn list(
        stage: &'a Stage,
        guard: Guard,
        executable: PathBuf,
        folder: PathBuf,
        units: Units,
    ) -> Result<Self> {
        let mut names = guard.list(&executable, &folder)?;
        names.extend(units.names.iter().cloned());
        Ok(Self {
            stage,
            guard,
            executable,
            folder,
            units,
            names,
        })
    }

    /// Returns only unit tests.
    pub(crate) fn units(stage: &'a Stage, guard: Guard, folder: PathBuf, units: Units) -> Self {
        let (executable, names) = (PathBuf::new(), units.names.clone());
        Self {
            stage,
            guard,
            executable,
            folder,
            units,
            names,
        }
    }

    /// Returns the exercise that a test belongs to.
    pub(crate) fn owner(&self, name: &str) -> Option<&'a Exercise> {
        if self.is_unit(name) {
            owner_of_unit(self.stage, name)
        } else {
            owner_of(self.stage, name)
        }
    }

    /// Runs a test to its end.
    pub(crate) fn run(&self, name: &str) -> Run {
        match &self.units.executable {
            Some(executable) if self.is_unit(name) => {
                self.guard
                    .at_most(SECONDS)
                    .run_unit(executable, &self.folder, name)
            }
            _ => self.guard.run(&self.executable, &self.folder, name),
        }
    }

    /// Runs some tests, a few at a time, and reports each as it ends.
    pub(crate) fn run_all(&self, names: &[String], tell: &(dyn Fn(&str, &Run) + Sync)) -> Vec<Run> {
        suite::run_with(self.guard.jobs, names, &|name| self.run(name), tell)
    }

    /// Runs a test several times, `at_once` at a time.
    pub(crate) fn repeat(&self, name: &str, times: usize, at_once: usize) -> Vec<Run> {
        let names = vec![name.to_owned(); times];
        suite::run_with(at_once, &names, &|name| self.run(name), &|_, _| ())
    }

    /// Returns the name of a test for people: the path of a unit test, otherwise the name without its modules.
    pub(crate) fn shown<'n>(&self, name: &'n str) -> &'n str {
        if self.is_unit(name) {
            name
        } else {
            last_segment(name)
        }
    }

    /// Returns whether it is a unit test.
    pub(crate) fn is_unit(&self, name: &str) -> bool {
        self.units.names.iter().any(|one| one == name)
    }

    /// Says which unit tests of an exercise were not run and why.
    pub(crate) fn unrun(&self, exercise: &Exercise) -> Vec<String> {
        self.units.unrun(self.stage, exercise).collect()
    }
}
