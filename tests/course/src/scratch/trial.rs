//! The trial of a program: the tests of a milestone, each alone and under limits.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::run::output;
use crate::run::suite;
use crate::run::test::{Guard, Outcome, Run};
use course::manifest::last_segment;
use course::milestones::Milestone;

/// A program, and the tests of its stage.
#[derive(Debug)]
pub(crate) struct Trial {
    guard: Guard,
    executable: PathBuf,
    folder: PathBuf,
    names: Vec<String>,
}

impl Trial {
    /// Creates the trial of a program by the tests in `executable`, which run in `folder`.
    ///
    /// # Errors
    ///
    /// Fails if the tests cannot be listed.
    pub(crate) fn new(
        guard: &Guard,
        executable: PathBuf,
        folder: PathBuf,
        program: &Path,
    ) -> Result<Self> {
        let guard = guard.with_program(Some(program));
        let names = guard.list(&executable, &folder)?;
        Ok(Self {
            guard,
            executable,
            folder,
            names,
        })
    }

    /// Runs the tests of a milestone, and then tells a line for each, always in the same order; returns the report of the
    /// first one that has not passed.
    ///
    /// # Errors
    ///
    /// Fails if the milestone has no test.
    pub(crate) fn run(&self, milestone: &Milestone, tell: &dyn Fn(&str)) -> Result<Option<String>> {
        let names = self.tests_of(milestone)?;
        let wait = |_: &str, _: &Run| ();
        let runs = suite::run(&self.guard, &self.executable, &self.folder, &names, &wait);
        for (name, run) in names.iter().zip(&runs) {
            tell(&format!("{} {}", run.outcome.sign(), last_segment(name)));
        }
        let mut all = names.iter().zip(&runs);
        let failed = all.find(|(_, run)| run.outcome != Outcome::Passed);
        Ok(failed.map(|(name, run)| report(name, run)))
    }

    /// Returns whether the program fails a test of a milestone: the tests run one after the other, up to the first that fails.
    ///
    /// # Errors
    ///
    /// Fails if the milestone has no test.
    pub(crate) fn misses(&self, milestone: &Milestone) -> Result<bool> {
        let is_failed = |name: &String| {
            let run = self.guard.run(&self.executable, &self.folder, name);
            matches!(run.outcome, Outcome::Failed | Outcome::TimedOut)
        };
        Ok(self.tests_of(milestone)?.iter().any(is_failed))
    }

    fn tests_of(&self, milestone: &Milestone) -> Result<Vec<String>> {
        let mine = self.names.iter().filter(|name| milestone.owns(name));
        let names: Vec<_> = mine.cloned().collect();
        ensure!(
            !names.is_empty(),
            "the milestone {} has no test",
            milestone.name
        );
        Ok(names)
    }
}

fn report(name: &str, run: &Run) -> String {
    let late = match run.outcome {
        Outcome::TimedOut => format!(
            "\nThe test was still running after {} s.",
            run.time.as_secs()
        ),
        Outcome::Passed | Outcome::Failed | Outcome::NotGraded => String::new(),
    };
    format!(
        "{}\n{}{late}",
        last_segment(name),
        output::message(&run.output)
    )
}
