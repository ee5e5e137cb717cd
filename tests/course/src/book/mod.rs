//! `cargo book`: the book, built with nothing but cargo, and the check that nothing in it is broken.

mod code;
mod directive;
mod exercise;
mod links;
mod log;
mod places;
pub(crate) mod preprocess;
mod quotes;
mod reading;
mod text;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use mdbook_driver::MDBook;
use mdbook_driver::builtin_renderers::MarkdownRenderer;

use crate::manifest::Manifest;
use crate::{figures, workspace};
use log::Problems;
use places::Places;
use preprocess::Course;

/// Build the book into book/book and say where it is
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Build it in a temporary folder and fail on everything that is broken in it
    #[arg(long, conflicts_with = "open")]
    check: bool,

    /// Open it in a browser
    #[arg(long)]
    open: bool,

    /// Draw the pictures anew from their sources in book/figures, and build nothing
    #[arg(long, conflicts_with_all = ["check", "open"])]
    figures: bool,
}

/// Builds, checks or opens the book.
///
/// # Errors
/// When the book does not build, or the check finds something.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    if options.figures {
        println!("{} pictures have changed.", figures::write_all(&root)?);
        return Ok(());
    }
    let problems = Problems::listen()?;
    if options.check {
        return check(&root, &problems);
    }
    let book = load(&root)?;
    book.build()?;
    report(&problems.take())?;
    let page = book.build_dir_for("html").join("index.html");
    println!("The book is at {}", page.display());
    if options.open { open(&page) } else { Ok(()) }
}

/// Loads the book with our preprocessor in this process, in the place of the command that `book.toml` names.
fn load(root: &Path) -> Result<MDBook> {
    let mut book = MDBook::load(root.join("book"))?;
    book.with_preprocessor(Course::new(root.to_owned()));
    Ok(book)
}

/// Builds into a temporary folder and looks at the sources, the chapters and the pages.
fn check(root: &Path, problems: &Problems) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mut book = load(root)?;
    book.config.build.build_dir = folder.path().join("book");
    let (chapters, _) = book.preprocess_book(&MarkdownRenderer::new())?;
    // The build runs the preprocessors once more and says the same again.
    drop(problems.take());
    book.build()?;
    let mut found = problems.take();
    let mut pages = 0;
    for chapter in chapters.chapters() {
        pages += 1;
        let name = chapter
            .path
            .as_ref()
            .map_or_else(PathBuf::new, Clone::clone);
        found.extend(in_chapter(&name, text::problems(&chapter.content)));
    }
    for source in markdown_files(&book.source_dir())? {
        let name = source.strip_prefix(root).unwrap_or(&source);
        found.extend(in_chapter(name, quotes::problems(&source, root)?));
    }
    found.extend(Places::of(&book.book).problems(&Manifest::load(root)?));
    found.extend(figures::problems(root)?);
    let links = links::check(&folder.path().join("book"))?;
    found.extend(links.broken);
    ensure!(pages > 0 && links.count > 0, "the book is empty");
    report(&found)?;
    println!(
        "The book is sound: {pages} chapters, {} links and anchors.",
        links.count
    );
    Ok(())
}

fn in_chapter(name: &Path, problems: Vec<String>) -> impl Iterator<Item = String> {
    let name = name.display().to_string();
    problems
        .into_iter()
        .map(move |problem| format!("{name}: {problem}"))
}

fn report(problems: &[String]) -> Result<()> {
    for problem in problems {
        eprintln!("book: {problem}");
    }
    match problems.len() {
        0 => Ok(()),
        1 => bail!("the book has a problem: see above"),
        count => bail!("the book has {count} problems: see above"),
    }
}

fn markdown_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = folder
        .read_dir()
        .with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(markdown_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Opens a page with the first program that can.
fn open(page: &Path) -> Result<()> {
    let mut programs = ["xdg-open", "wslview", "open"].into_iter();
    let opened = programs.any(|program| {
        let status = Command::new(program)
            .arg(page)
            .stdin(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    });
    ensure!(
        opened,
        "no program could open it: please open the file above in a browser"
    );
    Ok(())
}
