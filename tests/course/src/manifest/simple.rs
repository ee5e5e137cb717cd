//! Simple versions: what a starter has in place of the functions of an exercise, so that the student's own program runs.
//!
//! Each has a fault that the chapter is about. The student sees it, removes it, and a test that has failed passes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::item::{ItemPath, functions};
use crate::listing;
use crate::manifest::{Exercise, Manifest, Problem};

/// Where they are.
const FOLDER: &str = "tests/simple";

/// The simple version of an exercise.
#[derive(Debug)]
pub struct Simple {
    source: String,
}

impl Simple {
    /// Reads the simple version of an exercise from the course at `root`; returns `None` if it has none.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read.
    pub fn read(root: &Path, exercise: &Exercise) -> Result<Option<Self>> {
        if exercise.given.is_none() {
            return Ok(None);
        }
        let file = file(exercise.id());
        let source = fs::read_to_string(root.join(&file))
            .with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Some(Self { source }))
    }

    /// Returns the body of a function with its braces; `None` if the simple version leaves it out.
    pub fn body(&self, item: &ItemPath) -> Option<&str> {
        let function = item.find(&self.source).ok()?;
        self.source.get(function.body)
    }

    /// Checks that it has functions of the exercise and no others.
    fn check(&self, exercise: &Exercise) -> Result<()> {
        let items = exercise.items()?;
        let found = functions(&self.source)?;
        ensure!(!found.is_empty(), "there is no function in it");
        for name in found {
            ensure!(
                items.iter().any(|item| item.function() == name),
                "{name} is none of its functions"
            );
        }
        Ok(())
    }
}

/// Describes every mismatch between the manifest and the simple versions at `root`.
///
/// # Errors
///
/// Fails if the folder cannot be listed.
pub(super) fn problems(manifest: &Manifest, root: &Path) -> Result<Vec<Problem>> {
    let mut found = Vec::new();
    let (mut expected, mut last) = (Vec::new(), None);
    for (_, exercise) in manifest.exercises() {
        last = Some(exercise);
        if exercise.given.is_some() {
            expected.push(file(exercise.id()));
        }
        let simple = Simple::read(root, exercise);
        let checked = simple.and_then(|simple| simple.map_or(Ok(()), |it| it.check(exercise)));
        if let Err(error) = checked {
            let text = format!("exercise {}: its simple version: {error:#}", exercise.id());
            found.push(Problem::new(&exercise.id, text));
        }
    }
    let folder = root.join(FOLDER);
    let files = if folder.is_dir() {
        listing::below(&folder, "rs")?
    } else {
        Vec::new()
    };
    for path in files {
        let name = Path::new(FOLDER).join(path.file_name().unwrap_or_default());
        if let Some(last) = last.filter(|_| !expected.contains(&name)) {
            let text = format!("{} belongs to no exercise with `given`", name.display());
            found.push(Problem::new(&last.id, text));
        }
    }
    Ok(found)
}

fn file(id: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("{id}.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn a_body_is_found_by_the_name_of_its_function() {
        let simple = Simple {
            source: "//! Simple.\n\nimpl Thing {\n    fn one(&self) -> u8 {\n        1\n    }\n}\n"
                .to_owned(),
        };
        let body = |item: &str| {
            simple
                .body(&format!("a/src/b.rs::{item}").parse().unwrap())
                .map(str::to_owned)
        };
        assert_eq!(body("Thing::one").as_deref(), Some("{\n        1\n    }"));
        assert_eq!(body("one"), None);
    }

    #[test]
    fn a_function_of_another_exercise_is_a_problem() {
        let manifest = Manifest::load(&workspace::root().unwrap()).unwrap();
        let (_, exercise) = manifest.find("3.4").unwrap();
        let check = |source: &str| {
            Simple {
                source: source.to_owned(),
            }
            .check(exercise)
        };
        check(
            "impl<T> ClientTable<T> { fn insert(&mut self, client: T) -> Token { token(0, 0) } }",
        )
        .unwrap();
        let error = check("impl Server { fn turn(&mut self) {} }").unwrap_err();
        assert_eq!(error.to_string(), "Server::turn is none of its functions");
        assert!(check("").is_err());
    }
}
