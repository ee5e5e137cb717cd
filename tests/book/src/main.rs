//! `cargo book`: the book, built with nothing but cargo, and the check that nothing in it is broken.
//!
//! # Reading order
//! 1. `directive`: the lines of a chapter that the preprocessor expands; [`preprocess`] does it.
//! 2. `edition`: with solutions or, for students, without.
//! 3. `code`, `exercise`, `quiz`, [`transcript`], [`figures`]: what it puts in their place.
//! 4. `places`: which chapter has what. `reading`: how long it takes to read.
//! 5. `check`: what can be broken; `links`, `text`, `voice`, `log`, `numbers`, `schedule` and `pages` find parts of it, `times` measures them.
//!    `facts` tries out what chapters tell of the kernel.
//! 6. `slides`: the figures for a projector. `programs`: the course's programs, built for the transcripts. `chromium`: a browser, for `pages` and `pdf`.

#![expect(
    clippy::print_stdout,
    reason = "talking to the person at the terminal is what these commands are for"
)]

mod check;
mod chromium;
mod code;
mod directive;
mod docs;
mod edition;
mod exercise;
#[cfg(test)]
mod facts;
mod figures;
#[cfg(test)]
mod interactive;
mod links;
mod log;
mod mutations;
mod numbers;
mod pages;
mod pdf;
mod places;
mod preprocess;
mod programs;
mod quiz;
mod reading;
mod schedule;
mod slides;
mod text;
mod times;
mod transcript;
mod voice;

use std::io::{self, IsTerminal as _};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use check::Findings;
use clap::{Args, Parser, Subcommand};
use course::manifest::Manifest;
use course::{broken_pipe, browser, workspace};
use edition::Edition;
use log::Problems;
use times::Times;
use transcript::Plays;

/// Build the book into book/book and open it in a browser
#[derive(Debug, Parser)]
#[command(
    name = "cargo book",
    bin_name = "cargo book",
    version,
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    Preprocess(preprocess::Options),
    Transcript(transcript::session::Options),
}

#[derive(Args, Debug)]
struct Options {
    /// Build it in a temporary folder and fail on everything that is broken in it
    #[arg(long, conflicts_with = "open")]
    check: bool,

    /// Open it in a browser, and fail when that cannot be done
    #[arg(long)]
    open: bool,

    /// Only build it
    #[arg(long, conflicts_with = "open")]
    no_open: bool,

    /// Build the edition without solutions, for students
    #[arg(long, conflicts_with_all = ["check", "voice", "figures", "record"])]
    students: bool,

    /// Build it into this folder, which must be empty or not exist
    #[arg(long, value_name = "DIR", conflicts_with_all = ["check", "voice", "figures", "record"])]
    out: Option<PathBuf>,

    /// Print it into a PDF as well, with Chromium
    #[arg(long, conflicts_with_all = ["check", "open", "voice", "figures", "record"])]
    pdf: bool,

    /// Print how long each step of the check takes
    #[arg(long, requires = "check")]
    verbose: bool,

    /// Print the counters of each chapter's voice, a ! behind each that is beyond its budget, and build nothing
    #[arg(long, conflicts_with_all = ["check", "open"])]
    voice: bool,

    /// Redraw the pictures from their sources in book/figures, and build nothing
    #[arg(long, conflicts_with_all = ["check", "open"])]
    figures: bool,

    /// Record a transcript of book/transcripts again, or all of them, and build nothing
    #[arg(long, value_name = "NAME", num_args = 0..=1, conflicts_with_all = ["check", "open"])]
    record: Option<Option<String>>,
}

fn main() -> ExitCode {
    broken_pipe::end_quietly();
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo book: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        None => make(&arguments.options),
        Some(Command::Preprocess(options)) => preprocess::run(options),
        Some(Command::Transcript(options)) => transcript::session::run(options),
    }
}

/// Builds, checks or opens the book.
fn make(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    if options.figures {
        println!("{} pictures have changed.", figures::write_all(&root)?);
        return Ok(());
    }
    if options.voice {
        return check::print_voices(&root);
    }
    if let Some(name) = &options.record {
        return transcript::record(&root, name.as_deref());
    }
    let problems = Problems::listen()?;
    if options.check {
        return check(&root, &problems, Times::new(options.verbose));
    }
    let edition = if options.students {
        Edition::Students
    } else {
        Edition::Whole
    };
    let mut book = preprocess::load(&root, edition)?;
    if let Some(folder) = &options.out {
        edition::must_be_empty(folder)?;
        book.config.build.build_dir = std::path::absolute(folder)?;
    }
    book.build()?;
    report(&problems.take())?;
    let folder = book.build_dir_for("html");
    slides::write(&root, &book, &folder)?;
    let page = folder.join("index.html");
    println!("The book is at {}", page.display());
    if options.pdf {
        println!("The PDF is at {}", pdf::print(&folder)?.display());
        return Ok(());
    }
    if options.open {
        return Ok(browser::open(&browser::file_address(&page, ""))?);
    }
    // Only at a terminal, because a script has no use for a browser.
    if !options.no_open
        && io::stdout().is_terminal()
        && browser::open(&browser::file_address(&page, "")).is_err()
    {
        println!("No browser could be started here: open that file in yours.");
    }
    Ok(())
}

/// Finds everything that is broken.
fn check(root: &Path, log: &Problems, times: Times) -> Result<()> {
    let plays = times.of("building the programs", || Plays::prepare(root))?;
    // The transcripts mostly wait, so the pages are built and looked at meanwhile.
    let (found, played) = thread::scope(|scope| {
        let play = || times.of("transcripts side by side", || plays.together(times));
        let played = scope.spawn(play);
        (find(root, log, times), played.join())
    });
    let mut findings = found?;
    let manifest = Manifest::load(root)?;
    let mut add = |problems: Vec<String>| findings.problems.extend(problems);
    add(numbers::problems(root, &manifest)?);
    add(schedule::problems(root, &manifest)?);
    add(played.unwrap_or_else(|panic| resume_unwind(panic))?);
    add(times.of("transcripts alone", || plays.alone(times))?);
    report(&findings.problems)?;
    let (chapters, links) = (findings.chapters, findings.links);
    ensure!(chapters > 0 && links > 0, "the book is empty");
    println!("The book is sound: {chapters} chapters, {links} links and anchors.");
    Ok(())
}

/// Finds what is broken in sources and pages.
fn find(root: &Path, log: &Problems, times: Times) -> Result<Findings> {
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mut findings = check::find(root, folder.path(), log, times)?;
    if findings.links > 0 {
        let problems = times.of("pages in a browser", || pages::problems(folder.path()))?;
        findings.problems.extend(problems);
    }
    Ok(findings)
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
