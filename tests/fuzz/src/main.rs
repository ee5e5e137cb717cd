//! `cargo fuzz-tunnel`: builds the engine and runs targets, one after the other.
//!
//! The engine is libFuzzer. It needs no nightly toolchain: LLVM's pass that counts coverage is asked for with flags that
//! every rustc takes, and the address sanitizer, which is what needs one, would find little in code without `unsafe`.

mod engine;

use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use fuzz::{TARGETS, Target, corpus};
use stage2_client::parse_time_limit;

use engine::Engine;

/// Fuzz the decoders and sessions of the tunnel, and the parsers in front of it
///
/// Each target begins with its corpus (tests/fuzz/corpus), and what it finds out stays in target/fuzz for the next run. Input that
/// makes a target panic, take longer than ten seconds or more than 512 MiB ends the run, and is printed for the corpus.
#[derive(Debug, Parser)]
struct Options {
    /// The targets; all of them, if none is named
    #[arg(value_parser = parse_target, value_name = "TARGET")]
    targets: Vec<&'static Target>,

    /// Time for each target
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_time_limit)]
    time: Duration,

    /// Afterwards, replace the corpus of each target by the few inputs that together reach what all of them reach
    #[arg(long)]
    keep: bool,
}

fn parse_target(name: &str) -> Result<&'static Target, String> {
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    Target::named(name).ok_or_else(|| format!("there is no such target, only {}", names.join(", ")))
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let all: Vec<_> = TARGETS.iter().collect();
    let targets = if options.targets.is_empty() {
        all
    } else {
        options.targets
    };
    let engine = Engine::build()?;
    for target in targets {
        engine
            .fuzz(target, options.time)
            .with_context(|| format!("fuzzing {}", target.name))?;
        if options.keep {
            let kept = engine
                .minimize(target)
                .with_context(|| format!("minimizing {}", target.name))?;
            corpus::write(target, kept)
                .with_context(|| format!("keeping the corpus of {}", target.name))?;
        }
    }
    Ok(())
}
