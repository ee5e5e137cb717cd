//! `cargo demo`: the proxy at its main job, in front of Python's file server.
//!
//! ```text
//!   browser, curl ──▶ stage4-proxy ──▶ python3 -m http.server ──▶ a temporary folder
//!                          │
//!                      inspector ◀── browser
//! ```
//!
//! # Reading order
//! 1. [`demonstration`]: both programs, started and stopped; [`program`]: one of them. [`site`]: the folder.
//! 2. [`check`]: the same without a person. [`fetch`]: a GET; [`routes`]: the route table.

#![expect(
    clippy::print_stdout,
    reason = "talking to the person at the terminal is what this command is for"
)]

mod check;
mod demonstration;
mod fetch;
mod program;
mod routes;
mod site;

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use demonstration::Demonstration;
use program::Voice;

/// Where the proxy of the demonstration listens, unless the port is in use.
const PORT: u16 = 8080;
/// The package and the program in it.
const PROXY: &str = "stage4-proxy";

/// Run the proxy in front of a small web site, with its live inspector
///
/// Starts python3 -m http.server on a folder of its own and stage4-proxy in front of it, until Ctrl-C.
/// COURSE_BIN=PROGRAM takes another proxy with the same command line.
#[derive(Debug, Parser)]
#[command(name = "cargo demo", bin_name = "cargo demo", version)]
struct Options {
    /// Fetch every file through the proxy and directly, compare, print the route table, exit
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    // From here on signals are ours, so that both programs are stopped whenever one arrives.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGCHLD])?;
    let binary = proxy_binary()?;
    if options.check {
        let mut demonstration = Demonstration::start(&binary, 0, Voice::Silent)?;
        check::run(&demonstration, &mut signals)?;
        demonstration.stop()?;
        println!("\nEvery response through the proxy equals the direct one, byte for byte.");
        return Ok(());
    }
    let mut demonstration = Demonstration::start(&binary, free_port(), Voice::Shown)?;
    demonstration.explain();
    demonstration.wait(&mut signals)?;
    demonstration.stop()?;
    println!("Both programs have ended.");
    Ok(())
}

/// Returns the proxy to show: ours, freshly built, or the program that `COURSE_BIN` names.
fn proxy_binary() -> Result<PathBuf> {
    if let Some(binary) = env::var_os("COURSE_BIN") {
        println!("Using {} (COURSE_BIN).", Path::new(&binary).display());
        return Ok(binary.into());
    }
    println!("Building {PROXY} ...");
    build()
}

/// Builds the proxy and returns its path.
///
/// Cargo puts it beside this program, because both are built in the same profile.
fn build() -> Result<PathBuf> {
    let ourselves = env::current_exe().context("cannot find the program that is running")?;
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--package", PROXY, "--bin", PROXY]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command
        .current_dir(
            env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()),
        )
        .stdin(Stdio::null())
        .status()
        .context("cannot start cargo")?;
    ensure!(
        status.success(),
        "{PROXY} does not compile: see the messages above"
    );
    Ok(ourselves.with_file_name(PROXY))
}

/// Returns the usual port, or 0 with a sentence when it is in use.
fn free_port() -> u16 {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)) {
        Ok(_) => PORT,
        Err(error) => {
            println!("Port {PORT} cannot be used ({error}), so the proxy takes a free one.");
            0
        }
    }
}
