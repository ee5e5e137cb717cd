//! `cargo course grade [DIR]`: points for a submission.
//!
//! ```text
//!   DIR/stage*/src ─┐
//!                   ├─▶ workbench ─▶ build ─▶ each test alone ─▶ Report ─▶ table, results.json, junit.xml, summary.md
//!   everything else ┘   (pristine)            with the unit tests that were handed out: units.rs
//!   DIR/hunts/NAME/hunt.py ─▶ the trial of hunts/trial.rs ─▶ hunt.rs: a part of the Report with points of its own
//! ```

pub(crate) mod bench;
pub(crate) mod class;
pub(crate) mod files;
pub(crate) mod grader;
mod hunt;
mod pass;
mod programs;
pub(crate) mod report;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::run::build::Build;
use crate::run::guard::Guard;
use crate::shard::Shard;
use crate::units::Units;
use bench::Workbench;
use class::Order;
use course::manifest::Manifest;
use course::workspace;
use grader::{Grader, Kind};
use report::Verdict;

/// The part of `--help` about verdicts, classes and cheating.
const LIMITS: &str = "\
Verdicts: passed; failed; timed out; could not build; could not be graded (no code, a link instead of a file, or a fault
of this machine: look at it yourself). An exercise has its points when all of its tests pass, unit tests as well.

Unit tests: those that were handed out, whatever the submission has in their place. A module of them that does not compile with
its types or functions is not run: the report says so, and the other tests decide.

Hunts: a submission with scripts in hunts/ gets points for them beside the 100. Without the programs of the hunts (a
workspace that was made without them, a grading service) they could not be graded.

A class: every folder in CLASS is a submission. RESULTS/NAME has results.json, report.md and report.txt, and
RESULTS/class.csv one row for each, RESULTS/items.csv the difficulty and the discrimination of each exercise, RESULTS/times.csv
how long each took. After an interruption, give the same command
again: a submission that has a result for the same code and the same course is not graded twice.

Programs from an empty file (--scratch): a submission has a course-scratch.toml, with `build`, a command of the shell, and
`program` for each stage, or a Makefile that makes stage1-server and so on. Its own build runs like a test, without the network
and with only a copy of the submission to write to. A milestone has the place of an exercise in all files. What does not
build, or is not there, has 0 points, and the report says why.

A class for several machines: give each the same class and the same course, and one of `--shard 1/3`, `2/3`, `3/3`. Shard
2/3 writes its results into CLASS-shards/2-of-3 (--out DIR: into DIR/2-of-3). Bring these folders together, and `grade
--merge CLASS-shards` writes the results of the whole class, its class.csv the same, byte for byte, as without shards. It
refuses shards that do not fit together. Shards on one machine or one file system may run side by side in one clone.

Cheating that does not work: other tests, own unit tests, manifests, build scripts or cargo settings; links; include! of other files; unsafe
code; printing `test result: ok`; ending the test process with 0; running the reference's program (with namespaces);
processes that stay behind; killing the parent.
Cheating that may work: code under test runs in the process of some tests. Types that do not fit the unit tests leave the
judgement to the black-box tests, and the report tells you. Types that call everything equal deceive
these tests, but not those that talk to the program through sockets. Code that knows the tests can answer just what they
ask; the random bytes make that hard, not impossible. A program that was handed out for a hunt is almost the reference's: a
submission that holds its bytes and starts them passes nearly all tests; its size gives it away. Without namespaces, a submission can read what you can read.";

/// Grade a submission: this folder's, or that of DIR
///
/// Takes only stage*/src and the scripts of bug hunts from it; tests, manifests and tools are those of the course. Builds without the network.
///
/// Each test runs alone, with a deadline, under limits of time, memory, processes, files and output, and with everything
/// that it has started killed at its end. Where the kernel allows it, it has no network but loopback, a read-only file
/// system with nothing of the course's folder, of homes or of other submissions in it, and no other processes to see. The
/// last line of the report says which of these were in force.
#[derive(Args, Debug)]
#[command(after_long_help = LIMITS)]
pub(crate) struct Options {
    /// The submission; default: the workspace of this command
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

    /// Grade programs from an empty file by their milestones, for these stages, like `--scratch=stage1,stage3`; default: all
    #[arg(long, value_name = "STAGES", num_args = 0..=1, require_equals = true, value_delimiter = ',', conflicts_with_all = ["prepare", "merge"])]
    scratch: Option<Vec<String>>,

    /// Grade every folder in a folder: a class
    #[arg(long, value_name = "CLASS", group = "class", conflicts_with_all = ["dir", "results", "junit", "summary"])]
    all: Option<PathBuf>,

    /// Grade only one part of the class, like 1/3: with 2/3 and 3/3 it is the whole
    #[arg(long, value_name = "PART/PARTS", requires = "all")]
    shard: Option<Shard>,

    /// Merge the results of all shards of a class, which are in this folder
    #[arg(long, value_name = "SHARDS", group = "class", conflicts_with_all = ["dir", "results", "junit", "summary"])]
    merge: Option<PathBuf>,

    /// How many submissions at a time; each has a workbench and a cache of its own
    #[arg(long, value_name = "N", default_value_t = 1, requires = "all")]
    jobs: usize,

    /// Where the results of a class go; default: CLASS-results; for a shard, CLASS-shards
    #[arg(long, value_name = "DIR", requires = "class")]
    out: Option<PathBuf>,

    /// Grade again, even if there is a result for the same code and the same course
    #[arg(long, requires = "all")]
    again: bool,

    /// Only build everything once with the reference's code, so that grading has less to do
    #[arg(long, conflicts_with_all = ["dir", "class", "results", "junit", "summary"])]
    prepare: bool,
}

impl Options {
    /// Returns what a submission is.
    fn kind(&self) -> Kind {
        self.scratch.clone().map_or(Kind::Exercises, Kind::Programs)
    }
}

/// Grades, prints the table and writes the files that were asked for.
///
/// # Errors
///
/// Fails if nothing could be graded, because there is no code or no stage compiles.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(all) = &options.all {
        return class::run(&order(options, all)?);
    }
    if let Some(shards) = &options.merge {
        return class::merge::run(shards, &merged(options, shards)?);
    }
    let root = workspace::root()?;
    if options.prepare {
        return prepare(&root);
    }
    let submission = match &options.dir {
        Some(dir) => dir
            .canonicalize()
            .with_context(|| format!("cannot find {}", dir.display()))?,
        None => root.clone(),
    };
    let manifest = Manifest::load(&root)?;
    let guard = Guard::strict();
    let bench = Workbench::open(&root, &manifest)?;
    let grader = Grader::new(&root, &manifest, &guard, bench, options.kind())?;
    let report = grader.grade(&submission, &|text| eprintln!("{text}"))?;
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

/// Returns the order to grade a class, as the options have it.
fn order(options: &Options, all: &Path) -> Result<Order> {
    let kind = match options.shard {
        Some(_) => "shards",
        None => "results",
    };
    let mut out = match &options.out {
        Some(out) => out.clone(),
        None => class::beside(all, kind)?,
    };
    if let Some(shard) = options.shard {
        out.push(shard.folder());
    }
    Ok(Order {
        all: all.to_owned(),
        out,
        jobs: options.jobs,
        again: options.again,
        shard: options.shard,
        seconds: None,
        kind: options.kind(),
    })
}

/// Returns the folder for merged results: `class-results` for `class-shards`, as if the class had no shards.
fn merged(options: &Options, shards: &Path) -> Result<PathBuf> {
    if let Some(out) = &options.out {
        return Ok(out.clone());
    }
    let shards = shards
        .canonicalize()
        .with_context(|| format!("cannot find {}", shards.display()))?;
    let name = shards.file_name().unwrap_or_default().to_string_lossy();
    let class = name.strip_suffix("-shards").unwrap_or(&name);
    Ok(shards.with_file_name(format!("{class}-results")))
}

/// Builds the tests of every stage once, so that grading finds everything compiled.
fn prepare(root: &Path) -> Result<()> {
    let manifest = Manifest::load(root)?;
    let (guard, bench) = (Guard::strict(), Workbench::open(root, &manifest)?);
    bench.fill(root, root, &manifest.stages)?;
    for stage in &manifest.stages {
        eprintln!("{}: building", stage.id());
        if let Build::Broken(messages) = bench.site.build_foreign(stage, &guard)? {
            bail!("{} does not build: {messages}", stage.id());
        }
        Units::build(&bench, stage, Some(&guard))?;
    }
    Ok(())
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
