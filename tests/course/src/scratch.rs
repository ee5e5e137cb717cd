//! `cargo course scratch`: the second track, a program from an empty file, in any language.
//!
//! ```text
//!   tests/scratch/milestones.toml ──▶ course::milestones ──┐
//!   a stage's tests, built as ever ────────────────────────┼──▶ trial.rs: each milestone reached or not ──▶ points
//!   --program PATH, or example.rs: our own solution in C ──┘
//! ```
//!
//! The proofs run the same trial (`verify`).

pub(crate) mod example;
pub(crate) mod handin;
pub(crate) mod trial;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::run::build::{Build, Site, target_folder};
use crate::run::guard::Guard;
use course::manifest::{Manifest, Stage};
use course::milestones::{Milestone, Program, Track};
use course::workspace;
use trial::Trial;

/// Show the milestones of a program from an empty file, or grade one
///
/// The program may be written in any language. It is judged from outside: by its command line, its sockets and its signals. Each
/// stage has 100 points, and a milestone gives its points when all of its tests pass. The exit status is 0 with all 100.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The stage, like stage1; default: list all of them
    stage: Option<String>,

    /// The program to grade: an executable, or a script with a #! line
    #[arg(long, value_name = "PATH", requires = "stage")]
    program: Option<PathBuf>,

    /// Grade the course's own solution in C, which is built first
    #[arg(long, requires = "stage", conflicts_with = "program")]
    example: bool,

    /// Only the milestone of this name
    #[arg(long, value_name = "MILESTONE", requires = "stage")]
    only: Option<String>,

    /// For the program of another person: isolated from this machine, as submissions are (see `grade --help`); it sees the
    /// files of its own folder
    #[arg(long, requires = "stage")]
    isolated: bool,
}

/// Lists milestones or grades a program.
///
/// # Errors
///
/// Fails if the program has not reached every milestone.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let manifest = Manifest::load(&root)?;
    let track = Track::load(&root)?;
    let Some(stage) = &options.stage else {
        for program in &track.programs {
            list(manifest.stage(&program.id)?, program);
        }
        return Ok(());
    };
    let stage = manifest.stage(stage)?;
    let program = track.program(stage)?;
    let Some(path) = path(&root, program, options)? else {
        list(stage, program);
        return Ok(());
    };
    let wanted = |milestone: &&Milestone| {
        options
            .only
            .as_ref()
            .is_none_or(|name| *name == milestone.name)
    };
    let milestones: Vec<_> = program.milestones.iter().filter(wanted).collect();
    ensure!(
        !milestones.is_empty(),
        "{} has no such milestone",
        stage.id()
    );
    grade(&root, stage, &path, &milestones, options.isolated)
}

/// Returns the program to grade, if there is one.
fn path(root: &Path, program: &Program, options: &Options) -> Result<Option<PathBuf>> {
    if options.example {
        let built = example::build(root, program, &target_folder(root))?;
        return Ok(Some(built.context("there is no C compiler: install gcc")?));
    }
    let found = options.program.as_ref().map(|path| {
        path.canonicalize()
            .with_context(|| format!("there is no program at {}", path.display()))
    });
    found.transpose()
}

fn list(stage: &Stage, program: &Program) {
    println!("{}: {}", stage.id(), stage.title);
    for milestone in &program.milestones {
        let (points, name, sentence) = (milestone.points, &milestone.name, &milestone.sentence);
        println!("{points:>4}  {name:<14} {sentence}");
    }
    println!();
}

fn grade(
    root: &Path,
    stage: &Stage,
    program: &Path,
    milestones: &[&Milestone],
    isolated: bool,
) -> Result<()> {
    let site = Site {
        root: root.to_owned(),
        target: target_folder(root),
        is_shared: false,
    };
    let executable = match site.build(stage)? {
        Build::Ready(executable) => executable,
        Build::Broken(messages) => bail!("the tests of {} do not compile:\n{messages}", stage.id()),
    };
    let guard = if isolated {
        Guard::strict()
    } else {
        Guard::limits()
    };
    let trial = Trial::new(&guard, executable, site.folder(stage), program)?;
    let (mut reached, mut first_report) = (0, None);
    for milestone in milestones {
        println!(
            "{} ({} points): {}",
            milestone.name, milestone.points, milestone.sentence
        );
        match trial.run(milestone, &|line| println!("  {line}"))? {
            None => reached += milestone.points,
            Some(report) => {
                first_report.get_or_insert((*milestone, report));
            }
        }
    }
    if isolated {
        println!("\n{}", guard.describe());
    }
    let all: u32 = milestones.iter().map(|one| one.points).sum();
    if let Some((milestone, report)) = &first_report {
        println!(
            "\n{report}\n\nThe next milestone is {}. To read: the book's chapter {}",
            milestone.name, milestone.chapter
        );
    }
    println!("\n{}: {reached} of {all} points", stage.id());
    ensure!(reached == all, "not every milestone is reached yet");
    Ok(())
}
