//! A submission of programs from an empty file: how each is built, and where it is then.
//!
//! ```text
//!   course-scratch.toml     [stage1]                        or only a Makefile: `make` builds programs that are
//!                           build = "make server"           named as ours: stage1-server, stage2-client, ...
//!                           program = "server"
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::grade::files;
use crate::run::guard::Guard;
use crate::run::recipe;
use course::listing;
use course::manifest::{Manifest, Stage};

/// The file that names the programs.
pub(crate) const FILE: &str = "course-scratch.toml";
/// The file that is enough where the programs have the usual names.
const MAKEFILE: &str = "Makefile";
/// The most bytes of a file beside the folders.
const BYTES: u64 = 1 << 20;

/// How the program of a stage is built, and where it is then.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Recipe {
    /// A command of the shell; a script needs none.
    build: Option<String>,
    /// The executable, below the submission's folder.
    program: PathBuf,
}

/// A submission, copied to where it is built.
#[derive(Debug)]
pub(crate) struct Handin {
    folder: PathBuf,
    recipes: BTreeMap<String, Recipe>,
    /// What the build commands have said, so that one that several stages share runs once.
    built: BTreeMap<String, Result<(), String>>,
}

impl Handin {
    /// Copies a submission to `folder`, which is emptied first, and reads its recipes.
    ///
    /// The error is a sentence for the student: there is no recipe, or a file cannot be taken.
    pub(crate) fn take(submission: &Path, folder: &Path, manifest: &Manifest) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        for path in parts(submission)? {
            let to = folder.join(path.file_name().unwrap_or_default());
            if path.is_symlink() {
                // A link could lead to the reference.
                anyhow::bail!("{} is a link", path.display());
            } else if path.is_dir() {
                files::replace(&path, &to)?;
                keep_modes(&path, &to)?;
            } else {
                let is_small = path.metadata()?.len() <= BYTES;
                ensure!(is_small, "{} is too large", path.display());
                fs::copy(&path, &to)?;
            }
        }
        recipe::open_to_all(folder)?;
        Ok(Self {
            recipes: recipes(folder, manifest)?,
            folder: folder.canonicalize()?,
            built: BTreeMap::new(),
        })
    }

    /// Builds the program of a stage and returns where it is, or a sentence for the student.
    ///
    /// # Errors
    ///
    /// Fails if a build cannot be started, which is not the student's fault.
    pub(crate) fn program(
        &mut self,
        stage: &Stage,
        guard: &Guard,
    ) -> Result<Result<PathBuf, String>> {
        let Some(recipe) = self.recipes.get(stage.id()).cloned() else {
            return Ok(Err(format!(
                "{FILE} names no program for {}, so there is nothing to run",
                stage.id()
            )));
        };
        if let Some(command) = &recipe.build
            && let Err(why) = self.build(command, guard)?
        {
            return Ok(Err(why));
        }
        Ok(self.find(&recipe.program))
    }

    fn build(&mut self, command: &str, guard: &Guard) -> Result<Result<(), String>> {
        if let Some(said) = self.built.get(command) {
            return Ok(said.clone());
        }
        let said = guard.build_by(command, &self.folder)?;
        self.built.insert(command.to_owned(), said.clone());
        Ok(said)
    }

    /// Finds a program that was built; it must be a file of the submission, because a link could lead to the reference.
    fn find(&self, program: &Path) -> Result<PathBuf, String> {
        let name = program.display();
        let Ok(path) = self.folder.join(program).canonicalize() else {
            return Err(format!(
                "there is no program {name} in the submission after its build"
            ));
        };
        let is_executable = |path: &Path| {
            let mode = path.metadata().map(|it| it.permissions().mode());
            path.is_file() && mode.is_ok_and(|mode| mode & 0o111 != 0)
        };
        if !path.starts_with(&self.folder) {
            Err(format!("{name} leads out of the submission"))
        } else if !is_executable(&path) {
            Err(format!(
                "{name} is no executable file: a script needs a first line with #! and `chmod +x`"
            ))
        } else {
            Ok(path)
        }
    }
}

/// Lists the files and folders of a submission that count, in the order of their names: all that are not hidden.
///
/// # Errors
///
/// Fails if the folder cannot be read.
pub(crate) fn parts(submission: &Path) -> Result<Vec<PathBuf>> {
    let mut found = listing::entries(submission)?;
    let is_hidden = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with('.')
    };
    found.retain(|path| !is_hidden(path));
    Ok(found)
}

/// Copies the permissions of the files in a folder, because a script is executable before its build.
fn keep_modes(from: &Path, to: &Path) -> Result<()> {
    for path in listing::entries(from)? {
        let copy = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() && copy.is_dir() {
            keep_modes(&path, &copy)?;
        } else if copy.is_file() {
            fs::set_permissions(&copy, path.metadata()?.permissions())?;
        }
    }
    Ok(())
}

fn recipes(folder: &Path, manifest: &Manifest) -> Result<BTreeMap<String, Recipe>> {
    let path = folder.join(FILE);
    if path.is_file() {
        let text = fs::read_to_string(&path)?;
        let recipes: BTreeMap<String, Recipe> =
            toml::from_str(&text).map_err(|error| anyhow::anyhow!("{FILE}: {error}"))?;
        for id in recipes.keys() {
            manifest
                .stage(id)
                .map_err(|error| anyhow::anyhow!("{FILE}: {error}"))?;
        }
        return Ok(recipes);
    }
    ensure!(
        folder.join(MAKEFILE).is_file(),
        "the submission has neither a {FILE} nor a {MAKEFILE}, so it cannot be built"
    );
    let by_make = |stage: &Stage| {
        let recipe = Recipe {
            build: Some("make".to_owned()),
            program: stage.package().into(),
        };
        (stage.id().to_owned(), recipe)
    };
    Ok(manifest.stages.iter().map(by_make).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use course::workspace;

    fn take(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Handin>) {
        let folder = tempfile::tempdir().unwrap();
        let submission = folder.path().join("anna");
        fs::create_dir(&submission).unwrap();
        for (name, text) in files {
            fs::write(submission.join(name), text).unwrap();
        }
        let manifest = Manifest::load(&workspace::root().unwrap()).unwrap();
        let handin = Handin::take(&submission, &folder.path().join("built"), &manifest);
        (folder, handin)
    }

    #[test]
    fn a_makefile_alone_makes_programs_with_the_usual_names() {
        let (_folder, handin) = take(&[("Makefile", "all:\n")]);
        let recipe = handin.unwrap().recipes["stage2"].clone();
        assert_eq!(recipe.build.as_deref(), Some("make"));
        assert_eq!(recipe.program, Path::new("stage2-client"));
    }

    #[test]
    fn each_mistake_has_its_sentence() {
        let table: [(&[(&str, &str)], &str); 4] = [
            (&[("main.c", "")], "neither a course-scratch.toml nor"),
            (&[(FILE, "[stage1]\n")], "missing field `program`"),
            (&[(FILE, "[stage9]\nprogram = \"x\"\n")], "stage9"),
            (&[(FILE, "[stage1]\nprogram = 1\n")], "expected"),
        ];
        for (files, words) in table {
            let (_folder, handin) = take(files);
            let why = format!("{:#}", handin.unwrap_err());
            assert!(why.contains(words), "{why}");
        }
    }

    #[test]
    fn a_program_is_an_executable_file_of_the_submission() {
        let recipe = "[stage1]\nprogram = \"server.py\"\n";
        let (_folder, handin) = take(&[(FILE, recipe), ("server.py", "#!/bin/sh\n")]);
        let handin = handin.unwrap();
        let find = |name: &str| handin.find(Path::new(name));
        assert!(find("server.py").unwrap_err().contains("chmod +x"));
        assert!(find("gone").unwrap_err().contains("there is no program"));
        assert!(find("/bin/sh").unwrap_err().contains("leads out"));
        let path = handin.folder.join("server.py");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find("server.py"), Ok(path));
    }
}
