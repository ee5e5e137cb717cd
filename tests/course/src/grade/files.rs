//! Copies files from a submission: bounded, regular files only, and none left over from the submission before.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// The most files that a stage may have.
const FILES: usize = 500;
/// The most bytes that a file may have.
const BYTES: u64 = 1 << 20;

/// The bytes of files, by their paths in a folder.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Copies a folder so that `to` holds exactly the files of `from`; equal files are not touched, so that Cargo does not build them again.
///
/// # Errors
///
/// Fails if `from` holds a link, a device, too many files or too large ones, or something cannot be copied.
pub(crate) fn replace(from: &Path, to: &Path) -> Result<()> {
    write(&read(from)?, to)
}

/// Reads the files of a folder.
///
/// # Errors
///
/// Fails if it holds a link, a device, too many files or too large ones, or one cannot be read.
pub(crate) fn read(folder: &Path) -> Result<Files> {
    let mut found = Files::new();
    collect(folder, Path::new(""), &mut found)?;
    Ok(found)
}

/// Writes files so that a folder holds exactly these; equal files are not touched.
///
/// # Errors
///
/// Fails if one cannot be written, or one that is there cannot be read or removed.
pub(crate) fn write(wanted: &Files, to: &Path) -> Result<()> {
    let present = if to.is_dir() { read(to)? } else { Files::new() };
    for name in present.keys().filter(|name| !wanted.contains_key(*name)) {
        fs::remove_file(to.join(name))?;
    }
    for (name, bytes) in wanted {
        if present.get(name) != Some(bytes) {
            let path = to.join(name);
            fs::create_dir_all(path.parent().unwrap_or(to))?;
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// Checks whether the files of a folder are acceptable.
///
/// # Errors
///
/// Fails if it holds a link, a device, too many files or too large ones.
pub(super) fn check(folder: &Path) -> Result<()> {
    read(folder).map(|_| ())
}

fn collect(root: &Path, below: &Path, found: &mut Files) -> Result<()> {
    let folder = root.join(below);
    let entries = folder
        .read_dir()
        .with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = below.join(entry.file_name());
        let metadata = entry.path().symlink_metadata()?;
        if metadata.is_dir() {
            collect(root, &name, found)?;
        } else if metadata.is_file() {
            ensure!(metadata.len() <= BYTES, "{} is too large", name.display());
            ensure!(found.len() < FILES, "there are more than {FILES} files");
            found.insert(name, fs::read(entry.path())?);
        } else {
            bail!("{} is not a regular file", name.display());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_holds_exactly_what_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("deep")).unwrap();
        fs::write(from.join("deep/a.rs"), "a").unwrap();
        fs::create_dir_all(&to).unwrap();
        fs::write(to.join("old.rs"), "old").unwrap();
        replace(&from, &to).unwrap();
        assert_eq!(fs::read(to.join("deep/a.rs")).unwrap(), b"a");
        assert!(!to.join("old.rs").exists());
        let before = fs::metadata(to.join("deep/a.rs"))
            .unwrap()
            .modified()
            .unwrap();
        replace(&from, &to).unwrap();
        assert_eq!(
            fs::metadata(to.join("deep/a.rs"))
                .unwrap()
                .modified()
                .unwrap(),
            before
        );
    }

    #[test]
    fn links_and_large_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir(&from).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", from.join("x.rs")).unwrap();
        assert!(
            replace(&from, &to)
                .unwrap_err()
                .to_string()
                .contains("not a regular file")
        );
        fs::remove_file(from.join("x.rs")).unwrap();
        fs::File::create(from.join("y.rs"))
            .unwrap()
            .set_len(BYTES + 1)
            .unwrap();
        assert!(
            replace(&from, &to)
                .unwrap_err()
                .to_string()
                .contains("too large")
        );
    }
}
