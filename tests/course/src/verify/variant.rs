//! The variants in `tests/variants`: right, but different; the tests must not insist on how the reference does it.
//!
//! A `.patch` is a patch of the reference below a head of two lines, `Stage: stage1` and `Idea: ...`. Any other file is a
//! program named like its stage's, in another language; the stage's tests run it in place of ours.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::Row;
use super::bug::{Head, apply};
use super::proofs::{Outcomes, Proofs, row};
use crate::manifest::{Manifest, Stage};
use crate::run::test::Outcome;

/// Shows that every variant passes all tests of its stage.
///
/// # Errors
/// When a file has no proper head, or a build cannot be started.
pub(super) fn all(proofs: &Proofs<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for file in files(&proofs.root.join("tests/variants"))? {
        let stage = stage_of(&file, proofs.manifest)?;
        if proofs.stages().any(|one| one.id() == stage.id()) {
            rows.push(prove(proofs, &file, stage)?);
        }
    }
    proofs.prepare(&[])?;
    Ok(rows)
}

fn prove(proofs: &Proofs<'_>, file: &Path, stage: &Stage) -> Result<Row> {
    let start = Instant::now();
    proofs.prepare(&[])?;
    let refusal = if is_patch(file) {
        apply(file, &proofs.bench.site.root)?
    } else {
        None
    };
    let against = match refusal {
        Some(refusal) => vec![refusal],
        None => complaints(proofs.outcomes_of(stage, program(file), |_| true)?),
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let claim = format!("the variant {name} passes {}", stage.id());
    Ok(row(claim, against, start))
}

/// Returns the program that a variant is, if it is one.
fn program(file: &Path) -> Option<&Path> {
    (!is_patch(file)).then_some(file)
}

fn complaints(outcomes: Outcomes) -> Vec<String> {
    match outcomes {
        Err(messages) => vec![messages],
        Ok(outcomes) => outcomes
            .into_iter()
            .filter(|(_, outcome)| *outcome != Outcome::Passed)
            .map(|(name, outcome)| format!("{outcome:?}: {name}"))
            .collect(),
    }
}

fn is_patch(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "patch")
}

fn stage_of<'a>(file: &Path, manifest: &'a Manifest) -> Result<&'a Stage> {
    if !is_patch(file) {
        let mode = fs::metadata(file)?.permissions().mode();
        ensure!(mode & 0o111 != 0, "{} cannot be executed", file.display());
        return manifest.stage(&file.file_stem().unwrap_or_default().to_string_lossy());
    }
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut head = Head::of(&text);
    let stage = head
        .value("Stage")
        .with_context(|| format!("in {}", file.display()))?;
    head.value("Idea")
        .with_context(|| format!("in {}", file.display()))?;
    manifest.stage(&stage)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if folder.is_dir() {
        for entry in folder.read_dir()? {
            files.push(entry?.path());
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn every_variant_names_its_stage() {
        let root = workspace::root().unwrap();
        let manifest = Manifest::load(&root).unwrap();
        for file in files(&root.join("tests/variants")).unwrap() {
            stage_of(&file, &manifest).unwrap();
        }
    }
}
