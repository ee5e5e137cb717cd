//! Checks whether a manifest fits the code, the tests and the book beside it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::hunt::bug_of;
use crate::item::{ItemPath, test_names};
use crate::listing;
use crate::manifest::claim::TESTS;
use crate::manifest::{Exercise, Hunt, Manifest, Problem, Stage, simple, unit};

/// How many lines of the reference an exercise may ask for.
const LINES: std::ops::RangeInclusive<usize> = 4..=40;

/// Describes every mismatch.
///
/// # Errors
///
/// Fails if the tests cannot be read.
pub(super) fn problems(manifest: &Manifest, root: &Path) -> Result<Vec<Problem>> {
    let mut found = Vec::new();
    for stage in &manifest.stages {
        let tests = tests_of(root, stage)?;
        for exercise in &stage.exercises {
            found.extend(item_problems(root, stage, exercise));
            found.extend(missing_chapter(root, exercise));
        }
        for hunt in &stage.hunts {
            found.extend(hunt_problems(root, stage, hunt));
        }
        found.extend(TESTS.unmatched(stage, &tests));
        found.extend(orphans(stage, &tests));
        found.extend(run_problems(stage, &tests));
    }
    found.extend(simple::problems(manifest, root)?);
    found.extend(unit::problems(manifest, root)?);
    Ok(found)
}

/// Finds the exercise of a test: the one with the longest prefix that fits its name.
pub fn owner_of<'a>(stage: &'a Stage, test: &str) -> Option<&'a Exercise> {
    TESTS.owner(stage, last_segment(test))
}

/// Returns the name of a test without its modules.
pub fn last_segment(test: &str) -> &str {
    test.rsplit("::").next().unwrap_or(test)
}

/// Returns the names of the tests that judge an exercise.
///
/// # Errors
///
/// Fails if the tests cannot be read.
pub fn tests_of_exercise(root: &Path, stage: &Stage, exercise: &Exercise) -> Result<Vec<String>> {
    let mut tests = tests_of(root, stage)?;
    tests.retain(|test| owner_of(stage, test).is_some_and(|owner| owner.id() == exercise.id()));
    Ok(tests)
}

/// Reads the names of a stage's tests out of `tests/stageN.rs` and the folder beside it.
///
/// # Errors
///
/// Fails if the tests cannot be read.
pub fn tests_of(root: &Path, stage: &Stage) -> Result<Vec<String>> {
    let folder = root.join("tests");
    let mut files = vec![folder.join(format!("{}.rs", stage.id()))];
    let topics = folder.join(stage.id());
    if topics.is_dir() {
        files.extend(listing::below(&topics, "rs")?);
    }
    let mut names = Vec::new();
    for file in files {
        let source = fs::read_to_string(&file)
            .with_context(|| format!("cannot read the tests in {}", file.display()))?;
        let of_file = test_names(&source).with_context(|| format!("in {}", file.display()))?;
        names.extend(of_file);
    }
    Ok(names)
}

fn item_problems(root: &Path, stage: &Stage, exercise: &Exercise) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut lines = 0;
    for item in &exercise.items {
        let counted = item.as_ref().parse::<ItemPath>().and_then(|path| {
            anyhow::ensure!(
                path.package() == Some(stage.package()),
                "{path} is not in {}",
                stage.package()
            );
            lines_of(&path, root)
        });
        match counted {
            Ok(count) => lines += count,
            Err(error) => found.push(Problem::new(
                item,
                format!("exercise {}: {error:#}", exercise.id()),
            )),
        }
    }
    if found.is_empty() && !LINES.contains(&lines) {
        let (least, most) = (LINES.start(), LINES.end());
        let text = format!(
            "exercise {} asks for {lines} lines: {least} to {most} are wanted",
            exercise.id()
        );
        found.push(Problem::new(&exercise.id, text));
    }
    found
}

/// Counts the lines between the braces of a function; comments and empty lines do not count.
fn lines_of(item: &ItemPath, root: &Path) -> Result<usize> {
    let (source, function) = item.read(root)?;
    let body = &source[function.body.start + 1..function.body.end - 1];
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    Ok(body.lines().filter(is_code).count())
}

/// Checks that a hunt has its report, and a kept script that names a wrong solution of its stage.
fn hunt_problems(root: &Path, stage: &Stage, hunt: &Hunt) -> Vec<Problem> {
    let mut found = Vec::new();
    if !root.join(hunt.report()).is_file() {
        let text = format!("there is no {}", hunt.report().display());
        found.push(Problem::new(&hunt.name, text));
    }
    if let Err(error) = bug_of(root, stage, hunt) {
        found.push(Problem::new(&hunt.name, format!("{error:#}")));
    }
    found
}

fn missing_chapter(root: &Path, exercise: &Exercise) -> Option<Problem> {
    let chapter = root.join("book/src").join(exercise.chapter.as_ref());
    let text = || format!("the book has no chapter {}", exercise.chapter.as_ref());
    (!chapter.is_file()).then(|| Problem::new(&exercise.chapter, text()))
}

fn run_problems(stage: &Stage, tests: &[String]) -> Vec<Problem> {
    let Some(runs) = &stage.runs else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let from = runs.from.as_ref();
    if !stage.exercises.iter().any(|one| one.id() == from) {
        let text = format!("{} has no exercise {from}", stage.id());
        found.push(Problem::new(&runs.from, text));
    }
    if !tests.contains(runs.test.as_ref()) {
        let text = format!("there is no test {}", runs.test.as_ref());
        found.push(Problem::new(&runs.test, text));
    }
    found
}

fn orphans(stage: &Stage, tests: &[String]) -> Vec<Problem> {
    let is_orphan = |test: &&String| TESTS.is_orphan(stage, last_segment(test));
    let problem = |test| {
        let text = format!("the test {test} of {} belongs to no exercise", stage.id());
        Problem::new(&stage.id, text)
    };
    tests.iter().filter(is_orphan).map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
[[stage]]
id = "stage1"
package = "stage1-x"
title = "X"
ungraded = ["e11_show_"]
[[stage.exercise]]
id = "1.1"
title = "One"
points = 99
minutes = 1
chapter = "x.md"
items = ["stage1-x/src/lib.rs::one"]
tests = ["e11_"]
needs = []
hints = ["a", "b", "c"]
[[stage.exercise]]
id = "1.2"
title = "Two"
points = 1
minutes = 1
chapter = "x.md"
items = ["stage1-x/src/lib.rs::two"]
tests = ["e12_", "e11_row_"]
needs = []
hints = ["a", "b", "c"]
"#;
    const CODE: &str =
        "fn one() {\n 1;\n 2;\n 3;\n // no code\n\n 4;\n}\nfn two() { 1;\n2;\n3;\n4; }\n";
    const TESTS: &str = "#[test] fn e11_a() {}\n#[test] fn e11_row_b() {}\n#[test] fn e11_show_c() {}\n#[test] fn e12_d() {}\n";

    fn workspace(code: &str, tests: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            (super::super::FILE, MANIFEST),
            ("stage1-x/src/lib.rs", code),
            ("tests/stage1.rs", tests),
            ("book/src/x.md", "x"),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn a_manifest_that_fits_is_taken() {
        let folder = workspace(CODE, TESTS);
        Manifest::load_checked(folder.path()).unwrap();
    }

    #[test]
    fn the_longest_beginning_decides() {
        let manifest = Manifest::parse(MANIFEST).unwrap();
        let owner = |test| owner_of(&manifest.stages[0], test).map(Exercise::id);
        assert_eq!(owner("e11_a"), Some("1.1"));
        assert_eq!(owner("module::e11_row_b"), Some("1.2"));
        assert_eq!(owner("e11_show_c"), None);
        assert_eq!(owner("e99_x"), None);
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_line() {
        let table = [
            (
                CODE.replace("fn two", "fn too"),
                TESTS.to_owned(),
                "course.toml:23: exercise 1.2: there is no function",
            ),
            (
                CODE.replace("fn two()", "const fn two()"),
                TESTS.to_owned(),
                "const fn",
            ),
            (
                CODE.replace("2;\n3;\n4; }", "}"),
                TESTS.to_owned(),
                "course.toml:18: exercise 1.2 asks for 1 lines",
            ),
            (
                CODE.to_owned(),
                TESTS.replace("e12_d", "e13_d"),
                "course.toml:24: no test begins with \"e12_\"",
            ),
            (
                CODE.to_owned(),
                format!("{TESTS}#[test] fn other() {{}}"),
                "the test other of stage1 belongs to no exercise",
            ),
        ];
        for (code, tests, expected) in table {
            let folder = workspace(&code, &tests);
            let error = Manifest::load_checked(folder.path())
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
