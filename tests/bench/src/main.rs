//! `cargo relay-bench`: our proxy beside other proxies, measured in one run.
//!
//! ```text
//!        core "load"                        core "proxy"
//!   ┌──────────────────────┐          ┌──────────────────────┐
//!   │ load generator  ─────┼── TCP ──▶│  direct, HAProxy,    │
//!   │ (load/*.rs)          │          │  nginx, Dante, Squid │
//!   │ upstream  ◀──────────┼── TCP ───│  .., ours (peers/*)  │
//!   │ (upstream.rs)        │          └──────────────────────┘
//!   └──────────────────────┘
//! ```
//!
//! A tunnel has two ends, and so two machines of one core each: `site` has that picture.
//!
//! # Reading order
//! 1. `options`: the command line; `rows`: what is measured, and which way is better.
//! 2. `runner`: round by round, scenario by scenario, subject by subject.
//! 3. `scenario`: one measurement from start to numbers; `load`: the traffic; `conversation`: the
//!    handshakes in front of it.
//! 4. `peers`: how each proxy is started; `minimal`: the two bare relays; `process`: started, pinned, read, killed.
//! 5. `soak`: not how fast, but whether it stays so.
//! 6. `results`, `comparison`, `table`, `json`: medians, what they prove, and how they are shown; `pairs`: the rounds of
//!    several runs.
//!
//! # Invariants
//! 1. Subjects are interleaved: a slow minute of the machine hits all of them.
//! 2. Each measurement has proxy processes of its own, fresh ports, and a bounded time and count.
//! 3. One core for the proxy alone, one for load and upstream together; with a tunnel, one core for each end.
//! 4. Every process is killed by its group and reaped, also after an error or a signal.

mod arrangement;
mod better;
mod chart;
mod comparison;
mod conversation;
mod cores;
mod delay;
mod growth;
mod http;
mod json;
mod limits;
mod load;
mod machine;
mod median;
mod minimal;
mod options;
mod output;
mod pairs;
mod peers;
mod process;
mod readings;
mod report;
mod results;
mod rows;
mod runner;
mod scenario;
mod site;
mod soak;
mod stop;
mod table;
mod upstream;
mod wait;
mod window;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use crate::machine::Machine;
use crate::options::{Command, Options};
use crate::output::print;

fn main() -> ExitCode {
    match bench(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if stop::requested() => {
            eprintln!("relay-bench: stopped");
            ExitCode::from(stop::EXIT_CODE)
        }
        Err(error) => {
            eprintln!("relay-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what the options ask for and prints the table.
fn bench(options: &Options) -> io::Result<()> {
    if options.list {
        return print(&table::list());
    }
    match &options.command {
        Some(Command::Chart(chart)) => return chart::run(chart),
        Some(Command::Pairs(pairs)) => return pairs::run(pairs),
        Some(Command::Soak(soak)) => {
            stop::on_signals()?;
            return soak::run(soak);
        }
        Some(Command::Minimal(relay)) => return minimal::run(relay),
        None => stop::on_signals()?,
    }
    let plan = options.plan()?;
    let results = runner::run(&plan)?;
    let machine = Machine::look(&plan);
    if let Some(path) = &options.json {
        std::fs::write(path, json::render(&results, &machine))?;
    }
    if options.all {
        report::write(&options.report, &results, &machine)?;
        eprintln!("relay-bench: see {}/report.md", options.report.display());
    }
    print(&table::render(&results, &machine))?;
    stop::check()?;
    match results.failures().len() {
        0 => Ok(()),
        count => Err(io::Error::other(format!(
            "failed measurements: {count}, see below the table"
        ))),
    }
}
