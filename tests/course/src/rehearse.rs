//! `cargo course rehearse`: a class of difficult submissions, graded as any other, to see that grading holds on this machine.
//!
//! ```text
//!   submissions.rs ──▶ a folder for each ──▶ grade --all ──▶ as expected? still running?
//!                      make.rs                               table.rs
//! ```

mod make;
mod submission;
mod submissions;
mod table;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::grade::class::{self, Order};
use crate::grade::grader::Kind;
use crate::run::build::target_folder;
use crate::run::guard::Guard;
use crate::starter::Record;
use course::manifest::Manifest;
use course::workspace;
use make::Maker;
use submission::{Quick, Submission};
use submissions::SUBMISSIONS;

/// How long a test may take in a quick rehearsal: those of the reference take a few seconds at most.
const QUICK_SECONDS: u64 = 25;

/// Test the grading: a class of 20 that loop, fork, flood, cheat or are simply right, each with its expected points
///
/// A submission that could do harm on this machine is left out, and named: without namespaces nothing hides the course from
/// a submission, and the forking one is left out where the kernel does not count the processes of a test.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Only eight of them, most with half of stage 1: a minute or two instead of a quarter of an hour
    #[arg(long)]
    quick: bool,

    /// How many submissions at a time
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,

    /// Only those with these names
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,

    /// Keep the class and its results in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Creates the class, grades it and compares.
///
/// # Errors
///
/// Fails if a submission gets other points than it must, or a process of it is still running.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    ensure!(
        Record::read(&root)?.is_none(),
        "a rehearsal needs the reference, and this is a starter"
    );
    let manifest = Manifest::load(&root)?;
    let stage = manifest.stages.first().context("there is no stage")?;
    let usual = target_folder(&root).join("course/rehearsal");
    let _lock = options.keep.is_none().then(|| empty(&usual)).transpose()?;
    let folder = options.keep.as_deref().unwrap_or(&usual);
    let guard = Guard::strict();
    let submissions = select(options, &guard)?;
    // Nine digits, so that no other process has this number among its arguments.
    let mark = format!("{:09}", std::process::id());
    let maker = Maker {
        root: &root,
        manifest: &manifest,
        is_quick: options.quick,
        mark: &mark,
    };
    for submission in &submissions {
        maker.make(&folder.join("class").join(submission.name), submission)?;
    }
    let order = Order {
        all: folder.join("class"),
        out: folder.join("results"),
        jobs: options.jobs,
        again: true,
        shard: None,
        seconds: options.quick.then_some(QUICK_SECONDS),
        kind: Kind::Exercises,
    };
    let rows = class::grade(&order)?;
    let left = still_running(&format!("1{mark}"));
    let table = table::compare(&submissions, &rows, &stage.exercises, options.quick)?;
    print!("\n{}", table.text);
    println!(
        "{} processes are left. How it was run: {}.",
        left.len(),
        guard.describe()
    );
    if table.wrong > 0 {
        println!("The reports are in {}", folder.join("results").display());
    }
    ensure!(left.is_empty(), "still running: {}", left.join(", "));
    match table.wrong {
        0 => Ok(()),
        wrong => bail!(
            "{wrong} of {} did not get the points that they must",
            submissions.len()
        ),
    }
}

/// Removes the files of the last rehearsal, also of an interrupted one, and returns the lock that excludes others; waits
/// while another rehearsal has it.
fn empty(folder: &Path) -> Result<File> {
    fs::create_dir_all(folder)?;
    let lock = File::create(folder.with_extension("lock"))?;
    lock.lock().context("cannot lock the rehearsal's folder")?;
    fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    Ok(lock)
}

/// Selects the submissions of the class, and prints those that are left out.
fn select(options: &Options, guard: &Guard) -> Result<Vec<&'static Submission>> {
    let is_wanted = |submission: &&Submission| {
        (!options.quick || submission.quick != Quick::No)
            && (options.only.is_empty() || options.only.iter().any(|name| name == submission.name))
    };
    let mut submissions = Vec::new();
    for submission in SUBMISSIONS.iter().filter(is_wanted) {
        match too_much(submission.name, guard) {
            Some(why) => eprintln!("{} is left out: {why}", submission.name),
            None => submissions.push(submission),
        }
    }
    ensure!(
        !submissions.is_empty(),
        "no submission of that name is in the class"
    );
    Ok(submissions)
}

/// Describes what this machine lacks for a submission, if anything.
fn too_much(name: &str, guard: &Guard) -> Option<&'static str> {
    match name {
        "forking" if !guard.bounds_processes() => {
            Some("the kernel does not count a test's processes here")
        }
        "killing" if !guard.protects_processes() => {
            Some("nothing protects the grading's processes here")
        }
        "deleting" if !guard.protects_files() => Some("nothing protects the course's files here"),
        "borrowing" if !guard.hides_files() => Some("nothing hides the reference's program here"),
        _ => None,
    }
}

/// Lists the processes of this machine that carry the mark in their arguments.
fn still_running(mark: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = entries.filter_map(|entry| {
        let words = fs::read(entry.path().join("cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        words
            .contains(mark)
            .then(|| format!("{} {words}", entry.file_name().display()))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_is_found_by_its_mark() {
        let mark = format!("100{}", std::process::id());
        let mut sleep = std::process::Command::new("sleep")
            .arg(&mark)
            .spawn()
            .unwrap();
        // The arguments become visible a moment after spawn has returned.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let mut found = still_running(&mark);
        while found.is_empty() && std::time::Instant::now() < deadline {
            found = still_running(&mark);
        }
        sleep.kill().unwrap();
        sleep.wait().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(still_running(&mark).is_empty());
    }
}
