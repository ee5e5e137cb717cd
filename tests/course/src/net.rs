//! `cargo course net`: two networks, joined by a cable that is as slow, as lossy and as broken as an experiment needs it.
//!
//! ```text
//!   cargo course net ──▶ namespaces ──▶ first process inside: Network left ── Line ×2 ── Network right
//!   (outside, waits)     (users, processes, mounts)              │             (relay)        │
//!                                                           left COMMAND               right COMMAND
//! ```
//!
//! # Reading order
//! 1. `options`: the command line. `side`: names, addresses and interfaces. `words`: the commands of both sides.
//! 2. `cable`: the cable as a machine. `units`: its values. `frame`: checksums. `packet`, `relay`: the loop around them.
//! 3. `outside`, `namespaces`, `inside`, `network`, `output`: the processes, from the outermost inwards.
//! 4. `control`, `join`: commands for a network that runs.

mod cable;
mod control;
mod frame;
mod inside;
mod join;
mod namespaces;
mod network;
mod options;
mod output;
mod outside;
mod packet;
mod relay;
mod side;
mod units;
mod words;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::Result;

use cable::Counts;
use control::Request;
use options::Action;

pub(crate) use options::Options;

/// Runs the command and returns its exit status.
pub(crate) fn run(options: &Options) -> ExitCode {
    code(act(options))
}

/// Runs the first process inside the namespaces.
pub(crate) fn run_inside(options: &Options) -> ExitCode {
    code(inside::run(options))
}

/// Tries a network, and returns the reason if there can be none.
///
/// # Errors
///
/// Fails if it cannot be tried.
pub(crate) fn probe() -> Result<Option<String>> {
    let name = format!("doctor-{}", std::process::id());
    let output = Command::new("/proc/self/exe")
        .args(["net", "--name", &name, "--", "left", "true"])
        .stdin(Stdio::null())
        .output()?;
    let message = String::from_utf8_lossy(&output.stderr);
    let reason = message.trim().trim_start_matches("cargo course net: ");
    Ok((!output.status.success()).then(|| reason.to_owned()))
}

fn code(result: Result<u8>) -> ExitCode {
    match result {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("cargo course net: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(options: &Options) -> Result<u8> {
    // A new network inside of another one has a name of its own.
    let name = options.name.as_deref();
    let Some(action) = &options.action else {
        words::Commands::parse(&options.words, options.keep)?;
        return outside::run(&control::path_of(Some(name.unwrap_or("net")))?);
    };
    let socket = control::path_of(name)?;
    match action {
        Action::Exec { side, words } => return join::run(&socket, *side, words),
        Action::Pull => request(&socket, Request::Pull)?,
        Action::Plug => request(&socket, Request::Plug)?,
        Action::Set(change) => request(&socket, Request::Change(*change))?,
        Action::Status => show(&control::ask(&socket, Request::Status)?.0),
        Action::Stop => {
            control::ask(&socket, Request::Stop)?;
        }
    }
    Ok(0)
}

fn request(socket: &Path, request: Request) -> Result<()> {
    let (answer, _) = control::ask(socket, request)?;
    println!("cable: {}", answer.cable);
    Ok(())
}

fn show(answer: &control::Answer) {
    println!("cable: {}", answer.cable);
    for (direction, counts) in ["left to right", "right to left"].iter().zip(answer.counts) {
        let Counts {
            arrived,
            lost,
            dropped_by_queue,
            cut,
        } = counts;
        println!(
            "{direction}: {arrived} packets arrived, {lost} were lost, {dropped_by_queue} dropped by the full queue, {cut} cut off"
        );
    }
}
