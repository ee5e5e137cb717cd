//! Unit tests and the exercises that they belong to: the keys `unit` of an exercise and `ungraded_unit` of a stage.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use toml::Spanned;

use crate::manifest::claim::{best, claim};
use crate::manifest::{Exercise, Manifest, Problem, Stage};
use crate::unit::{self, TestModule};

/// Finds the exercise of a unit test: the one with the longest prefix that fits its path.
pub fn owner_of<'a>(stage: &'a Stage, path: &str) -> Option<&'a Exercise> {
    let best = best(stage, |exercise| claim(&exercise.unit, path))?;
    let ungraded = claim(&stage.ungraded_unit, path);
    (ungraded < Some(best.0)).then_some(best.1)
}

/// Describes prefixes that fit no unit test, and unit tests beside the functions of exercises that nothing claims.
///
/// # Errors
///
/// Fails if the source of a stage cannot be read.
pub(super) fn problems(manifest: &Manifest, root: &Path) -> Result<Vec<Problem>> {
    let mut found = Vec::new();
    for stage in &manifest.stages {
        let sources = unit::read(&root.join(stage.package()).join("src"))?;
        let modules = unit::modules(&sources)?;
        for prefixes in stage.exercises.iter().map(|one| &one.unit) {
            found.extend(unmatched(prefixes, &modules));
        }
        found.extend(unmatched(&stage.ungraded_unit, &modules));
        found.extend(unclaimed(stage, &modules)?);
    }
    Ok(found)
}

fn unmatched(prefixes: &[Spanned<String>], modules: &[TestModule]) -> Vec<Problem> {
    let nothing = |prefix: &&Spanned<String>| {
        let mut tests = modules.iter().flat_map(|module| &module.tests);
        !tests.any(|test| test.starts_with(prefix.as_ref().as_str()))
    };
    let problem = |prefix| {
        let text = AsRef::<String>::as_ref(prefix);
        Problem::new(prefix, format!("no unit test begins with {text:?}"))
    };
    prefixes.iter().filter(nothing).map(problem).collect()
}

/// Finds the tests in files with functions of exercises that belong to no exercise and are not called ungraded either.
fn unclaimed(stage: &Stage, modules: &[TestModule]) -> Result<Vec<Problem>> {
    let mut files: BTreeSet<PathBuf> = BTreeSet::new();
    for exercise in &stage.exercises {
        files.extend(exercise.items()?.into_iter().map(|item| item.file));
    }
    let src = Path::new(stage.package()).join("src");
    let is_beside = |module: &&TestModule| files.contains(&src.join(&module.file));
    let is_open = |test: &&String| {
        owner_of(stage, test).is_none() && claim(&stage.ungraded_unit, test).is_none()
    };
    let problem = |test: &String| {
        let text = format!(
            "the unit test {test} of {} belongs to no exercise, and ungraded_unit does not name it",
            stage.id()
        );
        Problem::new(&stage.id, text)
    };
    let beside = modules.iter().filter(is_beside);
    let open = beside.flat_map(|module| &module.tests).filter(is_open);
    Ok(open.map(problem).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MANIFEST: &str = r#"
[[stage]]
id = "stage1"
package = "stage1-x"
title = "X"
ungraded_unit = ["lib::tests::b_"]
[[stage.exercise]]
id = "1.1"
title = "One"
points = 99
minutes = 1
chapter = "x.md"
items = ["stage1-x/src/lib.rs::one"]
tests = ["e11_"]
unit = ["tests::"]
needs = []
hints = ["a", "b", "c"]
[[stage.exercise]]
id = "1.2"
title = "Two"
points = 1
minutes = 1
chapter = "x.md"
items = ["stage1-x/src/lib.rs::two"]
tests = ["e12_"]
unit = ["tests::a_two"]
needs = []
hints = ["a", "b", "c"]
"#;

    fn problems_of(manifest: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let src = folder.path().join("stage1-x/src");
        fs::create_dir_all(&src).unwrap();
        let tests = "#[cfg(test)]\nmod tests {\n#[test] fn a_one() {}\n#[test] fn a_two() {}\n#[test] fn b_many() {}\n}\n";
        fs::write(src.join("lib.rs"), tests).unwrap();
        let manifest = Manifest::parse(manifest).unwrap();
        let found = problems(&manifest, folder.path()).unwrap();
        found.into_iter().map(|problem| problem.text).collect()
    }

    #[test]
    fn the_longest_beginning_decides_and_may_be_that_of_none() {
        let manifest = MANIFEST.replace("lib::tests", "tests");
        let parsed = Manifest::parse(&manifest).unwrap();
        let owner = |test| owner_of(&parsed.stages[0], test).map(Exercise::id);
        assert_eq!(owner("tests::a_one"), Some("1.1"));
        assert_eq!(owner("tests::a_two"), Some("1.2"));
        assert_eq!(owner("tests::b_many"), None);
        assert_eq!(owner("other::tests::a_one"), None);
        assert_eq!(problems_of(&manifest), [""; 0]);
    }

    #[test]
    fn a_test_beside_an_exercise_is_claimed_or_named_as_ungraded() {
        let nothing = "no unit test begins with \"lib::tests::b_\"";
        assert_eq!(problems_of(MANIFEST), [nothing]);
        let open = MANIFEST.replace("\"tests::\"", "\"tests::a_\"");
        let problems = problems_of(&open);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            problems[1].starts_with("the unit test tests::b_many of stage1 belongs to no exercise")
        );
    }
}
