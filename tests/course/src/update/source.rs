//! The corrected course: a workspace as `cargo course start` or `cargo course pack workspace` makes it, as a folder or a zip.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use zip::ZipArchive;

use crate::starter::{Given, Record};
use course::listing;
use course::manifest::{FILE, Manifest};

/// The corrected course, opened.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) root: PathBuf,
    pub(super) record: Record,
    pub(super) given: Given,
    pub(super) manifest: Manifest,
    /// Where an archive was unpacked; removed at the end.
    _unpacked: Option<TempDir>,
}

impl Source {
    /// Opens a folder or a zip.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read, is no workspace, or is not complete.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let name = path.display();
        let unpacked = if path.is_dir() {
            None
        } else {
            Some(unpack(path).with_context(|| format!("cannot unpack {name}"))?)
        };
        let folder = unpacked.as_ref().map_or(path, TempDir::path);
        let root = top(folder);
        let Some(record) = Record::read(&root)? else {
            bail!(
                "{name} is not a workspace: an update is what `cargo course start` or `cargo course pack workspace` makes \
                 of the corrected course"
            );
        };
        let given = Given::read(&root)?
            .with_context(|| format!("{name} was made before workspaces could be updated"))?;
        let manifest = Manifest::load(&root).with_context(|| {
            format!("the {FILE} of {name} is not one that this workspace knows")
        })?;
        let source = Self {
            root,
            record,
            given,
            manifest,
            _unpacked: unpacked,
        };
        source
            .check()
            .with_context(|| format!("{name} is not complete"))?;
        Ok(source)
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read.
    pub(super) fn read(&self, name: &Path) -> Result<Vec<u8>> {
        let path = self.root.join(name);
        std::fs::read(&path).with_context(|| format!("cannot read {}", name.display()))
    }

    /// Checks that every file is there, as it was packed: in a folder, a student may have worked.
    fn check(&self) -> Result<()> {
        for name in self.given.files.keys() {
            ensure!(
                self.given.holds(name, &self.read(name)?),
                "{} is not as it was handed out",
                name.display()
            );
            self.given.source(name)?;
        }
        Ok(())
    }
}

/// Returns the folder itself, or the only one in it: many archives have a folder around everything.
fn top(folder: &Path) -> PathBuf {
    let entries = listing::entries(folder).unwrap_or_default();
    match entries.as_slice() {
        [only] if only.is_dir() => only.clone(),
        _ => folder.to_owned(),
    }
}

/// Unpacks a zip into a temporary folder.
fn unpack(path: &Path) -> Result<TempDir> {
    let file = File::open(path)?;
    let mut archive = ZipArchive::new(file)
        .context("it is neither a folder nor a zip; unpack other archives first")?;
    let folder = tempfile::tempdir()?;
    archive
        .extract(folder.path())
        .context("if another program has packed it, unpack it first and give its folder")?;
    Ok(folder)
}
