//! The workbench: a workspace in which a submission's code is built with the course's tests.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::grade::files;
use crate::run::build::{Site, target_folder};
use crate::run::dependencies;
use crate::starter::{prepare_copy, settle_lock_file};
use crate::units::pristine;
use course::manifest::{Manifest, Stage};

/// A workspace beside cargo's output, used by one command at a time.
#[derive(Debug)]
pub(crate) struct Workbench {
    /// The course whose tests it has.
    pub(crate) course: PathBuf,
    /// The workspace and its folder for cargo's output.
    pub(crate) site: Site,
    _lock: File,
}

impl Workbench {
    /// Creates or refreshes the workbench with the course's tests and manifests; waits while another command uses it.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub(crate) fn open(course: &Path, manifest: &Manifest) -> Result<Self> {
        Self::open_in(&usual_folder(course), course, manifest)
    }

    /// As [`Workbench::open`]; the first time it takes over the dependencies that the course has compiled, which saves a minute.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub(crate) fn open_warm(course: &Path, manifest: &Manifest) -> Result<Self> {
        let bench = Self::open(course, manifest)?;
        if !bench.site.target.exists() {
            dependencies::take_over(course, &target_folder(course), &bench.site.target)?;
        }
        Ok(bench)
    }

    /// Returns whether a stage was built here before.
    pub(crate) fn has_built(&self, stage: &Stage) -> bool {
        let library = format!("lib{}", stage.package().replace('-', "_"));
        self.site.has_built(&library)
    }

    /// As [`Workbench::open`], for one of several workers, each of which has a workbench of its own.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub(crate) fn open_numbered(course: &Path, manifest: &Manifest, number: usize) -> Result<Self> {
        Self::open_in(&numbered_folder(course, number), course, manifest)
    }

    /// As [`Workbench::open`], for one of several commands on the same folder: takes the first workbench that no other uses.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub(crate) fn open_free(course: &Path, manifest: &Manifest) -> Result<Self> {
        let mut number = 0;
        loop {
            let folder = numbered_folder(course, number);
            let lock = lock_file(&folder)?;
            match lock.try_lock() {
                Ok(()) => return Self::locked(lock, &folder, course, manifest),
                Err(TryLockError::WouldBlock) => number += 1,
                Err(TryLockError::Error(error)) => {
                    return Err(error).context("cannot lock the workbench");
                }
            }
        }
    }

    /// As [`Workbench::open`], in another folder than the usual one.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub(crate) fn open_in(folder: &Path, course: &Path, manifest: &Manifest) -> Result<Self> {
        let lock = lock_file(folder)?;
        lock.lock().context("cannot lock the workbench")?;
        Self::locked(lock, folder, course, manifest)
    }

    /// Creates or refreshes the workbench in a folder whose lock we have.
    fn locked(lock: File, folder: &Path, course: &Path, manifest: &Manifest) -> Result<Self> {
        let site = Site {
            root: absolute(&folder.join("workbench"))?,
            target: absolute(&folder.join("build"))?,
            is_shared: false,
        };
        prepare_copy(course, &site.root, manifest)?;
        pristine::prepare(&site.root, manifest)?;
        settle_lock_file(&site.root)?;
        Ok(Self {
            course: course.to_owned(),
            site,
            _lock: lock,
        })
    }

    /// Copies the reference's code of the given stages into another folder, where it will be changed.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be copied.
    pub(crate) fn stage_in(folder: &Path, course: &Path, stages: &[Stage]) -> Result<()> {
        for stage in stages {
            let part = Path::new(stage.package()).join("src");
            files::replace(&course.join(&part), &folder.join(&part))?;
        }
        Ok(())
    }

    /// Copies the code of the given stages from `from`, or from `course` where a submission has none.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be copied.
    pub(crate) fn fill(&self, course: &Path, from: &Path, stages: &[Stage]) -> Result<()> {
        for stage in stages {
            let source = match refusal(from, stage) {
                None => from,
                Some(_) => course,
            };
            let part = Path::new(stage.package()).join("src");
            files::replace(&source.join(&part), &self.site.root.join(&part))
                .with_context(|| format!("cannot take {}", part.display()))?;
        }
        Ok(())
    }
}

/// Returns the reason why a submission's code for a stage is not accepted, if so.
pub(crate) fn refusal(from: &Path, stage: &Stage) -> Option<String> {
    let part = Path::new(stage.package()).join("src");
    // Refused, because a link could lead to the reference.
    for path in [Path::new(stage.package()), &part] {
        if from.join(path).is_symlink() {
            return Some(format!("{} is a link", path.display()));
        }
    }
    if !from.join(&part).is_dir() {
        return Some(format!("the submission has no {}", part.display()));
    }
    let error = files::check(&from.join(&part)).err()?;
    Some(format!("{}: {error:#}", part.display()))
}

fn usual_folder(course: &Path) -> PathBuf {
    target_folder(course).join("course")
}

/// Returns the folder of one of several workbenches.
fn numbered_folder(course: &Path, number: usize) -> PathBuf {
    let folder = usual_folder(course);
    match number {
        0 => folder,
        _ => folder.join(format!("worker-{number}")),
    }
}

/// Opens the file whose lock belongs to the command that uses the workbench.
fn lock_file(folder: &Path) -> Result<File> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(File::create(folder.join("lock"))?)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))
}
