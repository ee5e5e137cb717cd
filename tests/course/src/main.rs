//! The commands for students and instructors: `cargo course`.
//!
//! # Reading order
//! 1. `lib.rs` beside this file: the exercises, as `course.toml` lists them, and how they name functions.
//! 2. [`starter`]: a workspace for a student, made from the reference by [`splice`].
//! 3. `run`: tests, each alone and under limits. [`units`]: unit tests as they were handed out, with a student's code.
//! 4. [`student`]: progress, hints, tests, watching; [`update`]: a corrected course for a workspace that was begun.
//! 5. [`net`]: two networks with a slow and lossy cable between them, for experiments.
//! 6. [`hunts`]: programs with a fault, and the scripts that must expose it. [`scratch`]: milestones of a program in any language.
//! 7. [`grade`]: points for a submission; [`rehearse`]: a class of difficult submissions, graded.
//! 8. [`pack`]: what an instructor gives away; [`solutions`]: a file of solutions.
//! 9. [`verify`]: the proofs that all of this fits together; [`repeat`]: the tests again and again, to find those that fail now and then.
//! 10. [`shard`]: one part of the work, where several machines share it.

#![expect(
    clippy::print_stdout,
    reason = "talking to the person at the terminal is what these commands are for"
)]

mod grade;
mod hunts;
mod net;
mod pack;
mod patch;
mod rehearse;
mod repeat;
mod run;
mod scratch;
mod shard;
mod solutions;
mod splice;
mod starter;
mod student;
mod units;
mod update;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use course::{broken_pipe, workspace};

/// The end of `--help`: the commands with names of their own.
const COMMANDS: &str = "\
cargo course alone shows where you are and what comes next.

  cargo demo            the proxy in front of a small web site, with its live inspector
  cargo demo --check    the same once: fetch, compare, show the route table, exit
  cargo book            the book, in a browser; in the course itself it is built first, and --no-open only builds it
  cargo book --record   record the terminals that the book shows, all or one by its name
  cargo book --figures  draw the pictures of the book from their sources
  cargo book --check    build it in a temporary folder and find everything that is broken
  cargo test -p stage1-server    the tests of one stage (also stage2-client, stage3-epoll, stage4-proxy, stage5-mux)

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
    Quiz(student::quiz::Options),
    /// Show the next exercise: where to read, what to write
    Next,
    Book(student::book::Options),
    Hunt(hunts::Options),
    Scratch(scratch::Options),
    /// Check whether this machine is ready for the course and its experiments
    Doctor,
    Net(net::Options),
    Update(update::Options),
    Start(starter::Options),
    Grade(grade::Options),
    Rehearse(rehearse::Options),
    Pack(pack::Options),
    Verify(verify::Options),
    Repeat(repeat::Options),
    Confine(run::confinement::Options),
    /// The first process of a network: for `net`, not for people
    #[command(hide = true)]
    NetInside(net::Options),
}

fn main() -> ExitCode {
    broken_pipe::end_quietly();
    let arguments = Arguments::parse();
    if let Some(Command::Confine(options)) = &arguments.command {
        return run::confine::run(options);
    }
    if let Some(Command::Net(options)) = &arguments.command {
        return net::run(options);
    }
    if let Some(Command::NetInside(options)) = &arguments.command {
        return net::run_inside(options);
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo course: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    update::recover(&workspace::root()?)?;
    match &arguments.command {
        None => student::picture::run()?,
        // Their exit status is that of a command: see main.
        Some(Command::Confine(_) | Command::Net(_) | Command::NetInside(_)) => {}
        Some(Command::Test(options)) => student::test::run(options)?,
        Some(Command::Hint(options)) => student::hint::run(options)?,
        Some(Command::Watch(options)) => student::watch::run(options)?,
        Some(Command::Solution(options)) => student::solution::run(options)?,
        Some(Command::Quiz(options)) => student::quiz::run(options)?,
        Some(Command::Next) => student::picture::run_next()?,
        Some(Command::Book(options)) => student::book::run(options)?,
        Some(Command::Hunt(options)) => hunts::run(options)?,
        Some(Command::Scratch(options)) => scratch::run(options)?,
        Some(Command::Update(options)) => update::run(options)?,
        Some(Command::Doctor) => student::doctor::run()?,
        Some(Command::Start(options)) => starter::run(options)?,
        Some(Command::Grade(options)) => grade::run(options)?,
        Some(Command::Rehearse(options)) => rehearse::run(options)?,
        Some(Command::Pack(options)) => pack::run(options)?,
        Some(Command::Verify(options)) => verify::run(options)?,
        Some(Command::Repeat(options)) => repeat::run(options)?,
    }
    Ok(())
}
