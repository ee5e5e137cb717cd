//! Plans the proofs about the wrong solutions: each is caught by the test that it names.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::verify::plan::{Change, Claim, Demand, Proof, Setting};
use course::bug::Bug;
use course::manifest::{Manifest, owner_of, owner_of_unit};

/// Plans the proof that every wrong solution is caught by the test that it names.
///
/// # Errors
///
/// Fails if a file has no proper head, or names an exercise or a test that is not of its stage.
pub(super) fn settings<'a>(root: &Path, manifest: &'a Manifest) -> Result<Vec<Setting<'a>>> {
    let bugs = Bug::all(root)?;
    bugs.into_iter().map(|bug| setting(bug, manifest)).collect()
}

/// Checks that the exercise belongs to the stage, and the test to the exercise's stage.
fn check(bug: &Bug, manifest: &Manifest) -> Result<()> {
    let (stage, _) = manifest.find(&bug.exercise)?;
    ensure!(
        stage.id() == bug.stage,
        "{}: exercise {} is not of {}",
        bug.file.display(),
        bug.exercise,
        bug.stage
    );
    ensure!(
        owner_of(stage, &bug.caught_by).is_some() || owner_of_unit(stage, &bug.caught_by).is_some(),
        "{}: {} is no test of an exercise of {}",
        bug.file.display(),
        bug.caught_by,
        bug.stage
    );
    Ok(())
}

fn setting(bug: Bug, manifest: &Manifest) -> Result<Setting<'_>> {
    check(&bug, manifest)?;
    let name = bug.file.file_stem().unwrap_or_default().to_string_lossy();
    let text = format!("{name} ({}) is caught by {}", bug.exercise, bug.caught_by);
    let demand = Demand::Catches(bug.caught_by);
    Ok(Setting {
        stage: manifest.stage(&bug.stage)?,
        change: Change::Patch(bug.file),
        claims: vec![Claim::new(Proof::Bugs, text, demand)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use course::workspace;

    #[test]
    fn every_wrong_solution_has_a_proper_head() {
        let root = workspace::root().unwrap();
        let manifest = Manifest::load(&root).unwrap();
        for bug in Bug::all(&root).unwrap() {
            check(&bug, &manifest).unwrap();
            assert!(bug.misconception.ends_with('.'), "{}", bug.file.display());
        }
    }
}
