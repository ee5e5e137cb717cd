//! An update takes place: all of its changes, or none.
//!
//! ```text
//!   .update/                  the new files, complete before the first old one goes
//!   .before-update-1/files/   the old ones
//!   .before-update-1/unfinished.txt   as long as the files are being swapped: the new ones that had no old one
//! ```
//!
//! The swap only renames and removes files. If a step fails, the old files are put back; if the command is killed in between, the
//! next command finds `unfinished.txt` and puts them back.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::starter::given::is_inside;
use crate::update::plan::{Change, Plan};
use course::listing;

const STAGING: &str = ".update";
const BACKUP: &str = ".before-update-";
const FILES: &str = "files";
const REPORT: &str = "report.txt";
const UNFINISHED: &str = "unfinished.txt";

/// The changes of a plan, ready to take place.
#[derive(Debug)]
pub(super) struct Swap<'a> {
    root: &'a Path,
    plan: &'a Plan,
    backup: PathBuf,
    /// Tells the other commands that the update is not interrupted but under way.
    lock: Option<File>,
}

impl<'a> Swap<'a> {
    /// Writes the new files, and copies of the old ones, beside the workspace's own, which are not touched.
    ///
    /// # Errors
    ///
    /// Fails if something cannot be written.
    pub(super) fn prepare(root: &'a Path, plan: &'a Plan, report: &str) -> Result<Self> {
        let backup = root.join(free_name(root));
        let mut swap = Self {
            root,
            plan,
            backup,
            lock: None,
        };
        if let Err(error) = swap.stage().and_then(|()| swap.save(report)) {
            for folder in [&swap.backup, &root.join(STAGING)] {
                fs::remove_dir_all(folder).ok();
            }
            return Err(error).context("cannot prepare the update; nothing was changed");
        }
        Ok(swap)
    }

    /// Returns the folder with the old files, relative to the workspace.
    pub(super) fn backup(&self) -> &Path {
        self.backup.strip_prefix(self.root).unwrap_or(&self.backup)
    }

    /// Swaps the files.
    ///
    /// # Errors
    ///
    /// Fails if a step fails; then all files are as before.
    pub(super) fn finish(&self) -> Result<()> {
        for (name, change) in &self.plan.changes {
            if let Err(error) = self.step(name, change) {
                put_back(self.root, &self.backup)?;
                let error =
                    anyhow::Error::new(error).context(format!("cannot change {}", name.display()));
                return Err(error.context("nothing was changed"));
            }
        }
        fs::remove_file(self.backup.join(UNFINISHED))?;
        fs::remove_dir_all(self.root.join(STAGING))?;
        Ok(())
    }

    /// Writes the new files.
    fn stage(&self) -> io::Result<()> {
        let staging = self.root.join(STAGING);
        if staging.exists() {
            fs::remove_dir_all(&staging)?;
        }
        fs::create_dir(&staging)?;
        for (name, change) in &self.plan.changes {
            if let Change::Write(bytes) = change {
                write(&staging.join(name), bytes)?;
            }
        }
        Ok(())
    }

    /// Copies the old files, and notes the names of those that there are not.
    fn save(&mut self, report: &str) -> io::Result<()> {
        let mut created = String::new();
        for name in self.plan.changes.keys() {
            match fs::read(self.root.join(name)) {
                Ok(bytes) => write(&self.backup.join(FILES).join(name), &bytes)?,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    created += &format!("{}\n", name.display());
                }
                Err(error) => return Err(error),
            }
        }
        write(&self.backup.join(REPORT), report.as_bytes())?;
        // The last one, because it says that everything to put back is there.
        let unfinished = self.backup.join(UNFINISHED);
        write(&unfinished, created.as_bytes())?;
        let lock = File::open(unfinished)?;
        lock.lock()?;
        self.lock = Some(lock);
        Ok(())
    }

    fn step(&self, name: &Path, change: &Change) -> io::Result<()> {
        let place = self.root.join(name);
        match change {
            Change::Write(_) => {
                if let Some(folder) = place.parent() {
                    fs::create_dir_all(folder)?;
                }
                fs::rename(self.root.join(STAGING).join(name), &place)
            }
            Change::Remove => {
                fs::remove_file(&place)?;
                remove_empty(self.root, name);
                Ok(())
            }
        }
    }
}

/// Puts everything back if an update was interrupted, and returns whether one was.
///
/// # Errors
///
/// Fails if that cannot be done.
pub(super) fn recover(root: &Path) -> Result<bool> {
    let mut found = false;
    for folder in listing::entries(root)? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(BACKUP) && folder.join(UNFINISHED).is_file() {
            if File::open(folder.join(UNFINISHED))?.try_lock().is_err() {
                bail!("this workspace is being updated: try again in a moment");
            }
            put_back(root, &folder)?;
            found = true;
        }
    }
    Ok(found)
}

/// Puts the old files back and removes the new ones; then the update has never been.
fn put_back(root: &Path, backup: &Path) -> Result<()> {
    let unfinished = backup.join(UNFINISHED);
    let again = || {
        format!(
            "the update is half done: put the files of {} back with `cp -a {0}/. .`",
            backup.join(FILES).display()
        )
    };
    let created = fs::read_to_string(&unfinished).with_context(again)?;
    if backup.join(FILES).is_dir() {
        copy_all(&backup.join(FILES), root).with_context(again)?;
    }
    for name in created.lines().map(Path::new) {
        if !is_inside(name) {
            bail!("{} is damaged: {}", unfinished.display(), name.display());
        }
        match fs::remove_file(root.join(name)) {
            Ok(()) => remove_empty(root, name),
            // It was not created yet; a folder in its place may be what has stopped the update.
            Err(error) if error.kind() == ErrorKind::NotFound || root.join(name).is_dir() => {}
            Err(error) => return Err(error).with_context(again),
        }
    }
    fs::remove_dir_all(backup).with_context(again)?;
    let staging = root.join(STAGING);
    if staging.exists() {
        fs::remove_dir_all(staging)?;
    }
    Ok(())
}

/// Copies a folder's files over those of another.
fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in from.read_dir()? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &place)?;
        } else if fs::read(&place).ok() != Some(fs::read(entry.path())?) {
            fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes)
}

/// Removes the folders around a removed file as long as they are empty.
fn remove_empty(root: &Path, name: &Path) {
    for folder in name.ancestors().skip(1) {
        if folder.as_os_str().is_empty() || fs::remove_dir(root.join(folder)).is_err() {
            return;
        }
    }
}

/// Returns the first name of a backup that is free.
fn free_name(root: &Path) -> String {
    let mut number = 1_u32;
    while root.join(format!("{BACKUP}{number}")).exists() {
        number += 1;
    }
    format!("{BACKUP}{number}")
}

#[cfg(test)]
mod tests;
