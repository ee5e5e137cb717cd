//! `cargo course start DIR`: a workspace for a student, made from the reference.
//!
//! ```text
//!   reference ── copy ──▶ the stages, their tests, the tools        copy.rs
//!             ── blank ─▶ bodies of the open exercises               here
//!             ── words ─▶ README, AGENTS.md, workflow, cargo's aliases  texts.rs
//!             ── veil ──▶ the questions of the quiz                 quiz/veil.rs in the library
//!             ── build ─▶ the programs of the bug hunts              hunts/kit.rs
//!             ── build ─▶ the book, without solutions                book.rs
//!             ── note ──▶ its origin; the files as they are now      record.rs, given.rs
//! ```

pub(crate) mod book;
mod copy;
pub(crate) mod digest;
pub(crate) mod given;
mod record;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::hunts::kit::Kit;
use crate::splice::{self, Blank};
use course::manifest::{Exercise, Manifest, Simple, Stage};
use course::quiz::{self, veil};
use course::workspace;

pub(crate) use copy::copy_changed;
pub(crate) use copy::prepare_copy;
pub(crate) use copy::settle_lock_file;
pub(crate) use given::Given;
pub(crate) use record::Record;

/// Create a workspace to work in: the stages with their exercises open, the tests, the tools
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The folder to create; it must be empty or not exist
    dir: PathBuf,

    /// The first stage to work on; the stages before it are solved
    #[arg(long, value_name = "STAGE")]
    from: Option<String>,

    /// Leave out the book, which takes a while to build
    #[arg(long)]
    without_book: bool,

    /// Leave out the programs of the bug hunts, which take a while to build
    #[arg(long)]
    without_hunts: bool,
}

/// The parts of a workspace that take a while to build.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extras {
    /// The book.
    pub(crate) book: bool,
    /// The programs of the bug hunts.
    pub(crate) hunts: bool,
}

/// Creates the starter and prints what to do next.
///
/// # Errors
///
/// Fails if the folder is not empty, or the reference does not fit the manifest.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    ensure!(
        Record::read(&root)?.is_none(),
        "this is a workspace already: start another one from the course itself"
    );
    let manifest = Manifest::load_checked(&root)?;
    let from = first_open(&manifest, options.from.as_deref())?;
    must_be_empty(&options.dir)?;
    let extras = Extras {
        book: !options.without_book,
        hunts: !options.without_hunts,
    };
    let count = make(&root, &options.dir, &manifest, from, extras)?;
    println!(
        "{} is ready: {count} exercises to write, from {} on.\n\n  cd {0}\n  cargo course\n\nREADME.md says the rest.",
        options.dir.display(),
        from.id()
    );
    Ok(())
}

/// Finds the first stage to work on: the one that was asked for, or the first of all.
///
/// # Errors
///
/// Fails if there is no such stage.
pub(crate) fn first_open<'a>(manifest: &'a Manifest, name: Option<&str>) -> Result<&'a Stage> {
    match name {
        Some(name) => manifest.stage(name),
        None => manifest.stages.first().context("the course has no stages"),
    }
}

/// Makes a complete workspace in an empty folder and returns the number of its exercises.
///
/// # Errors
///
/// Fails if the reference does not fit the manifest, or something cannot be written.
pub(crate) fn make(
    root: &Path,
    dir: &Path,
    manifest: &Manifest,
    from: &Stage,
    extras: Extras,
) -> Result<usize> {
    let open = open_exercises(manifest, from);
    create(root, dir, manifest, &open)?;
    texts::write(dir, manifest, &open)?;
    settle_lock_file(dir)?;
    veil::write(dir, &quiz::all(root, manifest)?)?;
    if extras.hunts
        && let Some(kit) = Kit::find(root, manifest)?
    {
        kit.hand_out(dir)?;
    }
    if extras.book {
        println!("building the book");
        book::build(root, &dir.join("book"))?;
    }
    Record::new(root, from.id(), digest::edition(root, manifest)?).write(dir)?;
    Given::write(dir, manifest)?;
    Ok(open.len())
}

/// Takes the place of the course on this machine out of a workspace, which is for others.
///
/// # Errors
///
/// Fails if its record cannot be read or written.
pub(crate) fn forget_place(dir: &Path) -> Result<()> {
    let Some(mut record) = Record::read(dir)? else {
        return Ok(());
    };
    record.reference = None;
    record.write(dir)
}

/// Writes the stages with the given exercises blanked, their tests and the tools into `dir`.
///
/// # Errors
///
/// Fails if something cannot be copied or blanked.
fn create(root: &Path, dir: &Path, manifest: &Manifest, open: &[&Exercise]) -> Result<()> {
    prepare_copy(root, dir, manifest)?;
    blank(root, dir, open)
}

/// Blanks exercises in a copy of the reference at `root`, with the simple versions that are given, and lets the crates concerned
/// compile without warnings.
///
/// # Errors
///
/// Fails if an item is not there.
pub(crate) fn blank(root: &Path, dir: &Path, open: &[&Exercise]) -> Result<()> {
    let mut files: BTreeMap<PathBuf, Vec<Blank>> = BTreeMap::new();
    for exercise in open {
        let simple = Simple::read(root, exercise)?;
        for item in exercise.items()? {
            let body = simple.as_ref().and_then(|simple| simple.body(&item));
            let simple = body.map(str::to_owned);
            let exercise = exercise.name();
            let blanks = files.entry(item.file.clone()).or_default();
            blanks.push(Blank {
                item,
                exercise,
                simple,
            });
        }
    }
    let roots: BTreeSet<_> = files
        .keys()
        .flat_map(|file| crate_roots(dir, file))
        .collect();
    for (file, blanks) in &files {
        edit(dir, file, |source| splice::blank(source, blanks))?;
    }
    for root in roots {
        edit(dir, &root, splice::permit_unused)?;
    }
    Ok(())
}

/// Returns the first files of the crates that a source file is part of.
fn crate_roots(dir: &Path, file: &Path) -> Vec<PathBuf> {
    let is_program = file.ends_with("src/main.rs")
        || file
            .parent()
            .is_some_and(|folder| folder.ends_with("src/bin"));
    if is_program {
        return vec![file.to_owned()];
    }
    let folder = file
        .components()
        .next()
        .map(|part| Path::new(part.as_os_str()).join("src/lib.rs"));
    folder
        .into_iter()
        .filter(|root| dir.join(root).is_file())
        .collect()
}

fn edit(dir: &Path, file: &Path, change: impl Fn(&str) -> Result<String>) -> Result<()> {
    let path = dir.join(file);
    let source =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = change(&source).with_context(|| format!("in {}", file.display()))?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn open_exercises<'a>(manifest: &'a Manifest, from: &Stage) -> Vec<&'a Exercise> {
    let stages = manifest
        .stages
        .iter()
        .skip_while(|stage| stage.id() != from.id());
    stages.flat_map(|stage| &stage.exercises).collect()
}

/// Checks that a folder does not exist or is empty.
///
/// # Errors
///
/// Fails if it holds something.
pub(crate) fn must_be_empty(dir: &Path) -> Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    ensure!(dir.is_dir(), "{} is not a folder", dir.display());
    let mut entries = dir
        .read_dir()
        .with_context(|| format!("cannot read {}", dir.display()))?;
    ensure!(
        entries.next().is_none(),
        "{} is not empty, and nothing is ever overwritten: choose another folder",
        dir.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use course::{bug, listing};

    #[test]
    fn only_an_empty_folder_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        must_be_empty(folder.path()).unwrap();
        must_be_empty(&folder.path().join("new")).unwrap();
        fs::write(folder.path().join("mine"), "").unwrap();
        assert!(
            must_be_empty(folder.path())
                .unwrap_err()
                .to_string()
                .contains("not empty")
        );
        assert!(must_be_empty(&folder.path().join("mine")).is_err());
    }

    #[test]
    fn the_reference_blanks_and_holds_no_solution() {
        let root = workspace::root().unwrap();
        if Record::read(&root).unwrap().is_some() {
            return; // A starter has nothing to blank.
        }
        let manifest = Manifest::load(&root).unwrap();
        let open: Vec<_> = manifest.exercises().map(|(_, exercise)| exercise).collect();
        let folder = tempfile::tempdir().unwrap();
        create(&root, folder.path(), &manifest, &open).unwrap();
        for exercise in open {
            for item in exercise.items().unwrap() {
                let (source, function) = item.read(folder.path()).unwrap();
                let body = source[function.body].trim_matches(['{', '}', ' ', '\n']);
                let simple = format!("// Open exercise {}\n", exercise.name());
                let is_simple = exercise.given().is_some() && body.starts_with(&simple);
                if !is_simple {
                    assert_eq!(body, format!("todo!(\"exercise {}\")", exercise.name()));
                }
            }
        }
        for part in [
            "tests/bugs",
            "tests/quiz",
            "tests/variants",
            "tests/bench",
            "tests/book",
            "book",
            ".git",
        ] {
            assert!(!folder.path().join(part).exists(), "{part}");
        }
        for (_, hunt) in manifest.hunts() {
            assert!(folder.path().join(hunt.report()).is_file());
            assert!(!folder.path().join(hunt.kept()).exists());
        }
    }

    #[test]
    fn no_file_holds_the_body_of_an_exercise_or_names_a_wrong_solution() {
        let root = workspace::root().unwrap();
        if Record::read(&root).unwrap().is_some() {
            return; // A starter has no solutions to compare with.
        }
        let manifest = Manifest::load(&root).unwrap();
        let open: Vec<_> = manifest.exercises().map(|(_, exercise)| exercise).collect();
        let folder = tempfile::tempdir().unwrap();
        create(&root, folder.path(), &manifest, &open).unwrap();
        let mut secrets = listing::stems(&root.join(bug::FOLDER), "patch").unwrap();
        for exercise in open {
            let simple = Simple::read(&root, exercise).unwrap();
            for item in exercise.items().unwrap() {
                let (source, function) = item.read(&root).unwrap();
                let body = one_line(source[function.body].trim_matches(['{', '}', ' ', '\n']));
                let given = simple.as_ref().and_then(|simple| simple.body(&item));
                let is_given = given.is_some_and(|given| one_line(given).contains(&body));
                // A shorter one is in many a function.
                if body.len() >= 60 && !is_given {
                    secrets.push(body);
                }
            }
        }
        let mut told = Vec::new();
        for extension in ["rs", "toml", "md", "py", "txt"] {
            for file in listing::below(folder.path(), extension).unwrap() {
                let text = one_line(&fs::read_to_string(&file).unwrap());
                let here = secrets.iter().filter(|secret| text.contains(*secret));
                told.extend(here.map(|secret| format!("{}: {secret}", file.display())));
            }
        }
        assert!(told.is_empty(), "{}", told.join("\n"));
    }

    fn one_line(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
