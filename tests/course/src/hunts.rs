//! `cargo course hunt`: programs with a fault, and scripts of students that must expose it.
//!
//! ```text
//!   course.toml, tests/hunts ──▶ kit.rs: the programs ◀── factory.rs: builds them from the reference and its patches
//!                                   │
//!   cargo course hunt NAME ─────────┼──▶ folder.rs: hunts/NAME with report, program, beginning of a script
//!   cargo course hunt NAME --check ─┴──▶ handin.rs: the student's script ──▶ trial.rs: Verdict
//! ```
//!
//! Grading runs the same trial (`grade`).

mod factory;
mod folder;
pub(crate) mod handin;
pub(crate) mod kit;
pub(crate) mod trial;

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::run::guard::Guard;
use crate::starter::Record;
use crate::starter::digest::sha256;
use crate::student::progress::Progress;
use course::hunt::{FOLDER, HELP};
use course::manifest::{Hunt, Manifest, Stage, in_points};
use course::workspace;
use kit::Kit;
use trial::Verdict;

/// List the bug hunts, begin one, or check your script
///
/// A hunt gives you a program with a fault and the report of its symptom. You write a script that tells the faulty program from
/// right ones. Hunts have points of their own, beside the 100 of the exercises.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The hunt; default: list them all
    name: Option<String>,

    /// Judge your script, as grading does
    #[arg(long, requires = "name")]
    check: bool,
}

/// Lists, begins or checks.
///
/// # Errors
///
/// Fails if there is no such hunt, its programs are missing, or the script has not caught the fault.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let manifest = Manifest::load(&root)?;
    let Some(name) = &options.name else {
        return list(&root, &manifest);
    };
    let (stage, hunt) = manifest.hunt(name)?;
    if options.check {
        check(&root, &manifest, stage, hunt)
    } else {
        begin(&root, &manifest, stage, hunt)
    }
}

fn list(root: &Path, manifest: &Manifest) -> Result<()> {
    let progress = Progress::load(root);
    let (mut earned, mut all) = (0, 0);
    for stage in manifest.stages.iter().filter(|one| !one.hunts.is_empty()) {
        println!("{}  {}", stage.id(), stage.title);
        for hunt in &stage.hunts {
            let state = state(root, hunt, &progress)?;
            all += hunt.points;
            earned += if state == "caught" { hunt.points } else { 0 };
            let line = format!(
                "  {:<18} {:<40} {:>2} points  {:>3} min  {state}",
                hunt.name(),
                hunt.title,
                hunt.points,
                hunt.minutes
            );
            println!("{}", line.trim_end());
        }
        println!();
    }
    println!(
        "{earned} of {all} points, beside the 100 of the exercises.\n\
         To begin: cargo course hunt NAME; to check your script: cargo course hunt NAME --check"
    );
    Ok(())
}

fn state(root: &Path, hunt: &Hunt, progress: &Progress) -> Result<&'static str> {
    let Some(script) = handin::script(root, hunt)? else {
        return Ok("");
    };
    let digest = sha256(&std::fs::read(script)?);
    Ok(if progress.has_caught(hunt, &digest) {
        "caught"
    } else {
        "begun"
    })
}

fn kit<'a>(root: &'a Path, manifest: &'a Manifest) -> Result<Kit<'a>> {
    Kit::find(root, manifest)?
        .context("this workspace was made without the programs of the hunts: ask your instructor")
}

fn begin(root: &Path, manifest: &Manifest, stage: &Stage, hunt: &Hunt) -> Result<()> {
    ensure!(
        Record::read(root)?.is_some(),
        "hunts are for workspaces: make one with `cargo course start`"
    );
    let programs = kit(root, manifest)?.programs(stage, hunt)?;
    let folder = folder::write(root, stage, hunt, &programs)?;
    let folder = folder.strip_prefix(root).unwrap_or(&folder).display();
    println!(
        "{}\n  read   {folder}/README.md\n  write  {folder}/hunt.py, or any executable named hunt\n  then   cargo course hunt {} --check",
        hunt.title,
        hunt.name()
    );
    Ok(())
}

fn check(root: &Path, manifest: &Manifest, stage: &Stage, hunt: &Hunt) -> Result<()> {
    let script = handin::script(root, hunt)?.with_context(|| {
        format!(
            "there is no script: begin with `cargo course hunt {}`",
            hunt.name()
        )
    })?;
    let programs = kit(root, manifest)?.programs(stage, hunt)?;
    let digest = sha256(&std::fs::read(&script)?);
    let help = root.join(FOLDER).join(HELP);
    let trial = trial::judge(&Guard::strict(), &script, &help, &programs)?;
    let is_caught = trial.verdict == Verdict::Caught;
    let mut progress = Progress::load(root);
    progress.note_hunt(hunt, is_caught.then_some(digest));
    progress.save(root)?;
    println!(
        "{}: {}: {}",
        hunt.name(),
        trial.verdict.words(),
        trial.story
    );
    if !is_caught {
        bail!("the fault is not caught yet");
    }
    println!(
        "{}. Grading runs your script against further right programs.",
        in_points(hunt.points)
    );
    Ok(())
}
