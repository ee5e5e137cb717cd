//! Builds the programs of the hunts from the reference and its patches, and keeps them beside cargo's output.
//!
//! A program is built again only when the sources of the stages, the versions of dependencies or its patch have changed: a
//! file `NAME.from` beside it has the digest of all these.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::grade::bench::Workbench;
use crate::patch::apply;
use crate::run::build::target_folder;
use crate::starter::digest::sha256;
use course::listing;
use course::manifest::{Manifest, Stage};

/// Cargo's settings for the programs: small files, because they are handed out.
const CONFIG: &str = "\n[profile.dev]\ndebug = false\nstrip = true\n";

/// A program that is wanted.
#[derive(Debug)]
pub(super) struct Order<'s> {
    stage: &'s Stage,
    /// Stage and name: `stage1/right-0`.
    pub(super) name: PathBuf,
    source: Source,
    /// The digest of all that it is made from.
    digest: String,
}

#[derive(Debug)]
enum Source {
    /// The reference with a patch.
    Patch(PathBuf),
    /// The reference.
    Reference,
    /// A program that needs no build.
    Program(PathBuf),
}

impl Order<'_> {
    /// Returns whether it is a right program that is a patch of the reference.
    pub(super) fn is_variant_of_ours(&self) -> bool {
        matches!(self.source, Source::Patch(_))
    }
}

/// The place where the programs are built.
#[derive(Debug)]
pub(super) struct Factory<'a> {
    root: &'a Path,
    manifest: &'a Manifest,
    place: PathBuf,
    /// The digest of the sources that all programs have in common.
    common: String,
}

impl<'a> Factory<'a> {
    /// Creates a factory beside cargo's output.
    ///
    /// # Errors
    ///
    /// Fails if the sources cannot be read.
    pub(super) fn new(root: &'a Path, manifest: &'a Manifest) -> Result<Self> {
        let mut common = fs::read_to_string(root.join("Cargo.lock"))?;
        for stage in &manifest.stages {
            for file in listing::below(&root.join(stage.package()).join("src"), "rs")? {
                common += &fs::read_to_string(&file)
                    .with_context(|| format!("cannot read {}", file.display()))?;
            }
        }
        Ok(Self {
            root,
            manifest,
            place: target_folder(root).join("course/hunts"),
            common: sha256(common.as_bytes()),
        })
    }

    /// Returns where the program of an order is, or will be.
    pub(super) fn path(&self, order: &Order<'_>) -> PathBuf {
        self.place.join("programs").join(&order.name)
    }

    /// Orders the reference's program, with a patch if there is one.
    ///
    /// # Errors
    ///
    /// Fails if the patch cannot be read.
    pub(super) fn patched<'s>(
        &self,
        stage: &'s Stage,
        name: &str,
        patch: Option<PathBuf>,
    ) -> Result<Order<'s>> {
        let source = patch.map_or(Source::Reference, Source::Patch);
        self.order(stage, name, source)
    }

    /// Orders a copy of a program that needs no build.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read.
    pub(super) fn as_it_is<'s>(
        &self,
        stage: &'s Stage,
        name: &str,
        program: PathBuf,
    ) -> Result<Order<'s>> {
        self.order(stage, name, Source::Program(program))
    }

    fn order<'s>(&self, stage: &'s Stage, name: &str, source: Source) -> Result<Order<'s>> {
        let own = match &source {
            Source::Patch(file) | Source::Program(file) => fs::read(file)
                .map(|bytes| sha256(&bytes))
                .with_context(|| format!("cannot read {}", file.display()))?,
            Source::Reference => String::new(),
        };
        Ok(Order {
            stage,
            name: Path::new(stage.id()).join(name),
            source,
            digest: sha256(format!("{} {own}", self.common).as_bytes()),
        })
    }

    /// Makes the programs that are missing or out of date; waits while another command does so.
    ///
    /// # Errors
    ///
    /// Fails if a patch does not fit or a program does not compile.
    pub(super) fn make(&self, orders: &[Order<'_>]) -> Result<()> {
        if orders.iter().all(|order| self.is_there(order)) {
            return Ok(());
        }
        let mut bench = Workbench::open_in(&self.place, self.root, self.manifest)?;
        bench.site.is_shared = true;
        let config = bench.site.root.join(".cargo/config.toml");
        let text = fs::read_to_string(&config).context("cannot read .cargo/config.toml")?;
        fs::write(&config, text + CONFIG).context("cannot write .cargo/config.toml")?;
        // Asked again, because another command may have made them while we waited.
        let missing: Vec<_> = orders.iter().filter(|one| !self.is_there(one)).collect();
        for (number, order) in missing.iter().enumerate() {
            eprintln!(
                "building the programs of the hunts: {} of {} ({})",
                number + 1,
                missing.len(),
                order.stage.id()
            );
            self.make_one(&bench, order)
                .with_context(|| format!("cannot make {}", order.name.display()))?;
        }
        Ok(())
    }

    fn make_one(&self, bench: &Workbench, order: &Order<'_>) -> Result<()> {
        let built = match &order.source {
            Source::Program(file) => file.clone(),
            Source::Reference => self.build(bench, order.stage, None)?,
            Source::Patch(patch) => self.build(bench, order.stage, Some(patch))?,
        };
        let to = self.path(order);
        fs::create_dir_all(to.parent().unwrap_or(&to))?;
        // Removed first, because the old one may be running.
        if to.exists() {
            fs::remove_file(&to)?;
        }
        fs::copy(&built, &to).with_context(|| format!("cannot write {}", to.display()))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
        fs::write(stamp(&to), &order.digest)?;
        Ok(())
    }

    /// Builds the program of a stage and returns where cargo has put it.
    fn build(&self, bench: &Workbench, stage: &Stage, patch: Option<&Path>) -> Result<PathBuf> {
        let stages = &self.manifest.stages;
        let staging = self.place.join("staging");
        Workbench::stage_in(&staging, self.root, stages)?;
        if let Some(patch) = patch
            && let Some(refusal) = apply(patch, &staging)?
        {
            bail!("{refusal}");
        }
        bench.fill(self.root, &staging, stages)?;
        if let Err(messages) = bench.site.build_programs(stage)? {
            bail!("{messages}");
        }
        Ok(bench.site.target.join("debug").join(stage.package()))
    }

    fn is_there(&self, order: &Order<'_>) -> bool {
        let path = self.path(order);
        path.is_file() && fs::read_to_string(stamp(&path)).is_ok_and(|text| text == order.digest)
    }
}

/// Returns the file with the digest of a program's sources.
fn stamp(program: &Path) -> PathBuf {
    program.with_extension("from")
}
