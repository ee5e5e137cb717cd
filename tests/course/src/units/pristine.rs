//! The unit tests as they were handed out, and the place where they are built.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::starter::given;
use course::manifest::{Manifest, Stage};
use course::unit::{self, Sources, TestModule};

/// The folder of a stage with the code and the handed-out tests, in a workbench.
pub(super) const FOLDER: &str = "unit";

/// The test modules of a stage as they were handed out.
#[derive(Debug)]
pub(super) struct Pristine {
    /// All files with them.
    sources: Sources,
    modules: Vec<TestModule>,
}

impl Pristine {
    /// Reads those of a workspace from the files as they were handed out, and those of the course from its source.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read or is not Rust.
    pub(super) fn read(root: &Path, stage: &Stage) -> Result<Self> {
        let source = Path::new(stage.package()).join("src");
        let given = root.join(given::FOLDER).join(&source);
        let folder = if given.is_dir() {
            given
        } else {
            root.join(source)
        };
        Self::of(unit::read(&folder)?)
    }

    pub(super) fn of(sources: Sources) -> Result<Self> {
        let modules = unit::modules(&sources)?;
        Ok(Self { sources, modules })
    }

    pub(super) fn modules(&self) -> impl Iterator<Item = &TestModule> {
        self.modules.iter()
    }

    /// Iterates over the paths of all tests.
    pub(super) fn tests(&self) -> impl Iterator<Item = &String> {
        self.modules.iter().flat_map(|module| &module.tests)
    }

    /// Returns the paths of a module's tests.
    pub(super) fn tests_of(&self, path: &str) -> Vec<String> {
        let mut found = self.modules.iter().filter(|module| module.path == path);
        found
            .next()
            .map(|module| module.tests.clone())
            .unwrap_or_default()
    }

    /// Returns a module's text in the file that declares it.
    pub(super) fn text(&self, module: &TestModule) -> &str {
        self.file(&module.file)
            .get(module.item.clone())
            .unwrap_or_default()
    }

    /// Returns the text of a file, or nothing if there is none.
    pub(super) fn file(&self, file: &Path) -> &str {
        self.sources.get(file).map_or("", String::as_str)
    }

    /// Iterates over the files that belong to a module alone.
    pub(super) fn files<'a>(
        &'a self,
        module: &'a TestModule,
    ) -> impl Iterator<Item = (&'a PathBuf, &'a String)> {
        self.sources.iter().filter(|(file, _)| module.owns(file))
    }
}

/// Adds the unit tests of each stage to a workbench, as a test target beside the black-box tests: its name is that of the library, so
/// that the paths of modules are the same.
///
/// # Errors
///
/// Fails if a file cannot be read or written.
pub(crate) fn prepare(workbench: &Path, manifest: &Manifest) -> Result<()> {
    for stage in &manifest.stages {
        let package = workbench.join(stage.package());
        let path = package.join("Cargo.toml");
        let mut text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = target(stage);
        text += &format!("\n[[test]]\nname = \"{name}\"\npath = \"{FOLDER}/lib.rs\"\n");
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        let first = package.join(FOLDER).join("lib.rs");
        if !first.exists() {
            fs::create_dir_all(package.join(FOLDER))?;
            fs::write(first, "")?;
        }
    }
    Ok(())
}

/// Returns the name of the test target.
pub(super) fn target(stage: &Stage) -> String {
    stage.package().replace('-', "_")
}
