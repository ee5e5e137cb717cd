//! `cargo course grade --all DIR`: a class, a few submissions at a time.
//!
//! ```text
//!   DIR/anna ─┐            ┌─ worker, workbench 0 ─┐              OUT/anna/results.json
//!   DIR/ben  ─┼─▶ queue ──▶┤                       ├─▶ files ──▶  OUT/anna/report.md, report.txt
//!   DIR/...  ─┘            └─ worker, workbench 1 ─┘              OUT/class.csv, items.csv, times.csv
//! ```
//!
//! 1. Two workers never share a workbench.
//! 2. A file is there with all of its content, or not at all; results.json is the last of a submission's files.
//! 3. A results.json for the same code and the same course is reused, so that an interrupted run can continue.
//!
//! With `--shard`, only a part of the class enters the queue, and record.rs notes which; merge.rs puts the parts together.

mod csv;
mod files;
mod items;
pub(super) mod merge;
mod print;
mod record;
pub(crate) mod row;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::grade::bench::Workbench;
use crate::grade::grader::{Grader, Kind};
use crate::run::guard::Guard;
use crate::shard::Shard;
use course::listing;
use course::manifest::Manifest;
use course::workspace;
use record::{Entry, Record};
use row::{Mark, Row};

/// The exit status after Ctrl-C, as shells have it: 128 and the number of the signal.
const INTERRUPTED: i32 = 130;

/// A class that is being graded.
struct Class<'a> {
    root: &'a Path,
    manifest: &'a Manifest,
    guard: Guard,
    out: PathBuf,
    again: bool,
    kind: Kind,
    /// Whether other shards of the class may use the same folder for workbenches.
    is_shard: bool,
    /// The fingerprint of the course: results of another one do not count.
    course: u64,
    /// The number of submissions.
    count: usize,
    state: Mutex<State>,
}

/// The state that the workers share.
#[derive(Debug, Default)]
struct State {
    open: VecDeque<PathBuf>,
    done: Vec<Row>,
}

/// An order to grade a class.
#[derive(Debug)]
pub(crate) struct Order {
    /// The folder with the submissions.
    pub(crate) all: PathBuf,
    /// Where the results go.
    pub(crate) out: PathBuf,
    /// The number of workers.
    pub(crate) jobs: usize,
    /// Whether to ignore earlier results.
    pub(crate) again: bool,
    /// The part of the class, if not all of it.
    pub(crate) shard: Option<Shard>,
    /// The time limit of a test, if not the usual one.
    pub(crate) seconds: Option<u64>,
    /// What the submissions are.
    pub(crate) kind: Kind,
}

impl Order {
    fn guard(&self, jobs: usize) -> Guard {
        let guard = Guard::strict().for_one_of(jobs);
        match self.seconds {
            Some(seconds) => guard.lasting(seconds),
            None => guard,
        }
    }
}

/// Grades every folder in a folder and prints the overview.
///
/// # Errors
///
/// Fails as [`grade`] does.
pub(super) fn run(order: &Order) -> Result<()> {
    let rows = grade(order)?;
    print!("{}", csv::overview(&rows));
    println!("\nresults: {}", order.out.display());
    Ok(())
}

/// Grades every folder in a folder.
///
/// # Errors
///
/// Fails if there is none, or the results cannot be written.
pub(crate) fn grade(order: &Order) -> Result<Vec<Row>> {
    let root = workspace::root()?;
    let manifest = Manifest::load(&root)?;
    let course = print::course(&root, &manifest, &order.kind)?;
    let mut open = submissions(&order.all)?;
    if let Some(shard) = order.shard {
        record(order, shard, &open, course, &manifest).write(&order.out)?;
        open = shard.of(open).collect();
    }
    let jobs = order.jobs.clamp(1, open.len().max(1));
    let class = Class {
        root: &root,
        manifest: &manifest,
        guard: order.guard(jobs),
        out: order.out.clone(),
        again: order.again,
        kind: order.kind.clone(),
        is_shard: order.shard.is_some(),
        course,
        count: open.len(),
        state: Mutex::new(State {
            open,
            done: Vec::new(),
        }),
    };
    eprintln!(
        "{} submissions, {jobs} at a time; {}.",
        class.count,
        class.guard.describe()
    );
    class.grade(jobs)?;
    Ok(class
        .state
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .done)
}

/// Lists the submissions: the folders in a folder, without those that are hidden.
fn submissions(all: &Path) -> Result<VecDeque<PathBuf>> {
    let all = all
        .canonicalize()
        .with_context(|| format!("cannot find {}", all.display()))?;
    let mut found = listing::entries(&all)?;
    found.retain(|path| path.is_dir() && !name_of(path).starts_with('.'));
    ensure!(
        !found.is_empty(),
        "{} has no folders: each submission is one",
        all.display()
    );
    Ok(found.into())
}

/// Describes a shard and the whole class.
fn record(
    order: &Order,
    shard: Shard,
    all: &VecDeque<PathBuf>,
    course: u64,
    manifest: &Manifest,
) -> Record {
    let entry = |path: &PathBuf| Entry {
        name: name_of(path),
        code: print::submission(path, manifest, &order.kind),
    };
    Record {
        shard,
        course,
        kind: order.kind.clone(),
        class: all.iter().map(entry).collect(),
    }
}

/// Returns `class-results` for `class` and `results`: inside of it, the results would be taken for a submission.
///
/// # Errors
///
/// Fails if the folder does not exist.
pub(super) fn beside(all: &Path, kind: &str) -> Result<PathBuf> {
    let all = all.canonicalize()?;
    Ok(all.with_file_name(format!("{}-{kind}", name_of(&all))))
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

impl Class<'_> {
    /// Runs the workers until the queue is empty or one of them fails.
    fn grade(&self, jobs: usize) -> Result<()> {
        files::make_folder(&self.out)?;
        let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot wait for signals")?;
        let handle = signals.handle();
        thread::scope(|scope| {
            scope.spawn(move || {
                if signals.forever().next().is_some() {
                    self.leave();
                }
            });
            let work = |number| scope.spawn(move || self.work(number));
            let workers: Vec<_> = (0..jobs).map(work).collect();
            let ended: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
            handle.close();
            ended.into_iter().try_for_each(|worker| {
                worker.unwrap_or_else(|_| Err(anyhow::anyhow!("a worker has crashed")))
            })
        })
    }

    /// Exits: the tests that run end with us, and no file is being written while we hold the lock.
    fn leave(&self) -> ! {
        let state = self.lock();
        let next = if self.again {
            format!("Their results are in {}.", self.out.display())
        } else {
            "The same command continues from here.".to_owned()
        };
        let (done, count) = (state.done.len(), self.count);
        eprintln!("\nInterrupted: {done} of {count} are graded. {next}");
        std::process::exit(INTERRUPTED)
    }

    /// Takes submissions out of the queue, one after another.
    fn work(&self, number: usize) -> Result<()> {
        let mut grader = None;
        loop {
            let Some(submission) = self.lock().open.pop_front() else {
                return Ok(());
            };
            let name = name_of(&submission);
            let code = print::submission(&submission, self.manifest, &self.kind);
            let row = match self.known(&name, code) {
                Some(row) => row,
                None => {
                    if grader.is_none() {
                        grader = Some(self.grader(number)?);
                    }
                    let grader = grader.as_ref().context("there is no grader")?;
                    self.grade_one(grader, &submission, code)?
                }
            };
            self.note(row)?;
        }
    }

    fn grader(&self, number: usize) -> Result<Grader<'_>> {
        let bench = if self.is_shard {
            Workbench::open_free(self.root, self.manifest)?
        } else {
            Workbench::open_numbered(self.root, self.manifest, number)?
        };
        Grader::new(
            self.root,
            self.manifest,
            &self.guard,
            bench,
            self.kind.clone(),
        )
    }

    /// Finds the result of an earlier run for the same code.
    fn known(&self, name: &str, code: u64) -> Option<Row> {
        if self.again {
            return None;
        }
        let row = files::read(&self.out, name).ok()?;
        (row.is_for(code, self.course)).then_some(row)
    }

    fn grade_one(&self, grader: &Grader<'_>, submission: &Path, code: u64) -> Result<Row> {
        let name = name_of(submission);
        let start = Instant::now();
        let tell = |text: &str| eprintln!("          {name}: {text}");
        let report = grader
            .grade(submission, &tell)
            .with_context(|| format!("cannot grade {name}"))?;
        let mark = Mark {
            code,
            course: self.course,
            seconds: start.elapsed().as_secs(),
        };
        // Held while writing, because `leave` takes the same lock: an interruption waits until the files are complete.
        let _state = self.lock();
        files::write(&self.out, &name, &report, &mark)?;
        files::read(&self.out, &name)
    }

    /// Adds a graded submission to the list and rewrites the tables.
    fn note(&self, row: Row) -> Result<()> {
        let mut state = self.lock();
        let number = state.done.len() + 1;
        eprintln!("[{number:>3}/{}] {}", self.count, row.line());
        state.done.push(row);
        state.done.sort_by(|one, other| one.name.cmp(&other.name));
        items::write(&self.out, &state.done)?;
        csv::write(&self.out, &state.done)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submissions_are_the_folders_that_are_not_hidden() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["ben", "anna", ".git"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("list.txt"), "").unwrap();
        let names: Vec<_> = submissions(folder.path())
            .unwrap()
            .iter()
            .map(|path| name_of(path))
            .collect();
        assert_eq!(names, ["anna", "ben"]);
        assert!(submissions(&folder.path().join("anna")).is_err());
    }
}
