//! The book's pictures: `book/figures/NAME.txt` is drawn as `book/figures/NAME.svg`.
//!
//! # Reading order
//! 1. `source`: how a figure is written down: a head with caption and alternative text, commands.
//! 2. `drawing`, `sequence` and `bars`: the kinds of figures and their commands.
//! 3. `route`: the path of an arrow. `text`: fonts within a line, and how wide it will be. `geometry`: points and rectangles.
//! 4. `canvas`: the elements of all drawings; `clash` finds elements that overlap.

mod bars;
mod canvas;
mod clash;
mod drawing;
mod geometry;
mod route;
mod sequence;
mod source;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use source::Source;

use course::listing;

/// The colours and fonts: the book links this file, a picture in a file of its own contains it.
const STYLE: &str = include_str!("../../../book/theme/figures.css");

/// The figure that replaces the interactive page where scripts cannot run, and its copy.
const COPIED: (&str, &str) = ("loop-turn", "book/src/interactive/loop-turn.svg");

/// A figure, drawn.
#[derive(Debug)]
pub(crate) struct Figure {
    /// The name of its source without the ending.
    pub(crate) name: String,
    /// The caption.
    title: String,
    /// The alternative text.
    alt: String,
    /// The drawing, without fonts and colours of its own.
    svg: String,
    /// Flaws in its look: text that is wider than its box, lines that leave the picture.
    problems: Vec<String>,
}

impl Figure {
    /// The colours and fonts of all figures, for a page that does not link the book's style sheet.
    pub(crate) const STYLE: &str = STYLE;

    /// Reads the figure `name` of the book and draws it.
    ///
    /// # Errors
    ///
    /// Fails if there is no such source, or a command of it cannot be understood.
    pub(crate) fn read(root: &Path, name: &str) -> Result<Self> {
        let path = folder(root).join(name).with_extension("txt");
        let text =
            fs::read_to_string(&path).with_context(|| format!("there is no figure {name}"))?;
        Self::draw(name, &text).with_context(|| format!("book/figures/{name}.txt"))
    }

    fn draw(name: &str, text: &str) -> Result<Self> {
        let source = Source::parse(text)?;
        let canvas = match source.kind.word(0)? {
            "drawing" => drawing::draw(&source)?,
            "bars" => bars::draw(&source)?,
            "sequence" => sequence::draw(&source)?,
            other => bail!("\"{other}\" is not a kind of figure"),
        };
        let (width, height, body, problems) = canvas.finish();
        let title = text::escape(&text::plain(&source.title));
        let alt = text::escape(&source.alt);
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"fig\" viewBox=\"0 0 {width} {height}\" \
             style=\"max-width:{width}px\" role=\"img\" aria-labelledby=\"fig-{name}-title fig-{name}-alt\">\n\
             <title id=\"fig-{name}-title\">{title}</title>\n\
             <desc id=\"fig-{name}-alt\">{alt}</desc>\n{body}</svg>\n"
        );
        Ok(Self {
            name: name.to_owned(),
            title: source.title,
            alt: source.alt,
            svg,
            problems,
        })
    }

    /// Returns the figure as a block of HTML for a chapter, without an empty line, because Markdown would end the block there.
    pub(crate) fn html(&self) -> String {
        let Self {
            name, svg, title, ..
        } = self;
        let title = text::caption(title);
        format!(
            "<figure class=\"figure\" id=\"figure-{name}\">\n{svg}<figcaption>{title}</figcaption>\n</figure>\n"
        )
    }

    /// Returns the figure as a slide, with its alternative text to read aloud and a link to its chapter.
    pub(crate) fn slide(&self, page: &Path, chapter: &str) -> String {
        let Self {
            name, svg, title, ..
        } = self;
        let (title, alt) = (text::caption(title), text::escape(&self.alt));
        let (page, chapter) = (page.display(), text::escape(chapter));
        format!(
            "<section id=\"{name}\">\n<h2>{title}</h2>\n{svg}<details><summary>In words</summary><p>{alt}</p>\n\
             <p><a href=\"{page}#figure-{name}\">{chapter}</a></p></details>\n</section>\n"
        )
    }

    /// Returns the files that are missing or out of date.
    fn outdated(&self, root: &Path) -> Vec<PathBuf> {
        let mut paths = vec![folder(root).join(&self.name).with_extension("svg")];
        if self.name == COPIED.0 {
            paths.push(root.join(COPIED.1));
        }
        paths.retain(|path| fs::read_to_string(path).ok().as_deref() != Some(&self.file()));
        paths
    }

    /// Returns the figure as an SVG file with its own style sheet.
    pub(crate) fn file(&self) -> String {
        self.svg.replacen(
            "</desc>\n",
            &format!("</desc>\n<style>\n{STYLE}</style>\n"),
            1,
        )
    }
}

/// Redraws every figure, prints flaws in its look, and returns how many files have changed.
///
/// # Errors
///
/// Fails if one cannot be drawn or written.
pub(crate) fn write_all(root: &Path) -> Result<usize> {
    let mut changed = 0;
    for name in names(root)? {
        let figure = Figure::read(root, &name)?;
        for problem in &figure.problems {
            eprintln!("book/figures/{name}.txt: {problem}");
        }
        for path in figure.outdated(root) {
            fs::write(&path, figure.file()).with_context(|| format!("{}", path.display()))?;
            changed += 1;
        }
    }
    Ok(changed)
}

/// Returns the problems of all figures: sources that cannot be drawn, flaws in their look, and pictures that differ from
/// their source.
///
/// # Errors
///
/// Fails if the folder cannot be read.
pub(crate) fn problems(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for name in names(root)? {
        match Figure::read(root, &name) {
            Ok(figure) => problems.extend(in_figure(root, &figure)),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    Ok(problems)
}

fn in_figure(root: &Path, figure: &Figure) -> Vec<String> {
    let name = &figure.name;
    let mut problems = figure.problems.clone();
    if !figure.outdated(root).is_empty() {
        problems.push("the picture is not what its source gives: cargo book --figures".to_owned());
    }
    if figure.alt.split_whitespace().count() < 10 {
        problems.push("the alternative text says too little".to_owned());
    }
    let place = |problem| format!("book/figures/{name}.txt: {problem}");
    problems.into_iter().map(place).collect()
}

/// Returns the names of all figures, in order.
///
/// # Errors
///
/// Fails if the folder cannot be read.
pub(crate) fn names(root: &Path) -> Result<Vec<String>> {
    listing::stems(&folder(root), "txt")
}

fn folder(root: &Path) -> PathBuf {
    root.join("book/figures")
}

#[cfg(test)]
mod tests;
