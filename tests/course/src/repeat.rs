//! `cargo course repeat`: each stage's tests many times, because a test that fails at random teaches distrust.
//!
//! Every second run is under load: other threads keep all processors busy meanwhile. The output of a run that fails is kept.

mod load;
mod table;
mod verdict;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::run::build::{Build, Site, target_folder};
use crate::run::test::{Guard, Outcome, Run};
use crate::verify::terminal;
use course::manifest::{Manifest, Stage};
use course::workspace;
use load::Load;
use table::Tally;

/// How long one run of a stage's tests may take; `COURSE_TIME_SCALE` stretches it.
const SECONDS: u64 = 900;

/// Run the tests of each stage many times, half of the runs with all processors busy
///
/// A run is what `cargo test` does: all tests of a stage in one process, a few at a time. Prints how many runs failed,
/// with test and seed, and how long they took.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// How many runs of each stage
    #[arg(long, default_value_t = 100)]
    runs: u32,

    /// Only this stage, like stage3; may be repeated
    #[arg(long = "stage", value_name = "STAGE")]
    stages: Vec<String>,

    /// Start no further run after this time
    #[arg(long, value_name = "MINUTES")]
    minutes: Option<u64>,

    /// Where the output of failed runs goes; default: a folder of cargo's output
    #[arg(long, value_name = "DIR")]
    failures: Option<PathBuf>,
}

/// A stage with the executable that holds its tests.
struct Subject<'a> {
    stage: &'a Stage,
    executable: PathBuf,
    tally: Tally,
}

/// Builds, repeats, and prints the table.
///
/// # Errors
///
/// Fails if a stage's tests do not compile, or a run failed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let manifest = Manifest::load(&root)?;
    let site = Site {
        target: target_folder(&root),
        root,
        is_shared: false,
    };
    let folder = match &options.failures {
        Some(folder) => folder.clone(),
        None => site.target.join("course/repeat"),
    };
    let mut subjects = build(&manifest, &site, &options.stages)?;
    let start = Instant::now();
    let end = options
        .minutes
        .map(|minutes| start + Duration::from_secs(60 * minutes));
    for number in 1..=options.runs {
        for subject in &mut subjects {
            if end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
            subject.run(&site, number, &folder)?;
        }
    }
    let tallies: Vec<_> = subjects.iter().map(|subject| &subject.tally).collect();
    terminal::print(&table::render(&tallies, start.elapsed()))?;
    let failed: usize = tallies.iter().map(|tally| tally.failures().len()).sum();
    ensure!(failed == 0, "{failed} runs failed: see the table");
    Ok(())
}

/// Builds the tests of the selected stages: all, if none is named.
fn build<'a>(manifest: &'a Manifest, site: &Site, names: &[String]) -> Result<Vec<Subject<'a>>> {
    let wanted: Vec<&Stage> = if names.is_empty() {
        manifest.stages.iter().collect()
    } else {
        let found = names.iter().map(|name| manifest.stage(name));
        found.collect::<Result<_>>()?
    };
    let mut subjects = Vec::new();
    for stage in wanted {
        terminal::tell(&format!("{}: building", stage.id()));
        let executable = match site.build(stage)? {
            Build::Ready(executable) => executable,
            Build::Broken(messages) => bail!("{} does not compile:\n{messages}", stage.id()),
        };
        subjects.push(Subject {
            stage,
            executable,
            tally: Tally::new(stage.id()),
        });
    }
    Ok(subjects)
}

impl Subject<'_> {
    /// Runs all tests once, every second time under load, and records the outcome.
    fn run(&mut self, site: &Site, number: u32, folder: &Path) -> Result<()> {
        let is_loaded = number.is_multiple_of(2);
        let load = is_loaded.then(Load::start);
        let guard = Guard::limits().lasting(SECONDS);
        let run = guard.run_all(&self.executable, &site.folder(self.stage));
        drop(load);
        let failures = if run.outcome == Outcome::Passed {
            vec![]
        } else {
            let file = folder.join(format!("{}-{}-{number}.txt", self.stage.id(), stamp()));
            keep(&file, &run)?;
            verdict::failures(&run, &file)
        };
        let state = if is_loaded { "loaded" } else { "alone" };
        let outcome = match failures.as_slice() {
            [] => "passed".to_owned(),
            failures => format!("FAILED: {}", verdict::list(failures)),
        };
        let seconds = run.time.as_secs_f64();
        terminal::tell(&format!(
            "{} run {number}, {state}: {outcome}, {seconds:.1} s",
            self.stage.id()
        ));
        self.tally.add(is_loaded, run.time, failures);
        Ok(())
    }
}

/// Writes the output of a run to a file.
fn keep(file: &Path, run: &Run) -> Result<()> {
    let folder = file.parent().context("no folder for the output")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let text = format!("{:?} after {:?}\n\n{}", run.outcome, run.time, run.output);
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Returns a number that no earlier run has: the seconds since 1970.
fn stamp() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs())
}
