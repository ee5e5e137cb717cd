//! The commands of the course: `cargo demo` and `cargo book`.
//!
//! # Reading order
//! 1. [`demo`]: the proxy at work, and the check that it works.
//! 2. [`book`]: the book, and the check that nothing in it is broken.
//! 3. [`workspace`]: where the course lies, and how its programs are built.

#![expect(
    clippy::print_stdout,
    reason = "talking to the person at the terminal is what these commands are for"
)]

mod book;
mod demo;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The commands that exist, for somebody who types `cargo course` alone.
const COMMANDS: &str = "\
Socket to Mux: the commands of the course

  cargo demo            the proxy in front of a small web site, with its live inspector
  cargo demo --check    the same once: fetch, compare, show the route table, exit
  cargo book            build the book into book/book
  cargo book --open     build it and open it in a browser
  cargo book --check    build it in a temporary folder and look for everything that is broken
  cargo test -p stage1-server    the tests of one stage (also stage2-client, stage3-epoll, stage4-proxy)

Each command explains its options with --help.";

/// The commands of the course
#[derive(Debug, Parser)]
#[command(name = "cargo course", bin_name = "cargo course", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Options),
    Book(book::Options),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo course: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.command {
        None => println!("{COMMANDS}"),
        Some(Command::Demo(options)) => demo::run(options)?,
        Some(Command::Book(options)) => book::run(options)?,
    }
    Ok(())
}
