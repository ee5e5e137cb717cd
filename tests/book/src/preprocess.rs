//! The preprocessor: it expands the directives of all chapters and adds the reading times.
//!
//! `cargo book` runs it in the same process. Plain mdBook runs it as a command, as `book.toml` says: it first calls it
//! with the words `supports RENDERER`, then sends the book as JSON and reads it back.

use std::io;
use std::mem;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result, bail};
use clap::Args;
use mdbook_driver::MDBook;
use mdbook_driver::book::{Book, Chapter};
use mdbook_preprocessor::{Preprocessor, PreprocessorContext, parse_input};

use crate::code::Block;
use crate::directive::{Directive, Kind, replace_lines};
use crate::edition::Edition;
use crate::figures::Figure;
use crate::mutations::Changes;
use crate::places::Places;
use crate::transcript::show::{commands, markdown};
use crate::{exercise, quiz, reading};
use course::manifest::Manifest;
use course::milestones::Track;
use course::workspace;

/// Expand the directives of the book: for mdBook, not for people
#[derive(Args, Debug)]
#[command(hide = true)]
pub(crate) struct Options {
    /// mdBook's question before the book: `supports RENDERER`
    question: Vec<String>,
}

/// Serves mdBook over standard input and output.
///
/// # Errors
///
/// Fails if mdBook says something that we do not understand, or a directive cannot be expanded.
pub(crate) fn run(options: &Options) -> Result<()> {
    match options.question.as_slice() {
        [] => {
            let (context, book) = parse_input(io::stdin().lock())?;
            let book = Course::new(workspace::root()?, Edition::Whole).run(&context, book)?;
            serde_json::to_writer(io::stdout().lock(), &book).context("cannot answer mdBook")
        }
        // The directives become Markdown, which every renderer takes.
        [word, _] if word == "supports" => Ok(()),
        other => bail!("mdBook asks something unknown: {}", other.join(" ")),
    }
}

/// The preprocessor.
#[derive(Debug)]
pub(crate) struct Course {
    root: PathBuf,
    edition: Edition,
}

impl Course {
    /// Creates a preprocessor for the course at `root`.
    pub(crate) fn new(root: PathBuf, edition: Edition) -> Self {
        Self { root, edition }
    }
}

impl Preprocessor for Course {
    fn name(&self) -> &str {
        "course"
    }

    fn run(&self, _: &PreprocessorContext, mut book: Book) -> Result<Book> {
        let desk = Desk {
            root: &self.root,
            edition: self.edition,
            manifest: Manifest::load(&self.root)?,
            places: Places::of(&book),
        };
        let mut problems = Vec::new();
        book.for_each_chapter_mut(|chapter| problems.extend(desk.expand_chapter(chapter)));
        if problems.is_empty() {
            Ok(book)
        } else {
            Err(Error::msg(problems.join("\n")))
        }
    }
}

/// Loads the book with the preprocessor in this process, instead of the command that `book.toml` names.
///
/// # Errors
///
/// Fails if the book cannot be read.
pub(crate) fn load(root: &Path, edition: Edition) -> Result<MDBook> {
    let mut book = MDBook::load(root.join("book"))?;
    book.with_preprocessor(Course::new(root.to_owned(), edition));
    Ok(book)
}

/// Gives a book chapters whose directives are expanded already, because expanding them takes half of the time of a build;
/// returns its chapters before.
pub(crate) fn keep(book: &mut MDBook, expanded: Book) -> Book {
    // Those that `MDBook::load` and `load` have added; each replaces the one of its name.
    for name in ["links", "index", "course"] {
        book.with_preprocessor(Expanded(name));
    }
    mem::replace(&mut book.book, expanded)
}

/// In place of a preprocessor that has run.
#[derive(Debug)]
struct Expanded(&'static str);

impl Preprocessor for Expanded {
    fn name(&self) -> &str {
        self.0
    }

    fn run(&self, _: &PreprocessorContext, book: Book) -> Result<Book> {
        Ok(book)
    }
}

/// The context in which directives are expanded.
struct Desk<'a> {
    root: &'a Path,
    edition: Edition,
    manifest: Manifest,
    places: Places,
}

impl Desk<'_> {
    /// Expands all directives of a chapter and describes those that cannot be expanded.
    fn expand_chapter(&self, chapter: &mut Chapter) -> Vec<String> {
        let Some(path) = &chapter.path else {
            return Vec::new();
        };
        let mut problems = Vec::new();
        let text = replace_lines(&chapter.content, |line| {
            match self.expand(path, &Directive::parse(line)?) {
                Ok(text) => Some(text),
                Err(error) => {
                    problems.push(format!("{}: {error:#}", path.display()));
                    None
                }
            }
        });
        chapter.content = reading::with_times(&text, &self.manifest, &self.places, path);
        problems
    }

    fn expand(&self, chapter: &Path, directive: &Directive<'_>) -> Result<String> {
        match directive.kind {
            Kind::Item => {
                let block = Block::parse(directive.words())?;
                block.markdown(self.root, &self.manifest, self.edition)
            }
            Kind::Exercise => {
                exercise::box_of(self.root, &self.manifest, &self.places, directive.rest)
            }
            Kind::Exercises => Ok(exercise::table(&self.manifest, &self.places)),
            Kind::Hunts => Ok(exercise::hunts(&self.manifest)),
            Kind::Quiz => quiz::box_of(self.root, &self.manifest, chapter, directive.words()),
            Kind::Milestones => {
                let stage = self.manifest.stage(directive.rest)?;
                Ok(exercise::milestones(
                    Track::load(self.root)?.program(stage)?,
                ))
            }
            Kind::Mutations => {
                let changes = Changes {
                    root: self.root,
                    manifest: &self.manifest,
                    chapter,
                    edition: self.edition,
                };
                changes.markdown(directive.words())
            }
            Kind::Figure => Ok(Figure::read(self.root, directive.rest)?.html()),
            Kind::Transcript => markdown(self.root, directive.rest),
            Kind::Commands => {
                let name = directive.rest;
                let shown = self.places.shows(Kind::Transcript, name);
                let chapter = shown.with_context(|| format!("no chapter shows {name}"))?;
                commands(self.root, name, chapter)
            }
        }
    }
}
