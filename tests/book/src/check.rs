//! `cargo book --check`: everything in the book that is broken, found in one go.
//!
//! | looked at | found |
//! |---|---|
//! | directives | an item, exercise, figure or transcript that is not there |
//! | mdBook's log | includes that failed, tags that are not closed |
//! | chapters as built | directives that were not expanded, empty blocks of code |
//! | pages | links and anchors that lead nowhere; see [`crate::pages`] for what a browser finds |
//! | `SUMMARY.md` | chapters that it does not list, chapters of `course.toml` that it lacks |
//! | boxes | an exercise whose box is missing, appears twice, or is in another chapter; a question that is not there |
//! | figures | pictures that differ from their source, look bad, have too short an alternative text, or are shown nowhere |
//! | voice | counters of the prose that are beyond their budget |
//! | schedules | an exercise that comes before one that it needs, hours that are not the sum; see [`crate::schedule`] |
//! | numbers | counts and hours in prose that `course.toml` no longer gives |
//! | transcripts | terminals that show something else now, or are shown nowhere; scripts that no chapter shows |

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use mdbook_driver::MDBook;
use mdbook_driver::builtin_renderers::MarkdownRenderer;

use crate::directive::Kind;
use crate::edition::Edition;
use crate::log::Problems;
use crate::places::Places;
use crate::preprocess::{keep, load};
use crate::times::Times;
use crate::transcript::{files, scripts};
use crate::voice::Voice;
use crate::{figures, links, slides, text};
use course::listing;
use course::manifest::Manifest;

/// The result of the check.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// One sentence for each thing that is broken.
    pub(crate) problems: Vec<String>,
    /// The number of chapters that were checked.
    pub(crate) chapters: usize,
    /// The number of links that were followed.
    pub(crate) links: usize,
}

/// Builds the book into a folder and checks sources, chapters and pages, but opens no browser and does not run the transcripts.
///
/// # Errors
///
/// Fails if the book cannot be read or built at all.
pub(crate) fn find(root: &Path, pages: &Path, log: &Problems, times: Times) -> Result<Findings> {
    let mut book = load(root, Edition::Whole)?;
    pages.clone_into(&mut book.config.build.build_dir);
    let mut findings = times.of("sources", || in_sources(root, &book))?;
    let sources = match times.of("directives", || {
        book.preprocess_book(&MarkdownRenderer::new())
    }) {
        // The book cannot be built without its directives, so this is all that we can report.
        Err(error) => {
            let told = format!("{:#}", error.root_cause());
            findings.problems.extend(told.lines().map(str::to_owned));
            return Ok(findings);
        }
        Ok((expanded, _)) => {
            for chapter in expanded.chapters() {
                let name = chapter.path.clone().unwrap_or_default();
                findings.chapters += 1;
                findings
                    .problems
                    .extend(within(name.display(), text::problems(&chapter.content)));
            }
            keep(&mut book, expanded)
        }
    };
    times.of("building the pages", || book.build())?;
    book.book = sources;
    slides::write(root, &book, pages)?;
    findings.problems.extend(log.take());
    let links = times.of("links", || links::check(pages))?;
    findings.problems.extend(links.broken);
    findings.links = links.count;
    Ok(findings)
}

/// Checks the sources: chapters, figures, transcripts, and the links between them.
fn in_sources(root: &Path, book: &MDBook) -> Result<Findings> {
    let places = Places::of(&book.book);
    let manifest = Manifest::load(root)?;
    let (mut problems, mut prose) = (Vec::new(), String::new());
    let mut listed: Vec<_> = book
        .book
        .chapters()
        .filter_map(|chapter| chapter.source_path.clone())
        .collect();
    listed.push(PathBuf::from("SUMMARY.md"));
    for source in listing::below(&book.source_dir(), "md")? {
        let name = source.strip_prefix(book.source_dir()).unwrap_or(&source);
        if !listed.iter().any(|one| one == name) {
            problems.push(format!(
                "{}: SUMMARY.md does not list this page",
                name.display()
            ));
        }
        let markdown = fs::read_to_string(&source)
            .with_context(|| format!("cannot read {}", name.display()))?;
        problems.extend(within(name.display(), text::includes(&markdown)?));
        problems.extend(within(name.display(), Voice::of(&markdown)?.problems()));
        prose.push_str(&markdown);
    }
    problems.extend(scripts::unnamed(root, &prose)?);
    for (_, exercise) in manifest.exercises() {
        let chapter: &String = exercise.chapter.as_ref();
        if !listed.iter().any(|one| one == Path::new(chapter)) {
            problems.push(format!(
                "course.toml: exercise {} is in {chapter}, which SUMMARY.md does not list",
                exercise.id()
            ));
        }
    }
    problems.extend(places.problems(&manifest));
    problems.extend(figures::problems(root)?);
    problems.extend(unused(
        &places,
        Kind::Figure,
        "figures",
        figures::names(root)?,
    ));
    problems.extend(unused(
        &places,
        Kind::Transcript,
        "transcripts",
        files::names(root)?,
    ));
    Ok(Findings {
        problems,
        ..Findings::default()
    })
}

/// Prints the counters of every page's voice.
///
/// # Errors
///
/// Fails if the book cannot be read.
pub(crate) fn print_voices(root: &Path) -> Result<()> {
    let sources = load(root, Edition::Whole)?.source_dir();
    println!("{:26} {}", "", Voice::HEADING);
    for source in listing::below(&sources, "md")? {
        let name = source.strip_prefix(&sources).unwrap_or(&source);
        let markdown = fs::read_to_string(&source)
            .with_context(|| format!("cannot read {}", name.display()))?;
        println!("{:26} {}", name.display(), Voice::of(&markdown)?);
    }
    Ok(())
}

fn unused(places: &Places, kind: Kind, folder: &str, names: Vec<String>) -> Vec<String> {
    let is_unused = |name: &String| places.shows(kind, name).is_none();
    let problem = |name| format!("book/{folder}/{name}.txt: no chapter shows it");
    names.into_iter().filter(is_unused).map(problem).collect()
}

fn within(name: impl Display, problems: Vec<String>) -> impl Iterator<Item = String> {
    problems
        .into_iter()
        .map(move |problem| format!("{name}: {problem}"))
}

#[cfg(test)]
mod tests;
