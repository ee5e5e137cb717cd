//! Grading of one submission, stage by stage.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::grade::bench::{self, Workbench};
use crate::grade::hunt;
use crate::grade::pass::{self, Tell};
use crate::grade::programs;
use crate::grade::report::{Report, StageReport};
use crate::run::guard::Guard;
use crate::starter::Record;
use crate::student::quiz::answers::Answers;
use course::manifest::Manifest;
use course::quiz::{self, Question};

/// What a submission is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum Kind {
    /// Functions in the stages of the course.
    #[default]
    Exercises,
    /// Programs from an empty file, of these stages, or of all that have milestones.
    Programs(Vec<String>),
}

/// Grades one submission after another.
pub(super) struct Grader<'a> {
    root: &'a Path,
    manifest: &'a Manifest,
    guard: &'a Guard,
    bench: Workbench,
    kind: Kind,
    has_reference: bool,
}

impl<'a> Grader<'a> {
    /// Creates a grader; in a starter it has no reference.
    ///
    /// # Errors
    ///
    /// Fails if the record of a starter is damaged.
    pub(super) fn new(
        root: &'a Path,
        manifest: &'a Manifest,
        guard: &'a Guard,
        bench: Workbench,
        kind: Kind,
    ) -> Result<Self> {
        if let Kind::Programs(stages) = &kind {
            programs::check(root, manifest, stages)?;
            bench.fill(root, root, &manifest.stages)?;
        }
        let has_reference = Record::read(root)?.is_none();
        Ok(Self {
            root,
            manifest,
            guard,
            bench,
            kind,
            has_reference,
        })
    }

    /// Grades every stage of a submission; exercises on its own earlier stages and, where those fail, on the reference's.
    ///
    /// # Errors
    ///
    /// Fails if the workbench cannot be filled, or cargo cannot be started.
    pub(super) fn grade(&self, submission: &Path, tell: Tell<'_>) -> Result<Report> {
        if let Kind::Programs(stages) = &self.kind {
            let (course, tools) = ((self.root, self.manifest), (&self.bench, self.guard));
            return Ok(Report {
                stages: programs::grade(course, stages, tools, submission, tell)?,
                hunts: Vec::new(),
                quiz: Vec::new(),
                guard: self.guard.describe(),
            });
        }
        let mut stages: Vec<StageReport> = Vec::new();
        for (place, stage) in self.manifest.stages.iter().enumerate() {
            let earlier_failed = stages.iter().any(|stage| !stage.all_passed());
            stages.push(match bench::refusal(submission, stage) {
                Some(why) => pass::refused(stage, why),
                None => self.stage(submission, place, earlier_failed, tell)?,
            });
        }
        Ok(Report {
            stages,
            hunts: hunt::grade(self.root, self.manifest, self.guard, submission, tell)?,
            quiz: answered(self.root, self.manifest, submission)?,
            guard: self.guard.describe(),
        })
    }

    fn stage(
        &self,
        submission: &Path,
        place: usize,
        earlier_failed: bool,
        tell: Tell<'_>,
    ) -> Result<StageReport> {
        let (bench, all) = (&self.bench, &self.manifest.stages);
        let stage = &all[place];
        tell(&format!("{}: building", stage.id()));
        bench.fill(self.root, submission, all)?;
        let mut report = pass::stage(bench, self.guard, stage, None, tell)?;
        if earlier_failed && self.has_reference && !report.all_passed() {
            let id = stage.id();
            tell(&format!(
                "{id}: once more, on the reference's earlier stages"
            ));
            bench.fill(self.root, self.root, &all[..place])?;
            report.improve(pass::stage(bench, self.guard, stage, Some(&report), tell)?);
        }
        Ok(report)
    }
}

/// Returns the questions that a submission has answered, and whether the first answer was right.
fn answered(root: &Path, manifest: &Manifest, submission: &Path) -> Result<Vec<(String, bool)>> {
    let answers = Answers::load(submission);
    let first = |one: &Question| Some((one.name.clone(), answers.first_was_right(one)?));
    Ok(quiz::all(root, manifest)?
        .iter()
        .filter_map(first)
        .collect())
}
