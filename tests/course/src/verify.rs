//! `cargo course verify`: proof that the exercises, the tests and the reference fit together.
//!
//! ```text
//!   course.toml, tests/bugs, tests/variants ── plan.rs, bug.rs, variant.rs, hunt.rs, quiz.rs ──▶ settings, each with its claims
//!   compiled dependencies ── run/dependencies.rs ──▶ the benches' folders for cargo's output
//!   settings ── pool.rs, turns.rs: several benches at once ──▶ bench.rs: change, build, run tests, judge ──▶ rows
//!   rows ── progress.rs: while it runs, to standard error ── table.rs: at the end, to standard output
//! ```
//!
//! A setting is the reference with something changed; claims that need the same setting share it. A wrong solution that a
//! test sees from outside needs no build of the tests (outside.rs). The scripts of hunts run against programs that are built for
//! other claims (hunt.rs), and the answers of the quiz are in the messages of tests that fail anyway (quiz.rs).
//! Milestones of the second track are tried on the starter (scratch.rs).

mod bench;
mod bug;
mod hunt;
mod judge;
mod outside;
mod plan;
mod pool;
mod progress;
mod quiz;
mod scratch;
mod table;
pub(crate) mod terminal;
mod turns;
pub(crate) mod variant;

use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;

use crate::shard::Shard;
use crate::starter::Record;
use course::manifest::{Manifest, Stage};
use course::workspace;
use plan::{Proof, Setting};
use progress::Progress;

/// The most benches: more of them only slow each other down, because the tests measure time.
const MOST_JOBS: usize = 4;
/// Benches beyond the processors: about half of the time passes in tests that wait, and no more benches compile at the same
/// time than there are processors (turns.rs).
const WAITING_JOBS: usize = 2;

/// Prove that the tests catch what is missing or wrong, and accept the reference
///
/// The tests of every exercise must fail without it, pass with it and what it needs, and catch the wrong solutions of
/// tests/bugs; they must accept the different ones of tests/variants. See --proof for the list.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Only the proofs that the tests fail where they should
    #[arg(long)]
    quick: bool,

    /// Only the claims of this stage, like stage3
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,

    /// Only this proof; may be repeated
    #[arg(long = "proof", value_name = "PROOF")]
    proofs: Vec<Proof>,

    /// Only the claims with this text, like s4-socks5 or 4.8; may be repeated
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,

    /// The same as --proof bugs
    #[arg(long)]
    bugs: bool,

    /// The same as --proof variants
    #[arg(long)]
    variants: bool,

    /// Run the test that must catch a wrong solution this many times: it must fail each time. Without it, one failure in
    /// three tries is enough, which is sound but may hide a test that depends on luck
    #[arg(long, value_name = "NUMBER")]
    times: Option<NonZeroUsize>,

    /// Only one part of the work, like 1/3: with 2/3 and 3/3 it is the whole
    #[arg(long, value_name = "PART/PARTS")]
    shard: Option<Shard>,

    /// How many workbenches to use at the same time; default: two more than there are processors, at most four
    #[arg(long, value_name = "NUMBER")]
    jobs: Option<NonZeroUsize>,
}

/// Runs the proofs.
///
/// # Errors
///
/// Fails if one of them fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    ensure!(
        Record::read(&root)?.is_none(),
        "this is a starter: its course is verified where it is made"
    );
    let manifest = Manifest::load_checked(&root)?;
    let start = Instant::now();
    let settings = settings(&root, &manifest, options)?;
    ensure!(!settings.is_empty(), "nothing is left to prove");
    let jobs = options.jobs.map_or_else(jobs, NonZeroUsize::get);
    let benches = pool::benches(&root, &manifest, jobs.min(settings.len()), processors())?;
    let progress = Progress::new(&settings);
    let rows = pool::run(&benches, &settings, &progress)?;
    terminal::print(&table::render(&rows, start.elapsed()))?;
    let failed = rows.iter().filter(|row| !row.holds()).count();
    ensure!(failed == 0, "{failed} claims do not hold: see the table");
    Ok(())
}

/// Collects the settings that the options select.
fn settings<'a>(
    root: &Path,
    manifest: &'a Manifest,
    options: &Options,
) -> Result<Vec<Setting<'a>>> {
    let mut settings = plan::exercises(manifest);
    settings.extend(bug::settings(root, manifest)?);
    settings.extend(variant::settings(root, manifest)?);
    hunt::join(root, &mut settings)?;
    quiz::join(root, manifest, &mut settings)?;
    scratch::join(root, manifest, &mut settings)?;
    for setting in &mut settings {
        setting
            .claims
            .retain(|claim| options.wants(claim.proof) && options.names(&claim.text));
        if let Some(times) = options.times {
            setting
                .claims
                .iter_mut()
                .for_each(|claim| claim.repeat(times.get()));
        }
    }
    let stage = options.stage.as_deref();
    let only = stage.map(|name| manifest.stage(name)).transpose()?;
    settings.retain(|setting| {
        let is_wanted = only.is_none_or(|only| only.id() == setting.stage.id());
        is_wanted && !setting.claims.is_empty()
    });
    // One stage after the other, so that cargo rebuilds as little as possible from setting to setting.
    let place = |stage: &Stage| {
        manifest
            .stages
            .iter()
            .position(|one| one.id() == stage.id())
    };
    settings.sort_by_key(|setting| (place(setting.stage), setting.place()));
    if let Some(shard) = options.shard {
        settings = shard.of(settings).collect();
    }
    Ok(settings)
}

impl Options {
    /// Returns whether a claim has one of the texts, if there are any.
    fn names(&self, claim: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|text| claim.contains(text))
    }

    fn wants(&self, proof: Proof) -> bool {
        let named = self.proofs.contains(&proof)
            || self.bugs && proof == Proof::Bugs
            || self.variants && proof == Proof::Variants;
        let names_none = self.proofs.is_empty() && !self.bugs && !self.variants;
        named || names_none && (!self.quick || proof.is_quick())
    }
}

fn jobs() -> usize {
    (processors() + WAITING_JOBS).min(MOST_JOBS)
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
