//! Unit tests and the exercises that they belong to: the keys `unit` of an exercise and `ungraded_unit` of a stage.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::manifest::claim::UNIT_TESTS;
use crate::manifest::{Exercise, Manifest, Problem, Stage};
use crate::unit::{self, TestModule};

/// Finds the exercise of a unit test: the one with the longest prefix that fits its path.
pub fn owner_of<'a>(stage: &'a Stage, path: &str) -> Option<&'a Exercise> {
    UNIT_TESTS.owner(stage, path)
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
        let tests: Vec<_> = modules.iter().flat_map(tests_of).collect();
        found.extend(UNIT_TESTS.unmatched(stage, &tests));
        found.extend(unclaimed(stage, &modules)?);
    }
    Ok(found)
}

/// Finds the tests in files with functions of exercises that belong to no exercise and are not called ungraded either.
fn unclaimed(stage: &Stage, modules: &[TestModule]) -> Result<Vec<Problem>> {
    let mut files: BTreeSet<PathBuf> = BTreeSet::new();
    for exercise in &stage.exercises {
        files.extend(exercise.items()?.into_iter().map(|item| item.file));
    }
    let src = Path::new(stage.package()).join("src");
    let is_beside = |module: &&TestModule| files.contains(&src.join(&module.file));
    let problem = |test| {
        let text = format!(
            "the unit test {test} of {} belongs to no exercise, and ungraded_unit does not name it",
            stage.id()
        );
        Problem::new(&stage.id, text)
    };
    let beside = modules.iter().filter(is_beside).flat_map(tests_of);
    let orphans = beside.filter(|test| UNIT_TESTS.is_orphan(stage, test));
    Ok(orphans.map(problem).collect())
}

fn tests_of(module: &TestModule) -> impl Iterator<Item = &str> {
    module.tests.iter().map(String::as_str)
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
