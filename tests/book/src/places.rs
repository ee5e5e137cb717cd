//! The places of things in the book: boxes of exercises, items, the table of all exercises.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use mdbook_driver::book::Book;

use crate::code::Block;
use crate::directive::{self, Directive, Kind};
use course::item::ItemPath;
use course::manifest::{Exercise, Manifest, anchor};

/// The chapters of everything that directives refer to.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// The exercises with a box, and the chapters that hold it.
    boxes: Vec<(String, PathBuf)>,
    /// The chapter in which an item is shown first.
    items: HashMap<ItemPath, PathBuf>,
    /// The chapter with the table of all exercises.
    pub(crate) table: Option<PathBuf>,
    /// The chapters with a box of questions.
    asked: Vec<PathBuf>,
    /// The chapters with small changes of their code.
    changed: Vec<PathBuf>,
    /// The names of transcripts and figures that are shown, and the chapters that show them.
    shown: Vec<(Kind, String, PathBuf)>,
}

impl Places {
    /// Reads the directives of all chapters, before they are expanded.
    pub(crate) fn of(book: &Book) -> Self {
        let mut places = Self::default();
        for chapter in book.chapters() {
            if let Some(path) = &chapter.path {
                for directive in directive::all(&chapter.content) {
                    places.note(path, &directive);
                }
            }
        }
        places
    }

    fn note(&mut self, chapter: &Path, directive: &Directive<'_>) {
        match directive.kind {
            Kind::Exercise => self
                .boxes
                .push((directive.rest.to_owned(), chapter.to_owned())),
            Kind::Exercises => self.table = Some(chapter.to_owned()),
            Kind::Hunts | Kind::Milestones => {}
            Kind::Quiz => self.asked.push(chapter.to_owned()),
            Kind::Mutations => self.changed.push(chapter.to_owned()),
            Kind::Transcript | Kind::Figure => self.shown.push((
                directive.kind,
                directive.rest.to_owned(),
                chapter.to_owned(),
            )),
            Kind::Commands => {}
            Kind::Item => {
                // A malformed path is reported when the directive is expanded.
                for path in Block::parse(directive.words()).map_or(Vec::new(), |block| block.paths)
                {
                    self.items.entry(path).or_insert_with(|| chapter.to_owned());
                }
            }
        }
    }

    /// Returns the chapter that shows an item.
    pub(crate) fn item(&self, path: &ItemPath) -> Option<&Path> {
        self.items.get(path).map(PathBuf::as_path)
    }

    /// Returns the first chapter that shows a transcript or a figure.
    pub(crate) fn shows(&self, kind: Kind, name: &str) -> Option<&Path> {
        let mut shown = self.shown.iter();
        let found = shown.find(|(one, shown, _)| *one == kind && shown == name)?;
        Some(&found.2)
    }

    /// Returns where a link to an exercise leads: to its box, or to its chapter as long as it has none.
    pub(crate) fn link(&self, exercise: &Exercise) -> String {
        let chapter: &String = exercise.chapter.as_ref();
        let is_it =
            |(id, place): &(String, PathBuf)| id == exercise.id() && place == Path::new(chapter);
        if self.boxes.iter().any(is_it) {
            format!("{chapter}#{}", anchor(exercise.id()))
        } else {
            chapter.clone()
        }
    }

    /// Returns what is wrong: every exercise has a box, in its chapter and nowhere else, and its chapter changes code.
    pub(crate) fn problems(&self, manifest: &Manifest) -> Vec<String> {
        let mut problems = Vec::new();
        for (_, exercise) in manifest.exercises() {
            let chapter: &String = exercise.chapter.as_ref();
            let mut here = 0;
            for (_, place) in self.boxes.iter().filter(|(id, _)| id == exercise.id()) {
                if place == Path::new(chapter) {
                    here += 1;
                } else {
                    let place = place.display();
                    problems.push(format!(
                        "{place}: the box of exercise {} belongs into {chapter}",
                        exercise.id()
                    ));
                }
            }
            match here {
                0 => problems.push(format!(
                    "{chapter}: the box of exercise {} is missing",
                    exercise.id()
                )),
                1 => {}
                _ => problems.push(format!(
                    "{chapter}: the box of exercise {} appears {here} times",
                    exercise.id()
                )),
            }
        }
        for chapter in chapters(manifest) {
            if !self.asked.iter().any(|one| one == Path::new(chapter)) {
                problems.push(format!(
                    "{chapter}: it has exercises, so it needs {{{{#quiz NAME NAME}}}}, one question or two of tests/quiz"
                ));
            }
            if !self.changed.iter().any(|one| one == Path::new(chapter)) {
                problems.push(format!(
                    "{chapter}: it has exercises, so it needs {{{{#mutations NAME NAME NAME}}}}, three short ones of tests/bugs"
                ));
            }
        }
        if self.table.is_none() {
            problems.push("no chapter has the table {{#exercises}}".to_owned());
        }
        problems
    }
}

/// Returns the chapters that have exercises, each once.
fn chapters(manifest: &Manifest) -> Vec<&String> {
    let all = manifest.exercises();
    let mut chapters: Vec<_> = all.map(|(_, one)| one.chapter.as_ref()).collect();
    chapters.dedup();
    chapters
}
