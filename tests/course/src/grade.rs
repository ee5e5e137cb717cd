//! `cargo course grade [DIR]`: points for a submission.
//!
//! ```text
//!   DIR/stage*/src ─┐
//!                   ├─▶ workbench ─▶ build ─▶ each test alone ─▶ Report ─▶ table, results.json, junit.xml, summary.md
//!   everything else ┘   (pristine)
//! ```

pub(crate) mod bench;
mod files;
mod pass;
pub(crate) mod report;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::manifest::Manifest;
use crate::run::test::Guard;
use crate::starter::Record;
use crate::workspace;
use bench::Workbench;
use report::{Report, Verdict};

/// Grade a submission: this folder's, or that of DIR
///
/// Takes only stage*/src from it; tests, manifests and tools are those of the course. Builds without the network.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The submission; the workspace of this command, if none is named
    dir: Option<PathBuf>,

    /// Write a results.json for Gradescope
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,

    /// Write a JUnit XML file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Append a Markdown table to a file, as GitHub's $GITHUB_STEP_SUMMARY wants it
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
}

/// Grades, prints the table and writes the files that were asked for.
///
/// # Errors
/// When nothing could be graded: no code, or code that does not compile in any stage.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let submission = match &options.dir {
        Some(dir) => dir
            .canonicalize()
            .with_context(|| format!("cannot find {}", dir.display()))?,
        None => root.clone(),
    };
    let report = grade(&root, &submission)?;
    print!("{}", report::table::render(&report));
    let write = |path: &Option<PathBuf>, text: String| match path {
        Some(path) => {
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
        }
        None => Ok(()),
    };
    write(&options.results, report::gradescope::render(&report)?)?;
    write(&options.junit, report::junit::render(&report))?;
    if let Some(path) = &options.summary {
        append(path, &report::markdown::render(&report))?;
    }
    let is_gradable = |verdict| !matches!(verdict, Verdict::CouldNotBuild | Verdict::NotGraded);
    if !report
        .exercises()
        .any(|exercise| is_gradable(exercise.verdict))
    {
        bail!("nothing could be graded: see above");
    }
    Ok(())
}

/// Grades every stage of a submission, on its own earlier stages and, where those fail, on the reference's.
///
/// # Errors
/// When the workbench cannot be set up.
fn grade(root: &Path, submission: &Path) -> Result<Report> {
    let manifest = Manifest::load(root)?;
    let has_reference = Record::read(root)?.is_none();
    let guard = Guard::strict();
    let bench = Workbench::open(root, &manifest)?;
    let mut stages = Vec::new();
    let mut earlier_failed = false;
    for (place, stage) in manifest.stages.iter().enumerate() {
        if !submission.join(stage.package()).join("src").is_dir() {
            stages.push(pass::absent(stage));
            earlier_failed = true;
            continue;
        }
        eprintln!("{}: building", stage.id());
        bench.fill(root, submission, &manifest.stages)?;
        let mut report = pass::stage(&bench, &guard, stage, None)?;
        if earlier_failed && has_reference && !report.all_passed() {
            eprintln!(
                "{}: once more, on the reference's earlier stages",
                stage.id()
            );
            bench.fill(root, root, &manifest.stages[..place])?;
            report.improve(pass::stage(&bench, &guard, stage, Some(&report))?);
        }
        earlier_failed |= !report.all_passed();
        stages.push(report);
    }
    Ok(Report {
        stages,
        guard: guard.describe(),
    })
}

fn append(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
