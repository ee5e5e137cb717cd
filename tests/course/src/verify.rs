//! `cargo course verify`: proof that the exercises, the tests and the reference fit together.
//!
//! Each proof changes the reference in the workbench, builds, and looks at who fails. Progress goes to standard error, the
//! table at the end to standard output.

mod bug;
mod proofs;
mod table;
pub(crate) mod terminal;
mod variant;

use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;

use crate::grade::bench::Workbench;
use crate::manifest::Manifest;
use crate::run::test::Guard;
use crate::starter::Record;
use crate::workspace;
use proofs::Proofs;

/// Prove that the tests catch what is missing or wrong, and accept the reference
///
/// 1. A starter compiles without warnings.
/// 2. On it, each exercise has a test that fails.
/// 3. The reference passes every test.
/// 4. With one exercise blanked, a test of it fails, and no test of an exercise that does not need it.
/// 5. Each wrong solution in tests/bugs is caught by the test that it names.
/// 6. Each right but different solution in tests/variants passes.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct Options {
    /// Leave the third proof out, and look at an exercise's own stage only in the fourth
    #[arg(long)]
    quick: bool,

    /// Only what concerns this stage, like stage3
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,

    /// Only the wrong solutions of tests/bugs
    #[arg(long, conflicts_with = "variants")]
    bugs: bool,

    /// Only the different solutions of tests/variants
    #[arg(long)]
    variants: bool,
}

/// One row of the table at the end.
#[derive(Debug)]
pub(crate) struct Row {
    /// What was to be shown.
    claim: String,
    /// What speaks against it; nothing, if it holds.
    against: Vec<String>,
    seconds: u64,
}

/// Runs the proofs.
///
/// # Errors
/// When one of them fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    ensure!(
        Record::read(&root)?.is_none(),
        "this is a starter: its course is verified where it is made"
    );
    let manifest = Manifest::load_checked(&root)?;
    let only = options
        .stage
        .as_deref()
        .map(|name| manifest.stage(name))
        .transpose()?;
    let bench = Workbench::open(&root, &manifest)?;
    let proofs = Proofs {
        root: &root,
        manifest: &manifest,
        bench: &bench,
        guard: Guard::limits(),
        quick: options.quick,
        only,
    };
    let start = Instant::now();
    let mut rows = Vec::new();
    if !options.bugs && !options.variants {
        rows.extend(proofs.starter()?);
        if !options.quick {
            rows.extend(proofs.reference()?);
        }
        rows.extend(proofs.each_alone()?);
    }
    if !options.variants {
        rows.extend(bug::all(&proofs)?);
    }
    if !options.bugs {
        rows.extend(variant::all(&proofs)?);
    }
    print!("{}", table::render(&rows, start.elapsed()));
    let failed = rows.iter().filter(|row| !row.against.is_empty()).count();
    ensure!(
        failed == 0,
        "{failed} of {} proofs failed: see the table",
        rows.len()
    );
    Ok(())
}
