//! The commands of the course: `cargo course`, `cargo demo` and `cargo book`.
//!
//! # Reading order
//! 1. [`demo`]: the proxy at work, and the check that it works.
//! 2. `book`: the book, and the check that nothing in it is broken; `figures`: its pictures.
//! 3. [`manifest`]: the exercises, as `course.toml` lists them; [`item`]: how they name functions.
//! 4. [`starter`]: a workspace for a student, made from the reference by [`splice`].
//! 5. `run`: tests, each alone and under limits.
//! 6. [`student`]: progress, hints, tests, watching; [`grade`]: points for a submission.
//! 7. [`rehearse`]: a class of difficult submissions, graded; `pack`: what a grading service needs.
//! 8. [`verify`]: the proofs that all of this fits together; [`repeat`]: the tests again and again, for those that fail now and then.
//! 9. [`workspace`]: where the course lies, and how its programs are built; [`listing`]: the files in a folder.

#![expect(
    clippy::print_stdout,
    reason = "talking to the person at the terminal is what these commands are for"
)]

#[cfg(feature = "book")]
mod book;
mod demo;
#[cfg(feature = "book")]
mod figures;
mod grade;
mod item;
mod listing;
mod manifest;
#[cfg(feature = "pack")]
mod pack;
mod rehearse;
mod repeat;
mod run;
mod splice;
mod starter;
mod student;
mod verify;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What `--help` adds, since some commands have names of their own.
const COMMANDS: &str = "\
cargo course alone shows where you are and what comes next.

  cargo demo            the proxy in front of a small web site, with its live inspector
  cargo demo --check    the same once: fetch, compare, show the route table, exit
  cargo book            build the book and open it in a browser; --no-open only builds it
  cargo book --record   record the terminals that the book shows, all or one by its name
  cargo book --figures  draw the pictures of the book from their sources
  cargo book --check    build it in a temporary folder and look for everything that is broken
  cargo test -p stage1-server    the tests of one stage (also stage2-client, stage3-epoll, stage4-proxy)

Each command explains its options with --help.";

/// The commands of the course
#[derive(Debug, Parser)]
#[command(name = "cargo course", bin_name = "cargo course", version, after_help = COMMANDS)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Test(student::test::Options),
    Hint(student::hint::Options),
    Watch(student::watch::Options),
    Solution(student::solution::Options),
    /// Look whether this machine is ready for the course
    Doctor,
    Start(starter::Options),
    Grade(grade::Options),
    Rehearse(rehearse::Options),
    #[cfg(feature = "pack")]
    Pack(pack::Options),
    Verify(verify::Options),
    Repeat(repeat::Options),
    Confine(run::confine::Options),
    Demo(demo::Options),
    #[cfg(feature = "book")]
    Book(book::Options),
    #[cfg(feature = "book")]
    Preprocess(book::preprocess::Options),
    #[cfg(feature = "book")]
    Transcript(book::transcript::Options),
}

fn main() -> ExitCode {
    end_quietly_without_reader();
    let arguments = Arguments::parse();
    if let Some(Command::Confine(options)) = &arguments.command {
        return run::confine::run(options);
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo course: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Ends without a word when nobody reads what we print, as in `cargo course | head -3`.
///
/// Rust ignores SIGPIPE, so that `println!` panics then; 141 is what a shell shows for a program that SIGPIPE has ended.
fn end_quietly_without_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>();
        let text = text.map(String::as_str).unwrap_or_default();
        if text.starts_with("failed printing to stdout") && text.contains("Broken pipe") {
            std::process::exit(141);
        }
        usual(panic);
    }));
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.command {
        None => student::picture::run()?,
        // Its exit status is the test's: see main.
        Some(Command::Confine(_)) => {}
        Some(Command::Test(options)) => student::test::run(options)?,
        Some(Command::Hint(options)) => student::hint::run(options)?,
        Some(Command::Watch(options)) => student::watch::run(options)?,
        Some(Command::Solution(options)) => student::solution::run(options)?,
        Some(Command::Doctor) => student::doctor::run()?,
        Some(Command::Start(options)) => starter::run(options)?,
        Some(Command::Grade(options)) => grade::run(options)?,
        Some(Command::Rehearse(options)) => rehearse::run(options)?,
        #[cfg(feature = "pack")]
        Some(Command::Pack(options)) => pack::run(options)?,
        Some(Command::Verify(options)) => verify::run(options)?,
        Some(Command::Repeat(options)) => repeat::run(options)?,
        Some(Command::Demo(options)) => demo::run(options)?,
        #[cfg(feature = "book")]
        Some(Command::Book(options)) => book::run(options)?,
        #[cfg(feature = "book")]
        Some(Command::Preprocess(options)) => book::preprocess::run(options)?,
        #[cfg(feature = "book")]
        Some(Command::Transcript(options)) => book::transcript::run(options)?,
    }
    Ok(())
}
