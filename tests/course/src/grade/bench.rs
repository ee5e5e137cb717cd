//! The workbench: a workspace of our own in which a submission's code meets the course's tests.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::files;
use crate::manifest::{Manifest, Stage};
use crate::run::build::{Site, target_folder};
use crate::starter::{prepare_copy, settle_lock_file};

/// A workspace beside cargo's output, used by one command at a time.
#[derive(Debug)]
pub(crate) struct Workbench {
    /// Where things are built.
    pub(crate) site: Site,
    _lock: File,
}

impl Workbench {
    /// Sets the workbench up with the course's tests and manifests; waits while another command uses it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn open(course: &Path, manifest: &Manifest) -> Result<Self> {
        Self::open_in(&target_folder(course).join("course"), course, manifest)
    }

    /// As [`Workbench::open`], in another folder than the usual one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn open_in(folder: &Path, course: &Path, manifest: &Manifest) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let lock = File::create(folder.join("lock"))?;
        lock.lock().context("cannot lock the workbench")?;
        let site = Site {
            root: absolute(&folder.join("workbench"))?,
            target: absolute(&folder.join("build"))?,
        };
        prepare_copy(course, &site.root, manifest)?;
        settle_lock_file(&site.root)?;
        Ok(Self { site, _lock: lock })
    }

    /// Puts the reference's code of the given stages into another folder, to be changed there.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub(crate) fn stage_in(folder: &Path, course: &Path, stages: &[Stage]) -> Result<()> {
        for stage in stages {
            let part = Path::new(stage.package()).join("src");
            files::replace(&course.join(&part), &folder.join(&part))?;
        }
        Ok(())
    }

    /// Puts the code of `from` into the given stages; `course` gives what a submission does not have.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub(crate) fn fill(&self, course: &Path, from: &Path, stages: &[Stage]) -> Result<()> {
        for stage in stages {
            let part = Path::new(stage.package()).join("src");
            let own = [from.join(stage.package()), from.join(&part)];
            // A link could lead to the reference.
            let is_link = own.iter().any(|path| path.is_symlink());
            ensure!(!is_link, "{} is a link", part.display());
            let [_, own] = own;
            let source = if own.is_dir() {
                own
            } else {
                course.join(&part)
            };
            files::replace(&source, &self.site.root.join(&part))
                .with_context(|| format!("cannot take {}", part.display()))?;
        }
        Ok(())
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))
}
