//! Grading of programs from an empty file: a milestone is reported as an exercise is, so that all formats and classes have both.
//!
//! ```text
//!   submission ─▶ copy ─▶ its own build, confined ─▶ the program of each stage ─▶ the tests of each milestone ─▶ Report
//! ```

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::grade::bench::Workbench;
use crate::grade::pass::Tell;
use crate::grade::report::{ExerciseReport, StageReport, TestReport, Verdict};
use crate::run::build::Build;
use crate::run::guard::Guard;
use crate::run::suite;
use crate::run::test::{Outcome, Run};
use crate::scratch::handin::Handin;
use course::manifest::{Manifest, Stage, last_segment};
use course::milestones::{Milestone, Program, Track};

/// How many tests of a stage may time out before the rest is skipped.
const PATIENCE: usize = 2;

/// Grades the programs of a submission, for the stages of these names, or for all that have milestones.
///
/// # Errors
///
/// Fails if a stage has no milestones, or the tests do not compile.
pub(super) fn grade(
    (root, manifest): (&Path, &Manifest),
    stages: &[String],
    (bench, guard): (&Workbench, &Guard),
    submission: &Path,
    tell: Tell<'_>,
) -> Result<Vec<StageReport>> {
    let track = Track::load(root)?;
    let place = bench.site.target.join("scratch");
    let mut handin = Handin::take(submission, &place, manifest);
    let is_wanted = |program: &&Program| stages.is_empty() || stages.contains(&program.id);
    let mut reports = Vec::new();
    for program in track.programs.iter().filter(is_wanted) {
        let stage = manifest.stage(&program.id)?;
        tell(&format!("{}: building", stage.id()));
        let path = match &mut handin {
            Ok(handin) => handin.program(stage, guard)?,
            Err(error) => Err(format!("{error:#}")),
        };
        reports.push(match path {
            Ok(path) => judge(bench, guard, (stage, program), &path, tell)?,
            Err(why) => refused(stage, program, why),
        });
    }
    Ok(reports)
}

/// Checks the names of stages.
///
/// # Errors
///
/// Fails if one of them has no milestones.
pub(super) fn check(root: &Path, manifest: &Manifest, stages: &[String]) -> Result<()> {
    let track = Track::load(root)?;
    for id in stages {
        track.program(manifest.stage(id)?)?;
    }
    Ok(())
}

/// Runs the tests of all milestones of a stage.
fn judge(
    bench: &Workbench,
    guard: &Guard,
    (stage, program): (&Stage, &Program),
    path: &Path,
    tell: Tell<'_>,
) -> Result<StageReport> {
    let executable = match bench.site.build(stage)? {
        Build::Ready(executable) => executable,
        Build::Broken(messages) => bail!("the tests of {} do not compile:\n{messages}", stage.id()),
    };
    let (guard, folder) = (guard.with_program(Some(path)), bench.site.folder(stage));
    let mut names = guard.list(&executable, &folder)?;
    names.retain(|name| program.milestones.iter().any(|one| one.owns(name)));
    let late = AtomicUsize::new(0);
    let one = |name: &str| unless_hopeless(&late, || guard.run(&executable, &folder, name));
    let say = |name: &str, run: &Run| {
        if run.outcome != Outcome::Passed {
            tell(&format!("  {:?}: {}", run.outcome, last_segment(name)));
        }
    };
    let runs = suite::run_with(guard.jobs, &names, &one, &say);
    let all: Vec<_> = names.iter().zip(&runs).collect();
    let sort = |milestone: &Milestone| -> Vec<TestReport> {
        let mine = all.iter().filter(|(name, _)| milestone.owns(name));
        mine.map(|(name, run)| TestReport {
            name: last_segment(name).to_owned(),
            run: (*run).clone(),
        })
        .collect()
    };
    Ok(report(stage, program, None, &|milestone| {
        let tests = sort(milestone);
        (Verdict::of(&tests), tests)
    }))
}

/// Runs a test, unless others of its stage have timed out too often: a program that hangs would cost a deadline for each test.
fn unless_hopeless(late: &AtomicUsize, run: impl FnOnce() -> Run) -> Run {
    if late.load(Ordering::Relaxed) >= PATIENCE {
        return Run {
            outcome: Outcome::TimedOut,
            output: format!("not run: {PATIENCE} other tests of this stage have timed out"),
            time: Duration::ZERO,
        };
    }
    let run = run();
    if run.outcome == Outcome::TimedOut {
        late.fetch_add(1, Ordering::Relaxed);
    }
    run
}

/// Reports a stage whose program is not there.
fn refused(stage: &Stage, program: &Program, why: String) -> StageReport {
    let nothing = |_: &Milestone| (Verdict::CouldNotBuild, Vec::new());
    report(stage, program, Some(why), &nothing)
}

/// Reports a stage: its milestones are numbered as exercises are.
fn report(
    stage: &Stage,
    program: &Program,
    build: Option<String>,
    of: &dyn Fn(&Milestone) -> (Verdict, Vec<TestReport>),
) -> StageReport {
    let number = stage.id().trim_start_matches("stage");
    let milestones = program.milestones.iter().enumerate();
    let exercises = milestones.map(|(place, milestone)| {
        let (verdict, tests) = of(milestone);
        ExerciseReport {
            id: format!("{number}.{}", place + 1),
            title: milestone.name.clone(),
            chapter: milestone.chapter.clone(),
            points: milestone.points,
            verdict,
            on_reference: false,
            unrun: Vec::new(),
            tests,
        }
    });
    StageReport {
        id: stage.id().to_owned(),
        title: stage.title.clone(),
        build,
        exercises: exercises.collect(),
    }
}
