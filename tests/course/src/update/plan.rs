//! What an update changes, decided before anything is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::hunts::kit;
use crate::starter::Given;
use crate::starter::Record;
use crate::starter::given::FOLDER;
use crate::update::functions::{self, Functions};
use crate::update::note::Note;
use crate::update::source::Source;
use course::item::ItemPath;
use course::listing;
use course::manifest::{Manifest, Stage};

/// The folders of the book and of the programs of the hunts, which are the course's alone and may be left out.
const EXTRAS: [&str; 2] = ["book", kit::FOLDER];

/// What happens to a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Write(Vec<u8>),
    Remove,
}

/// All changes of an update.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Files relative to the workspace.
    pub(super) changes: BTreeMap<PathBuf, Change>,
    pub(super) notes: Vec<Note>,
}

/// The workspace and the corrected course.
struct Desk<'a> {
    root: &'a Path,
    given: Given,
    source: &'a Source,
}

impl Plan {
    /// Compares a workspace with the corrected course.
    ///
    /// # Errors
    ///
    /// Fails if they do not fit together, or a file cannot be read.
    pub(super) fn make(root: &Path, record: &Record, source: &Source) -> Result<Self> {
        let given = Given::read(root)?.context(
            "this workspace was made before workspaces could be updated: make a new one and copy your functions into it",
        )?;
        let manifest = Manifest::load(root)?;
        begins_no_later(&source.manifest, record, &source.record)?;
        let desk = Desk {
            root,
            given,
            source,
        };
        let mut plan = Self::default();
        let mut sources = Vec::new();
        for name in desk.names() {
            let one = desk.stage_source(&name)?;
            if one.given.is_none() && one.new.is_none() {
                plan.whole_file(&desk, &name)?;
            } else if one.given != one.new {
                sources.push(one);
            }
        }
        let items = items(&manifest)?.chain(items(&source.manifest)?);
        let functions = Functions::collect(&sources, items.collect())?;
        for one in sources {
            plan.stage_source(&functions, &one)?;
        }
        plan.records(&desk, record)?;
        Ok(plan)
    }

    /// Decides on a file that is no source of a stage.
    fn whole_file(&mut self, desk: &Desk<'_>, name: &Path) -> Result<()> {
        let theirs = read(&desk.root.join(name))?;
        let is_given = |bytes: &Vec<u8>| desk.given.holds(name, bytes);
        let is_theirs = theirs.as_ref().is_some_and(|bytes| !is_given(bytes));
        let (change, note) = if desk.source.given.files.contains_key(name) {
            let new = desk.source.read(name)?;
            if theirs.as_ref() == Some(&new) || is_given(&new) {
                return Ok(());
            }
            (Change::Write(new), Note::Replaced(name.to_owned()))
        } else if theirs.is_some() {
            (Change::Remove, Note::FileGone(name.to_owned()))
        } else {
            return Ok(());
        };
        self.changes.insert(name.to_owned(), change);
        let is_told = is_theirs && !EXTRAS.iter().any(|part| name.starts_with(part));
        self.notes.extend(Some(note).filter(|_| is_told));
        Ok(())
    }

    /// Decides on a source file of a stage.
    fn stage_source(&mut self, functions: &Functions, source: &functions::Source) -> Result<()> {
        let (text, notes) = functions.bring(source)?;
        let change = match text {
            Some(text) if source.theirs.as_ref() == Some(&text) => None,
            Some(text) => Some(Change::Write(text.into_bytes())),
            None => source.theirs.is_some().then_some(Change::Remove),
        };
        self.changes
            .extend(change.map(|change| (source.name.clone(), change)));
        self.notes.extend(notes);
        Ok(())
    }

    /// Takes over the record, and the files as they are handed out now.
    fn records(&mut self, desk: &Desk<'_>, record: &Record) -> Result<()> {
        let new = Record {
            from: record.from.clone(),
            ..desk.source.record.clone()
        };
        if new != *record {
            let text = new.text().into_bytes();
            self.changes
                .insert(PathBuf::from(Record::FILE), Change::Write(text));
        }
        let (old, new) = (below(desk.root)?, below(&desk.source.root)?);
        for name in &new {
            let bytes = desk.source.read(name)?;
            if read(&desk.root.join(name))?.as_ref() != Some(&bytes) {
                self.changes.insert(name.clone(), Change::Write(bytes));
            }
        }
        for name in old.difference(&new) {
            self.changes.insert(name.clone(), Change::Remove);
        }
        Ok(())
    }
}

impl Desk<'_> {
    /// Returns the files that the course has handed out, before or now. A course that was packed without the book, or without the
    /// programs of the hunts, leaves the old ones.
    fn names(&self) -> BTreeSet<PathBuf> {
        let (old, new) = (self.given.files.keys(), self.source.given.files.keys());
        let is_left_out = |part: &&str| !new.clone().any(|name| name.starts_with(part));
        let left_out: Vec<_> = EXTRAS.into_iter().filter(is_left_out).collect();
        let old = old.filter(|name| !left_out.iter().any(|part| name.starts_with(part)));
        old.chain(new).cloned().collect()
    }

    /// Reads the three texts of a stage's source file; of any other file, none.
    fn stage_source(&self, name: &Path) -> Result<functions::Source> {
        let given = self.given.source(name)?;
        let new = self.source.given.source(name)?;
        let mut theirs = None;
        if given.is_some() || new.is_some() {
            let bytes = read(&self.root.join(name))?;
            let text = bytes.map(String::from_utf8).transpose();
            theirs = text.with_context(|| format!("{} is not text", name.display()))?;
        }
        Ok(functions::Source {
            name: name.to_owned(),
            given,
            theirs,
            new,
        })
    }
}

/// Checks that the update does not solve what the student is to write.
fn begins_no_later(manifest: &Manifest, record: &Record, new: &Record) -> Result<()> {
    let place = |from: &str| manifest.stages.iter().position(|stage| stage.id() == from);
    let first = manifest.stages.first().map_or("", Stage::id);
    ensure!(
        place(&new.from) <= place(&record.from),
        "this workspace begins with {}, and in the update everything before {} is solved: ask for one that begins with {first}",
        record.from,
        new.from,
    );
    Ok(())
}

fn items(manifest: &Manifest) -> Result<impl Iterator<Item = ItemPath>> {
    let mut all = Vec::new();
    for (_, exercise) in manifest.exercises() {
        all.extend(exercise.items()?);
    }
    Ok(all.into_iter())
}

/// Reads a file; `None` if it is not there.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Returns the files of the folder with the files as handed out, relative to the workspace.
fn below(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut folders = vec![root.join(FOLDER)];
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for path in listing::entries(&folder)? {
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(name) = path.strip_prefix(root) {
                found.insert(name.to_owned());
            }
        }
    }
    Ok(found)
}
