//! Grades the scripts that a submission has for bug hunts.

use std::path::Path;

use anyhow::Result;

use crate::grade::pass::Tell;
use crate::grade::report::HuntReport;
use crate::hunts::handin;
use crate::hunts::kit::Kit;
use crate::hunts::trial::{self, Trial, Verdict};
use crate::run::guard::Guard;
use course::hunt::{FOLDER, HELP};
use course::manifest::{Hunt, Manifest, Stage};

/// Judges every script of a submission; none, if it has no folder for hunts.
///
/// # Errors
///
/// Fails if a program of a hunt cannot be built.
pub(super) fn grade(
    root: &Path,
    manifest: &Manifest,
    guard: &Guard,
    submission: &Path,
    tell: Tell<'_>,
) -> Result<Vec<HuntReport>> {
    if !submission.join(handin::FOLDER).is_dir() {
        return Ok(Vec::new());
    }
    let kit = Kit::find(root, manifest)?;
    let mut reports = Vec::new();
    for (stage, hunt) in manifest.hunts() {
        let trial = match handin::script(submission, hunt) {
            Ok(None) => continue,
            Ok(Some(script)) => judge(root, kit.as_ref(), guard, (stage, hunt), &script)?,
            Err(error) => not_graded(format!("{error:#}")),
        };
        let (name, words) = (hunt.name(), trial.verdict.words());
        tell(&format!("hunt {name}: {words}"));
        reports.push(HuntReport {
            name: name.to_owned(),
            title: hunt.title.clone(),
            points: hunt.points,
            verdict: trial.verdict,
            story: trial.story,
        });
    }
    Ok(reports)
}

fn judge(
    root: &Path,
    kit: Option<&Kit<'_>>,
    guard: &Guard,
    (stage, hunt): (&Stage, &Hunt),
    script: &Path,
) -> Result<Trial> {
    let Some(kit) = kit else {
        return Ok(not_graded(
            "the programs of the hunts are not here".to_owned(),
        ));
    };
    let programs = kit.programs(stage, hunt)?;
    trial::judge(guard, script, &root.join(FOLDER).join(HELP), &programs)
}

fn not_graded(story: String) -> Trial {
    let verdict = Verdict::NotGraded;
    Trial { verdict, story }
}
