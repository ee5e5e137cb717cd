//! The texts of a starter: README, rules for assistants, cargo's aliases, and the workflow that runs on each push.

use std::path::Path;

use anyhow::Result;

use crate::starter::copy::write_if_changed;
use course::manifest::{Exercise, Manifest};

const README: &str = include_str!("README.md.txt");
const AGENTS: &str = include_str!("AGENTS.md.txt");
const WORKFLOW: &str = include_str!("grade.yml.txt");
const CARGO_CONFIG: &str = include_str!("cargo-config.toml.txt");

/// Writes README.md, AGENTS.md, the aliases and the workflow.
///
/// # Errors
///
/// Fails if one of them cannot be written.
pub(crate) fn write(dir: &Path, manifest: &Manifest, open: &[&Exercise]) -> Result<()> {
    let readme = README.replace("EXERCISES\n", &table(manifest, open));
    write_if_changed(&dir.join("README.md"), readme.as_bytes())?;
    write_if_changed(&dir.join("AGENTS.md"), AGENTS.as_bytes())?;
    write_if_changed(&dir.join(".cargo/config.toml"), CARGO_CONFIG.as_bytes())?;
    write_if_changed(
        &dir.join(".github/workflows/grade.yml"),
        WORKFLOW.as_bytes(),
    )
}

/// Renders the table of the open exercises.
fn table(manifest: &Manifest, open: &[&Exercise]) -> String {
    let mut text = "| exercise | points | minutes | in |\n|---|---|---|---|\n".to_owned();
    for (stage, exercise) in manifest.exercises() {
        if open.iter().any(|one| one.id() == exercise.id()) {
            let (points, minutes) = (exercise.points, exercise.minutes);
            let name = exercise.name().replacen(':', "", 1);
            text += &format!(
                "| {name} | {points} | {minutes} | `{}` |\n",
                stage.package()
            );
        }
    }
    text
}
