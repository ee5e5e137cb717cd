//! Applies a patch to a copy of the reference.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// Applies a patch in a folder; returns the refusal of a patch that does not fit.
///
/// # Errors
///
/// Fails if git cannot be started.
pub(crate) fn apply(patch: &Path, folder: &Path) -> Result<Option<String>> {
    let output = Command::new("git")
        .arg("apply")
        .arg(patch)
        .current_dir(folder)
        // Set, because a repository around the workbench would make the paths relative to its own root.
        .env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(folder))
        .stdin(Stdio::null())
        .output()
        .context("cannot start git")?;
    let refusal = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Ok((!output.status.success()).then_some(refusal))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_patch_changes_the_folder_or_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let patch = folder.path().join("a.patch");
        fs::write(
            &patch,
            "Head\n--- a/x/f\n+++ b/x/f\n@@ -1 +1 @@\n-one\n+two\n",
        )
        .unwrap();
        let bench = folder.path().join("bench");
        fs::create_dir_all(bench.join("x")).unwrap();
        fs::write(bench.join("x/f"), "one\n").unwrap();
        assert_eq!(apply(&patch, &bench).unwrap(), None);
        assert_eq!(fs::read(bench.join("x/f")).unwrap(), b"two\n");
        assert!(apply(&patch, &bench).unwrap().is_some());
    }
}
