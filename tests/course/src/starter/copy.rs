//! Copies the parts of the course that a starter or a workbench needs, with a Cargo.toml of its own.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use toml::Spanned;

use crate::splice::{Edit, apply};
use course::manifest::{FILE, Hunt, Manifest, Stage};

/// The parts that every copy needs, beside its stages.
const COURSE_PARTS: &[&str] = &[
    ".cargo/config.toml",
    ".gitignore",
    "Cargo.lock",
    "LICENSE",
    "clippy.toml",
    FILE,
    "tests/Cargo.toml",
    "tests/house",
    "tests/house.rs",
    "tests/hunts/hunting.py",
    "tests/scratch/milestones.toml",
    "tests/src",
    "tests/course/Cargo.toml",
    "tests/course/src",
    "tests/demo/Cargo.toml",
    "tests/demo/src",
];

/// The parts of a stage; a part that the original lacks is skipped.
const PACKAGE_PARTS: &[&str] = &["Cargo.toml", "src", "benches", "examples"];

/// The packages other than stages.
const OTHER_MEMBERS: &[&str] = &["tests", "tests/course", "tests/demo"];

/// Writes the stages as they are, their tests and the tools into `dir`, with a Cargo.toml that fits.
///
/// # Errors
///
/// Fails if something cannot be copied.
pub(crate) fn prepare_copy(root: &Path, dir: &Path, manifest: &Manifest) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    copy_parts(root, dir, COURSE_PARTS)?;
    copy_parts(root, dir, stage_parts(manifest))?;
    write_workspace(root, dir, manifest)
}

/// Returns the folders and files of all stages, with their tests and the reports of their hunts.
fn stage_parts(manifest: &Manifest) -> Vec<String> {
    let of_stage = |stage: &Stage| {
        let package = stage.package().to_owned();
        let parts = PACKAGE_PARTS
            .iter()
            .map(move |part| format!("{package}/{part}"));
        let reports = stage.hunts.iter().map(Hunt::report);
        let reports: Vec<_> = reports.map(|report| report.display().to_string()).collect();
        parts.chain(reports).chain([
            format!("tests/{}.rs", stage.id()),
            format!("tests/{}", stage.id()),
        ])
    };
    manifest.stages.iter().flat_map(of_stage).collect()
}

/// Copies files and folders to the same place below another root.
///
/// # Errors
///
/// Fails if something cannot be read or written.
fn copy_parts(
    from: &Path,
    to: &Path,
    parts: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<()> {
    for part in parts {
        copy(&from.join(part.as_ref()), &to.join(part.as_ref()))?;
    }
    Ok(())
}

/// Copies a folder; equal files are not touched.
///
/// # Errors
///
/// Fails if something cannot be read or written.
pub(crate) fn copy_changed(from: &Path, to: &Path) -> Result<()> {
    copy(from, to)
}

/// Copies a file or a folder. Equal files are not touched, so that Cargo does not build them again.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
        for entry in from.read_dir()? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
    } else if from.is_file() {
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        write_if_changed(to, &bytes)?;
    }
    Ok(())
}

/// Writes a file and its folder, unless it has that content.
///
/// # Errors
///
/// Fails if it cannot be written.
pub(super) fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

#[derive(Deserialize)]
struct CargoFile {
    workspace: Option<Workspace>,
}

#[derive(Deserialize)]
struct Workspace {
    members: Spanned<Vec<String>>,
}

/// Writes the workspace's Cargo.toml with the members that the copy has.
///
/// # Errors
///
/// Fails if the original has no list of members, or the copy cannot be written.
fn write_workspace(root: &Path, dir: &Path, manifest: &Manifest) -> Result<()> {
    let text = fs::read_to_string(root.join("Cargo.toml")).context("cannot read Cargo.toml")?;
    let file: CargoFile = toml::from_str(&text)?;
    let members = file
        .workspace
        .context("Cargo.toml has no workspace")?
        .members;
    let stages = manifest.stages.iter().map(Stage::package);
    let names: Vec<_> = stages.chain(OTHER_MEMBERS.iter().copied()).collect();
    let lines: String = names
        .iter()
        .map(|name| format!("    \"{name}\",\n"))
        .collect();
    let range = members.span();
    let text = apply(
        &text,
        vec![Edit {
            range,
            text: format!("[\n{lines}]"),
        }],
    )?;
    write_if_changed(&dir.join("Cargo.toml"), text.as_bytes())
}

/// Lets cargo drop the packages that the copy does not use from the lock file, and nothing else. `cargo metadata` would do
/// the same, but it needs the sources of every package, even of those for other systems.
///
/// # Errors
///
/// Fails if cargo cannot do it without the network.
pub(crate) fn settle_lock_file(dir: &Path) -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["update", "--workspace", "--offline", "--quiet"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "cargo cannot read the new workspace: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        write_if_changed(&path, b"one").unwrap();
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        write_if_changed(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
        write_if_changed(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
    }

    #[test]
    fn parts_are_copied_to_their_place_and_missing_ones_are_left_out() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write_if_changed(&from.path().join("x/y/z.rs"), b"z").unwrap();
        copy_parts(from.path(), to.path(), ["x/y", "nothing"]).unwrap();
        assert_eq!(fs::read(to.path().join("x/y/z.rs")).unwrap(), b"z");
        assert!(!to.path().join("nothing").exists());
    }
}
