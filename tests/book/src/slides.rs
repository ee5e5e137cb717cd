//! `slides.html`: the figures of the book, one after the other, in a page of its own for a projector.
//!
//! Without scripts, and on paper, the page shows all of them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use mdbook_driver::MDBook;

use crate::directive::{self, Kind};
use crate::figures::Figure;

/// The name of the page, beside the chapters.
const NAME: &str = "slides.html";
/// The page around the slides.
const PAGE: &str = include_str!("slides.html");

/// Writes the page beside the built chapters.
///
/// # Errors
///
/// Fails if a figure cannot be drawn, or the page not written.
pub(crate) fn write(root: &Path, book: &MDBook, pages: &Path) -> Result<()> {
    let (mut slides, mut seen) = (String::new(), HashSet::new());
    for chapter in book.book.chapters() {
        let Some(path) = &chapter.path else {
            continue;
        };
        let figures = directive::all(&chapter.content).into_iter();
        for figure in figures.filter(|one| one.kind == Kind::Figure) {
            if seen.insert(figure.rest) {
                let figure = Figure::read(root, figure.rest)?;
                slides.push_str(&figure.slide(&path.with_extension("html"), &chapter.name));
            }
        }
    }
    let page = PAGE
        .replace("/*STYLE*/", Figure::STYLE)
        .replace("<!--SLIDES-->", &slides);
    fs::write(pages.join(NAME), page).with_context(|| format!("cannot write {NAME}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edition::Edition;
    use crate::figures;
    use crate::preprocess::load;

    #[test]
    fn every_figure_is_a_slide_once_and_in_the_order_of_the_book() {
        let root = course::workspace::root().unwrap();
        let book = load(&root, Edition::Students).unwrap();
        let folder = tempfile::tempdir().unwrap();
        write(&root, &book, folder.path()).unwrap();
        let page = fs::read_to_string(folder.path().join(NAME)).unwrap();
        for name in figures::names(&root).unwrap() {
            let start = format!("<section id=\"{name}\">");
            assert_eq!(page.matches(&start).count(), 1, "{name}");
        }
        let place = |name: &str| page.find(&format!("<section id=\"{name}\">"));
        assert!(place("sockets-and-queues") < place("loop-turn"));
        assert!(!page.contains("<!--SLIDES-->") && !page.contains("/*STYLE*/"));
    }
}
