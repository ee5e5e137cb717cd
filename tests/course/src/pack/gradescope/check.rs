//! The check of the zip: unpacked, set up and run as on Gradescope, but here and without the network.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use zip::ZipArchive;

use crate::run::build::target_folder;
use course::manifest::Manifest;

/// Unpacks the zip, lets it grade stage 1 of the reference, and compares.
///
/// # Errors
///
/// Fails if one of the scripts fails or the points are wrong.
pub(super) fn run(root: &Path) -> Result<()> {
    // Always the same folder, so that cargo builds only the files that have changed.
    let base = target_folder(root).join("course/gradescope");
    let source = base.join("source");
    let packed = base.join("autograder.zip");
    fs::create_dir_all(&source)?;
    let count = super::pack(root, File::create(&packed)?)?;
    println!("unpacking {count} files");
    unpack(&packed, &source)?;
    submit(root, &base.join("submission"))?;
    script(&base, "source/setup.sh")?;
    script(&base, "source/run_autograder")?;
    let text = fs::read_to_string(base.join("results/results.json"))?;
    let results: Value = serde_json::from_str(&text)?;
    let manifest = Manifest::load(root)?;
    let stage = manifest.stages.first().context("there is no stage")?;
    let expected: u32 = stage.exercises.iter().map(|one| one.points).sum();
    ensure!(
        results["score"] == expected,
        "stage 1 of the reference got {} points instead of {expected}: {text}",
        results["score"]
    );
    println!(
        "The zip grades stage 1 of the reference with its {expected} points. {}",
        results["output"]
    );
    Ok(())
}

/// Unpacks a zip; equal files are not touched, so that cargo does not build them again.
fn unpack(packed: &Path, to: &Path) -> Result<()> {
    let fresh = tempfile::tempdir_in(to.parent().unwrap_or(to))?;
    ZipArchive::new(File::open(packed)?)?.extract(fresh.path())?;
    crate::starter::copy_changed(fresh.path(), to)?;
    for name in ["setup.sh", "run_autograder"] {
        let permissions = fresh.path().join(name).metadata()?.permissions();
        fs::set_permissions(to.join(name), permissions)?;
    }
    Ok(())
}

/// Copies stage 1 into a folder inside of the submission, a common mistake.
fn submit(root: &Path, submission: &Path) -> Result<()> {
    let to = submission.join("my work/stage1-server/src");
    fs::create_dir_all(&to)?;
    crate::grade::files::replace(&root.join("stage1-server/src"), &to)
}

/// Runs a script in a network of its own, if the kernel allows one; cargo is told to stay offline in any case.
fn script(base: &Path, name: &str) -> Result<()> {
    println!("{name}");
    let has_namespaces = Command::new("unshare")
        .args(["--net", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let mut command = if has_namespaces {
        let mut command = Command::new("unshare");
        command.arg("--net").arg(base.join(name));
        command
    } else {
        Command::new(base.join(name))
    };
    let status = command
        .env("AUTOGRADER", base)
        .env("CARGO_NET_OFFLINE", "true")
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_MANIFEST_DIR")
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {name}"))?;
    ensure!(status.success(), "{name} has failed: {status}");
    Ok(())
}
