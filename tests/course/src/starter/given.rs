//! The files of a workspace as they were handed out, in its folder `.given`.
//!
//! ```text
//!   .given/files.txt            the digest of every file, as sha256sum writes it
//!   .given/stage1-server/src/   the source of each stage, with the exercises open
//! ```
//!
//! `cargo course update` compares with them: only then does it know which changes are the student's and which the course's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::starter::copy::{copy_changed, write_if_changed};
use crate::starter::digest::sha256;
use crate::starter::record::Record;
use course::listing;
use course::manifest::{Manifest, Stage};

/// The folder.
pub(crate) const FOLDER: &str = ".given";
/// The list of the digests.
const LIST: &str = "files.txt";
/// Entries at the top of a workspace that were not handed out.
const NOT_GIVEN: &[&str] = &[FOLDER, ".git", "target", Record::FILE];

/// The list of a workspace's files as they were handed out.
#[derive(Debug)]
pub(crate) struct Given {
    root: PathBuf,
    /// Each file, relative to the workspace, and its digest.
    pub(crate) files: BTreeMap<PathBuf, String>,
}

impl Given {
    /// Writes the folder into a workspace that is complete otherwise.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read or written.
    pub(crate) fn write(root: &Path, manifest: &Manifest) -> Result<()> {
        let folder = root.join(FOLDER);
        for package in manifest.stages.iter().map(Stage::package) {
            let source = Path::new(package).join("src");
            copy_changed(&root.join(&source), &folder.join(&source))?;
        }
        let mut list = String::new();
        for entry in listing::entries(root)? {
            let name = entry.file_name().unwrap_or_default();
            if !NOT_GIVEN.iter().any(|one| name == *one) {
                add(root, &entry, &mut list)?;
            }
        }
        write_if_changed(&folder.join(LIST), list.as_bytes())
    }

    /// Reads the list of a workspace; `None` where there is none.
    ///
    /// # Errors
    ///
    /// Fails if the list is damaged.
    pub(crate) fn read(root: &Path) -> Result<Option<Self>> {
        let path = root.join(FOLDER).join(LIST);
        if !path.exists() {
            return Ok(None);
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {FOLDER}/{LIST}"))?;
        let lines = text.lines().map(|line| {
            let (digest, name) = line
                .split_once("  ")
                .with_context(|| format!("{FOLDER}/{LIST} is damaged: {line:?}"))?;
            let name = PathBuf::from(name);
            ensure!(
                is_inside(&name) && digest.len() == 64,
                "{FOLDER}/{LIST} is damaged: {line:?}"
            );
            Ok((name, digest.to_owned()))
        });
        Ok(Some(Self {
            root: root.to_owned(),
            files: lines.collect::<Result<_>>()?,
        }))
    }

    /// Returns whether a file was handed out with these bytes.
    pub(crate) fn holds(&self, name: &Path, bytes: &[u8]) -> bool {
        self.files
            .get(name)
            .is_some_and(|digest| *digest == sha256(bytes))
    }

    /// Returns the text of a stage's source file as it was handed out; `None` for any other file.
    ///
    /// # Errors
    ///
    /// Fails if the copy cannot be read or is not the one of the list.
    pub(crate) fn source(&self, name: &Path) -> Result<Option<String>> {
        let path = self.root.join(FOLDER).join(name);
        if !path.is_file() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read {FOLDER}/{}", name.display()))?;
        if !self.holds(name, text.as_bytes()) {
            bail!(
                "{FOLDER}/{} is not as it was handed out; take it from your repository's first commit",
                name.display()
            );
        }
        Ok(Some(text))
    }
}

/// Returns whether a name leads to a place below the folder that it is relative to.
pub(crate) fn is_inside(name: &Path) -> bool {
    use std::path::Component;
    name.components()
        .all(|part| matches!(part, Component::Normal(_)))
}

/// Adds a file, or everything in a folder, to the list.
fn add(root: &Path, path: &Path, list: &mut String) -> Result<()> {
    if path.is_dir() {
        for entry in listing::entries(path)? {
            add(root, &entry, list)?;
        }
        return Ok(());
    }
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.strip_prefix(root).unwrap_or(path);
    let _ = writeln!(list, "{}  {}", sha256(&bytes), name.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use course::workspace;

    #[test]
    fn the_list_holds_what_was_handed_out_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(Given::read(root).unwrap().is_none());
        for (name, text) in [
            ("stage1-server/src/lib.rs", "fn a() {}\n"),
            ("README.md", "read"),
            ("target/x", "built"),
            ("starter.toml", ""),
        ] {
            write_if_changed(&root.join(name), text.as_bytes()).unwrap();
        }
        let manifest = Manifest::load(&workspace::root().unwrap()).unwrap();
        Given::write(root, &manifest).unwrap();
        let given = Given::read(root).unwrap().unwrap();
        let names: Vec<_> = given.files.keys().map(|name| name.to_str()).collect();
        assert_eq!(names, [Some("README.md"), Some("stage1-server/src/lib.rs")]);
        assert!(given.holds(Path::new("README.md"), b"read"));
        let source = Path::new("stage1-server/src/lib.rs");
        assert_eq!(given.source(source).unwrap().unwrap(), "fn a() {}\n");
        fs::write(root.join(FOLDER).join(source), "fn b() {}\n").unwrap();
        assert!(given.source(source).is_err());
    }

    #[test]
    fn a_name_that_leads_out_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let list = format!("{}  ../x\n", sha256(b""));
        write_if_changed(&folder.path().join(FOLDER).join(LIST), list.as_bytes()).unwrap();
        assert!(Given::read(folder.path()).is_err());
    }
}
