//! `cargo course rehearse`: a class of difficult submissions, graded as any other, to see that grading holds on this machine.
//!
//! ```text
//!   pupils.rs ──▶ a folder for each ──▶ grade --all ──▶ as expected? still running?
//! ```

mod pupils;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::grade::class::{self, Order, Row};
use crate::grade::files;
use crate::manifest::Manifest;
use crate::run::guard::Guard;
use crate::starter::Record;
use crate::{splice, starter, workspace};
use pupils::{Change, PUPILS, Pupil};

/// Who gets away with it where files cannot be hidden.
const NEED_NAMESPACES: &[&str] = &["borrowing"];

/// Who is left out where the kernel does not bound the processes of a test.
const NEED_BOUNDS: &[&str] = &["forking", "killing"];

/// Try grading out: a class of 20 that loop, fork, flood, cheat or are simply right, with what each must get
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Only six of them
    #[arg(long)]
    quick: bool,

    /// How many submissions at a time
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,

    /// Only those with these names
    #[arg(long, value_name = "NAME", conflicts_with = "quick")]
    only: Vec<String>,

    /// Keep the class and its results in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Makes the class, grades it and compares.
///
/// # Errors
/// When somebody gets what he must not get, or something is still running.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    ensure!(
        Record::read(&root)?.is_none(),
        "a rehearsal needs the reference, and this is a starter"
    );
    let manifest = Manifest::load(&root)?;
    let temporary = tempfile::tempdir()?;
    let folder = options.keep.as_deref().unwrap_or(temporary.path());
    let guard = Guard::strict();
    let is_harmless =
        |pupil: &&Pupil| guard.bounds_processes() || !NEED_BOUNDS.contains(&pupil.name);
    let is_wanted = |pupil: &&Pupil| match options.only.as_slice() {
        [] => pupil.short || !options.quick,
        only => only.iter().any(|name| name == pupil.name),
    };
    let pupils: Vec<_> = PUPILS
        .iter()
        .filter(is_wanted)
        .filter(is_harmless)
        .collect();
    ensure!(!pupils.is_empty(), "nobody has that name");
    let mark = std::process::id().to_string();
    for pupil in &pupils {
        make(&root, &manifest, &folder.join("class"), pupil, &mark)
            .with_context(|| format!("cannot make the submission {}", pupil.name))?;
    }
    let order = Order {
        all: folder.join("class"),
        out: folder.join("results"),
        jobs: options.jobs,
        again: true,
    };
    let rows = class::grade(&order)?;
    let left = still_running(&format!("1{mark}"));
    judge(&pupils, &rows, &left)
}

/// Prints the table and says whether everything is as it should be.
fn judge(pupils: &[&Pupil], rows: &[Row], left: &[String]) -> Result<()> {
    println!(
        "\n{:<13} {:<6} {:<6} {:>6} {:>5}  what it does",
        "submission", "must", "got", "points", "s"
    );
    let guard = Guard::strict();
    let mut wrong = 0;
    for pupil in pupils {
        let row = rows.iter().find(|row| row.name == pupil.name);
        let row = row.with_context(|| format!("{} was not graded", pupil.name))?;
        let got = letters(row, pupil.expected.len());
        let is_excused = !guard.hides_files() && NEED_NAMESPACES.contains(&pupil.name);
        let fits = is_excused || fits(pupil.expected, &got);
        wrong += usize::from(!fits);
        println!(
            "{:<13} {:<6} {got:<6} {:>6} {:>5}  {}{}",
            pupil.name,
            pupil.expected,
            row.total,
            row.seconds(),
            pupil.about,
            if fits { "" } else { "   <-- WRONG" }
        );
    }
    println!(
        "p passed, f failed, l timed out, n could not build, u could not be graded, x all but passed"
    );
    println!("{} processes are left. {}.", left.len(), guard.describe());
    ensure!(left.is_empty(), "still running: {}", left.join(", "));
    ensure!(
        wrong == 0,
        "{wrong} of {} did not get what they must",
        pupils.len()
    );
    Ok(())
}

fn letters(row: &Row, count: usize) -> String {
    let letter = |verdict: &str| match verdict {
        "passed" => 'p',
        "failed" => 'f',
        "timed out" => 'l',
        "could not build" => 'n',
        _ => 'u',
    };
    row.verdicts().take(count).map(letter).collect()
}

fn fits(expected: &str, got: &str) -> bool {
    let pairs = expected.chars().zip(got.chars());
    expected.len() == got.len()
        && pairs.into_iter().all(|pair| match pair {
            ('x', got) => got != 'p',
            (expected, got) => expected == got,
        })
}

/// Writes a submission: stage 1 of the reference, and what is different.
fn make(root: &Path, manifest: &Manifest, class: &Path, pupil: &Pupil, mark: &str) -> Result<()> {
    let dir = class.join(pupil.name);
    let source = Path::new("stage1-server/src");
    files::replace(&root.join(source), &dir.join(source))?;
    let fill = |text: &str| {
        let course = root.display().to_string();
        text.replace("{course}", &course).replace("{mark}", mark)
    };
    for change in pupil.changes {
        match change {
            Change::Blank(ids) => {
                let all = manifest.exercises().map(|(_, exercise)| exercise);
                let open: Vec<_> = all.filter(|one| ids.contains(&one.id())).collect();
                starter::blank(&dir, &open)?;
            }
            Change::Body(item, body) => replace_body(&dir, item, &fill(body))?,
            Change::Append(file, text) => {
                let old = fs::read_to_string(dir.join(file))?;
                write(&dir.join(file), &(old + "\n" + &fill(text) + "\n"))?;
            }
            Change::File(file, text) => write(&dir.join(file), &fill(text))?,
            Change::Link(file, target) => {
                fs::remove_file(dir.join(file))?;
                symlink(fill(target), dir.join(file))?;
            }
        }
    }
    Ok(())
}

fn replace_body(dir: &Path, item: &str, body: &str) -> Result<()> {
    let item: crate::item::ItemPath = item.parse()?;
    let (source, function) = item.read(dir)?;
    let edit = splice::Edit {
        range: function.body,
        text: body.to_owned(),
    };
    write(&dir.join(&item.file), &splice::apply(&source, vec![edit])?)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
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
    fn every_pupil_can_be_made_and_differs() {
        let root = workspace::root().unwrap();
        if Record::read(&root).unwrap().is_some() {
            return; // A starter has no reference to start from.
        }
        let manifest = Manifest::load(&root).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for pupil in PUPILS {
            make(&root, &manifest, folder.path(), pupil, "7").unwrap();
            assert_eq!(pupil.expected.len(), manifest.stages[0].exercises.len());
        }
        assert_eq!(PUPILS.len(), 20);
    }

    #[test]
    fn a_letter_fits_itself_and_x_all_but_passed() {
        assert!(fits("pflnux", "pflnuf"));
        assert!(!fits("x", "p") && !fits("p", "f") && !fits("p", "pp"));
    }

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
