//! The student's functions, carried into the corrected file.
//!
//! ```text
//!   given ─ splice ─▶ given with their bodies ─┐
//!   theirs ────────────────────────────────────┼─ merge ─▶ the file of tomorrow
//!   new ─── splice ─▶ new with their bodies ───┘
//! ```
//!
//! Before the three texts are merged, the bodies that the student has written are spliced into the two others. So they are equal in
//! all three, and no change of the course can collide with them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Result, anyhow};

use crate::splice::{Edit, apply, marks};
use crate::update::merge::merge;
use crate::update::note::Note;
use course::item::{Function, ItemPath};

/// A source file of a stage that the course has changed.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: PathBuf,
    /// As it was handed out.
    pub(super) given: Option<String>,
    /// As it is in the workspace.
    pub(super) theirs: Option<String>,
    /// As it is in the corrected course.
    pub(super) new: Option<String>,
}

/// The functions of exercises, and the bodies that the student has written for them.
#[derive(Debug, Default)]
pub(super) struct Functions {
    /// The functions that the exercises ask for, before or after the update.
    items: BTreeSet<ItemPath>,
    bodies: BTreeMap<ItemPath, String>,
    /// For a function that the course has moved to another file, its old place.
    moved: BTreeMap<ItemPath, ItemPath>,
}

/// What becomes of a file: its text, or `None` if it goes.
pub(super) type Outcome = (Option<String>, Vec<Note>);

impl Functions {
    /// Collects the bodies from the student's files.
    ///
    /// # Errors
    ///
    /// Fails if one of the files is not Rust.
    pub(super) fn collect(sources: &[Source], items: BTreeSet<ItemPath>) -> Result<Self> {
        let mut functions = Self {
            items,
            ..Self::default()
        };
        for source in sources {
            let Some(theirs) = &source.theirs else {
                continue;
            };
            must_be_rust(source, theirs)?;
            for item in functions.items.iter().filter(|it| it.file == source.name) {
                if let Some(body) = source.written(item, theirs) {
                    functions.bodies.insert(item.clone(), body.to_owned());
                }
            }
        }
        functions.moved = functions.moves(sources);
        Ok(functions)
    }

    /// Finds the functions that are in another file now.
    fn moves(&self, sources: &[Source]) -> BTreeMap<ItemPath, ItemPath> {
        let mut moved = BTreeMap::new();
        for source in sources {
            let Some(new) = &source.new else { continue };
            let here = self.items.iter().filter(|item| item.file == source.name);
            for item in here.filter(|item| item.body(new).is_some()) {
                let was_here = source.given.as_deref().and_then(|text| item.body(text));
                let is_it = |old: &&ItemPath| {
                    old.file != item.file
                        && old.package() == item.package()
                        && old.function() == item.function()
                        && is_gone(sources, old)
                };
                if let (None, Some(old)) = (was_here, self.bodies.keys().find(is_it)) {
                    moved.insert(item.clone(), old.clone());
                }
            }
        }
        moved
    }

    /// Returns what becomes of a file.
    ///
    /// # Errors
    ///
    /// Fails if the bodies cannot be spliced into it.
    pub(super) fn bring(&self, source: &Source) -> Result<Outcome> {
        let mut notes = self.lost(source);
        let Some(new) = &source.new else {
            if source.is_theirs() {
                notes.push(Note::FileGone(source.name.clone()));
            }
            return Ok((None, notes));
        };
        let spliced = self.splice(source, new)?;
        notes.extend(self.differences(source, new));
        if !source.is_theirs() {
            return Ok((Some(spliced), notes));
        }
        let given = source.given.as_deref().unwrap_or_default();
        let theirs = source.theirs.as_deref().unwrap_or_default();
        let merged = merge(&self.splice(source, given)?, theirs, &spliced);
        // Where the pieces do not make one file, the course's own does, and the bodies are in it.
        let is_whole = self.has_bodies(source, &spliced, &merged.text);
        if !is_whole || merged.collisions > 0 {
            notes.push(Note::Collision(source.name.clone()));
        }
        let text = if is_whole { merged.text } else { spliced };
        Ok((Some(text), notes))
    }

    /// Returns the body for a function, wherever it was.
    fn body_for(&self, item: &ItemPath) -> Option<&String> {
        let place = self.moved.get(item).unwrap_or(item);
        self.bodies.get(place)
    }

    fn of_file<'a>(&'a self, source: &'a Source) -> impl Iterator<Item = &'a ItemPath> {
        self.items.iter().filter(|item| item.file == source.name)
    }

    /// Puts the student's bodies into a text of the file.
    fn splice(&self, source: &Source, text: &str) -> Result<String> {
        let edits = self.of_file(source).filter_map(|item| {
            let body = self.body_for(item)?;
            let function = item.find(text).ok()?;
            Some(Edit {
                range: function.body,
                text: body.clone(),
            })
        });
        apply(text, edits.collect())
    }

    /// Returns whether a merged text is Rust and holds every body that `spliced` holds.
    fn has_bodies(&self, source: &Source, spliced: &str, merged: &str) -> bool {
        if !source.is_rust() {
            return true;
        }
        let same = |item: &ItemPath| {
            self.body_for(item).is_none()
                || item.body(spliced).is_none()
                || item.body(spliced) == item.body(merged)
        };
        syn::parse_file(merged).is_ok() && self.of_file(source).all(same)
    }

    /// Describes functions whose signature or documentation the course has changed after the student has written them.
    fn differences(&self, source: &Source, new: &str) -> Vec<Note> {
        let Some(given) = &source.given else {
            return Vec::new();
        };
        let written = self
            .of_file(source)
            .filter(|item| self.bodies.contains_key(item));
        let note = |item: &ItemPath| {
            let (before, after) = (item.find(given).ok()?, item.find(new).ok()?);
            let signatures = [signature(given, &before), signature(new, &after)];
            if signatures[0] != signatures[1] {
                let [before, after] = signatures;
                let item = item.to_string();
                return Some(Note::Signature {
                    item,
                    before,
                    after,
                });
            }
            let docs =
                |text: &str, of: &Function| text[of.whole.start..of.signature.start].to_owned();
            let is_same = docs(given, &before) == docs(new, &after);
            (!is_same).then(|| Note::Documentation(item.to_string()))
        };
        written.filter_map(note).collect()
    }

    /// Describes functions that the student has written and the course no longer has.
    fn lost(&self, source: &Source) -> Vec<Note> {
        let new = source.new.as_deref().unwrap_or_default();
        let written = self
            .of_file(source)
            .filter(|item| self.bodies.contains_key(item));
        let is_lost = |item: &&ItemPath| {
            item.body(new).is_none() && !self.moved.values().any(|old| old == *item)
        };
        let note = |item: &ItemPath| Note::FunctionGone(item.to_string());
        written.filter(is_lost).map(note).collect()
    }
}

impl Source {
    /// Returns whether the student has changed the file.
    fn is_theirs(&self) -> bool {
        self.theirs.is_some() && self.theirs != self.given
    }

    /// Returns the body of a function that must survive: one that the student has changed, or a finished one that the corrected
    /// course has blanked, because it begins with an earlier stage.
    fn written<'a>(&self, item: &ItemPath, theirs: &'a str) -> Option<&'a str> {
        let body = item.body(theirs)?;
        let given = self.given.as_deref().and_then(|text| item.body(text));
        let new = self.new.as_deref().and_then(|text| item.body(text));
        let is_open = |body: &str| !marks(body).is_empty();
        let is_changed = given != Some(body);
        let is_blanked = new.is_some_and(is_open) && !is_open(body);
        (is_changed || is_blanked).then_some(body)
    }

    fn is_rust(&self) -> bool {
        self.name.extension().is_some_and(|end| end == "rs")
    }
}

/// The text of a body, where there is exactly one such function.
trait Body {
    fn body<'a>(&self, text: &'a str) -> Option<&'a str>;
}

impl Body for ItemPath {
    fn body<'a>(&self, text: &'a str) -> Option<&'a str> {
        let function = self.find(text).ok()?;
        text.get(function.body)
    }
}

/// Returns a signature in one line.
fn signature(text: &str, function: &Function) -> String {
    let words: Vec<_> = text[function.signature.clone()]
        .split_whitespace()
        .collect();
    words.join(" ")
}

/// Returns whether the corrected course has no such function in that file.
fn is_gone(sources: &[Source], item: &ItemPath) -> bool {
    let of_file = sources.iter().find(|source| source.name == item.file);
    let new = of_file.and_then(|source| source.new.as_deref());
    new.is_none_or(|text| item.body(text).is_none())
}

fn must_be_rust(source: &Source, text: &str) -> Result<()> {
    if !source.is_rust() {
        return Ok(());
    }
    syn::parse_file(text).map(drop).map_err(|error| {
        anyhow!(
            "{}:{} is not Rust ({error}), so your functions in it cannot be found. Mend it, or commit it and take it back for the \
             moment, and try again",
            source.name.display(),
            error.span().start().line
        )
    })
}

#[cfg(test)]
mod tests;
