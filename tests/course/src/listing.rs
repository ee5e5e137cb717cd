//! The files in a folder, in the order of their names.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Returns the entries of a folder.
///
/// # Errors
///
/// Fails if it cannot be read.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let place = || format!("cannot read {}", folder.display());
    let mut paths = Vec::new();
    for entry in folder.read_dir().with_context(place)? {
        paths.push(entry.with_context(place)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Returns the files with this extension, in the folder and in all folders below it.
///
/// # Errors
///
/// Fails if a folder cannot be read.
pub fn below(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            files.extend(below(&path, extension)?);
        } else if has_extension(&path, extension) {
            files.push(path);
        }
    }
    Ok(files)
}

/// Returns the names, without the extension, of the files that have this extension.
///
/// # Errors
///
/// Fails if the folder cannot be read.
pub fn stems(folder: &Path, extension: &str) -> Result<Vec<String>> {
    let paths = entries(folder)?.into_iter();
    let stems = paths
        .filter(|path| has_extension(path, extension))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    Ok(stems.collect())
}

/// Returns whether a file's name ends with a dot and `extension`.
pub fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|end| end == extension)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_come_in_order_from_all_folders() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b/deep")).unwrap();
        for name in ["c.rs", "a.rs", "a.md", "b/deep/x.rs", "b/rs"] {
            fs::write(root.join(name), "").unwrap();
        }
        let names = |paths: Vec<PathBuf>| -> Vec<String> {
            let relative = paths.iter().map(|path| path.strip_prefix(root).unwrap());
            relative.map(|path| path.display().to_string()).collect()
        };
        assert_eq!(names(entries(root).unwrap()), ["a.md", "a.rs", "b", "c.rs"]);
        assert_eq!(
            names(below(root, "rs").unwrap()),
            ["a.rs", "b/deep/x.rs", "c.rs"]
        );
        assert!(entries(&root.join("nowhere")).is_err());
    }
}
