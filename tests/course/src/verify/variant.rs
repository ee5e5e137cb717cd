//! The variants in `tests/variants`: right but different solutions, because the tests must not demand the reference's way.
//!
//! A `.patch` is a patch of the reference below a head of two lines, `Stage: stage1` and `Idea: ...`. Any other file is a
//! program named like its stage's, in another language; the stage's tests run it instead of ours.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::verify::plan::{Change, Claim, Demand, Proof, Setting};
use course::bug::Head;
use course::listing;
use course::manifest::{Manifest, Stage};

/// The folder of the variants, below that of the course.
const FOLDER: &str = "tests/variants";

/// Plans the proof that every variant passes all tests of its stage.
///
/// # Errors
///
/// Fails if a file has no proper head.
pub(super) fn settings<'a>(root: &Path, manifest: &'a Manifest) -> Result<Vec<Setting<'a>>> {
    let files = listing::entries(&root.join(FOLDER))?;
    let setting = |file| setting(file, manifest);
    files.into_iter().map(setting).collect()
}

/// Returns the variants of a stage.
///
/// # Errors
///
/// Fails if a file has no proper head.
pub(crate) fn of_stage(root: &Path, manifest: &Manifest, stage: &Stage) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in listing::entries(&root.join(FOLDER))? {
        if stage_of(&file, manifest)?.id() == stage.id() {
            found.push(file);
        }
    }
    Ok(found)
}

fn setting(file: PathBuf, manifest: &Manifest) -> Result<Setting<'_>> {
    let stage = stage_of(&file, manifest)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let text = format!("the variant {name} passes {}", stage.id());
    let demand = Demand::Passes(stage.exercises.iter().collect());
    let change = if is_patch(&file) {
        Change::Patch(file)
    } else {
        Change::Program(file)
    };
    Ok(Setting {
        stage,
        change,
        claims: vec![Claim::new(Proof::Variants, text, demand)],
    })
}

/// Returns whether a variant is a patch of the reference, and not a program.
pub(crate) fn is_patch(file: &Path) -> bool {
    listing::has_extension(file, "patch")
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

#[cfg(test)]
mod tests {
    use super::*;
    use course::workspace;

    #[test]
    fn every_variant_names_its_stage() {
        let root = workspace::root().unwrap();
        let manifest = Manifest::load(&root).unwrap();
        for file in listing::entries(&root.join("tests/variants")).unwrap() {
            stage_of(&file, &manifest).unwrap();
        }
    }
}
