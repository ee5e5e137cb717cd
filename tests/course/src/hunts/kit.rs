//! The programs of the hunts: the wrong one of each, and the right ones of its stage.
//!
//! ```text
//!   in the course     target/course/hunts/programs/stage1/restart-refused   the wrong program of a hunt
//!                                                  stage1/right-0           the reference's
//!                                                  stage1/right-1 ...       the variants'
//!   in a workspace    .hunts/stage1/...             the same, without the variants that are patches
//! ```
//!
//! The names tell neither the wrong solution nor the variant, because students see them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::hunts::factory::{Factory, Order};
use crate::verify::variant;
use course::hunt::bug_of;
use course::manifest::{Hunt, Manifest, Stage};
use course::{bug, listing};

/// The folder of a workspace's programs.
pub(crate) const FOLDER: &str = ".hunts";
/// The beginning of the names of right programs; no hunt has a name with a digit.
const RIGHT: &str = "right-";

/// The programs of one hunt.
#[derive(Debug)]
pub(crate) struct Programs {
    /// The program with the fault.
    pub(crate) wrong: PathBuf,
    /// The programs without it: the reference's first.
    pub(crate) right: Vec<PathBuf>,
}

/// The programs of all hunts.
#[derive(Debug)]
pub(crate) struct Kit<'a> {
    root: &'a Path,
    manifest: &'a Manifest,
    place: Place<'a>,
}

#[derive(Debug)]
enum Place<'a> {
    /// They are built when they are needed.
    Course(Factory<'a>),
    /// They were handed out.
    Workspace(PathBuf),
}

impl<'a> Kit<'a> {
    /// Finds the kit of a course or a workspace; `None` where it was left out.
    ///
    /// # Errors
    ///
    /// Fails if the sources of the course cannot be read.
    pub(crate) fn find(root: &'a Path, manifest: &'a Manifest) -> Result<Option<Self>> {
        let place = if root.join(bug::FOLDER).is_dir() {
            Place::Course(Factory::new(root, manifest)?)
        } else if root.join(FOLDER).is_dir() {
            Place::Workspace(root.join(FOLDER))
        } else {
            return Ok(None);
        };
        Ok(Some(Self {
            root,
            manifest,
            place,
        }))
    }

    /// Returns the programs of a hunt, which the course builds first if they are not there.
    ///
    /// # Errors
    ///
    /// Fails if one is missing or cannot be built.
    pub(crate) fn programs(&self, stage: &Stage, hunt: &Hunt) -> Result<Programs> {
        match &self.place {
            Place::Course(factory) => {
                let wrong = self.wrong(factory, stage, hunt)?;
                let right = self.right(factory, stage)?;
                factory.make(std::slice::from_ref(&wrong))?;
                factory.make(&right)?;
                Ok(Programs {
                    wrong: factory.path(&wrong),
                    right: right.iter().map(|order| factory.path(order)).collect(),
                })
            }
            Place::Workspace(folder) => handed_out(&folder.join(stage.id()), hunt),
        }
    }

    /// Writes the programs that a workspace gets: those of the hunts, the reference's, and variants in other languages.
    ///
    /// # Errors
    ///
    /// Fails if this is not the course, or a program cannot be built or copied.
    pub(crate) fn hand_out(&self, dir: &Path) -> Result<()> {
        let Place::Course(factory) = &self.place else {
            return Ok(());
        };
        let mut orders = Vec::new();
        for stage in self
            .manifest
            .stages
            .iter()
            .filter(|one| !one.hunts.is_empty())
        {
            for hunt in &stage.hunts {
                orders.push(self.wrong(factory, stage, hunt)?);
            }
            let right = self.right(factory, stage)?.into_iter();
            orders.extend(right.filter(|order| !order.is_variant_of_ours()));
        }
        factory.make(&orders)?;
        for order in &orders {
            let to = dir.join(FOLDER).join(&order.name);
            fs::create_dir_all(to.parent().unwrap_or(dir))?;
            fs::copy(factory.path(order), &to)
                .with_context(|| format!("cannot write {}", to.display()))?;
        }
        Ok(())
    }

    fn wrong<'s>(&self, factory: &Factory<'_>, stage: &'s Stage, hunt: &Hunt) -> Result<Order<'s>> {
        let patch = bug_of(self.root, stage, hunt)?;
        factory.patched(stage, hunt.name(), Some(patch))
    }

    fn right<'s>(&self, factory: &Factory<'_>, stage: &'s Stage) -> Result<Vec<Order<'s>>> {
        let name = |number: usize| format!("{RIGHT}{number}");
        let mut orders = vec![factory.patched(stage, &name(0), None)?];
        for (number, file) in variant::of_stage(self.root, self.manifest, stage)?
            .into_iter()
            .enumerate()
        {
            let name = name(number + 1);
            orders.push(if variant::is_patch(&file) {
                factory.patched(stage, &name, Some(file))?
            } else {
                factory.as_it_is(stage, &name, file)?
            });
        }
        Ok(orders)
    }
}

fn handed_out(folder: &Path, hunt: &Hunt) -> Result<Programs> {
    let wrong = folder.join(hunt.name());
    ensure!(wrong.is_file(), "there is no {}", wrong.display());
    let mut right = listing::entries(folder)?;
    right.retain(|path| is_right(path));
    ensure!(
        !right.is_empty(),
        "{} has no right program",
        folder.display()
    );
    Ok(Programs { wrong, right })
}

fn is_right(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = name.strip_prefix(RIGHT);
    number.is_some_and(|number| number.parse::<usize>().is_ok())
}
