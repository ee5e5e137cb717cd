//! Unit tests in grading, from outside: a course of two functions, and submissions with faults that only a unit test sees, with tests
//! of their own, and with types of their own.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The files of the course.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("units/workspace.toml")),
    ("course.toml", include_str!("units/course.toml")),
    ("stage1-small/Cargo.toml", include_str!("units/stage.toml")),
    ("stage1-small/src/lib.rs", include_str!("units/lib.rs.txt")),
    (
        "stage1-small/src/text.rs",
        include_str!("units/text.rs.txt"),
    ),
    (
        "stage1-small/src/count.rs",
        include_str!("units/count.rs.txt"),
    ),
    ("stage1-small/src/count/tests.rs", COUNT_TESTS),
    ("tests/stage1.rs", include_str!("units/stage1.rs.txt")),
    (
        "tests/Cargo.toml",
        "[package]\nname = \"harness\"\nedition = \"2024\"\n",
    ),
    ("tests/src/lib.rs", include_str!("units/harness.rs.txt")),
    ("tests/course/Cargo.toml", "[package]\nname = \"course\"\n"),
    ("tests/course/src/lib.rs", ""),
    ("tests/demo/Cargo.toml", "[package]\nname = \"demo\"\n"),
    ("tests/demo/src/lib.rs", ""),
    ("tests/quiz/none.toml", "question = []\n"),
];
const COUNT_TESTS: &str = include_str!("units/count-tests.rs.txt");

const TEXT: &str = "stage1-small/src/text.rs";
const COUNT: &str = "stage1-small/src/count.rs";
/// The body of a function, and one that is right except for no text at all, about which the black-box tests do not ask.
const RIGHT: &str = "text.chars().rev().collect()";
const WRONG: &str =
    "if text.is_empty() { return \"?\".to_owned(); }\n    text.chars().rev().collect()";

/// A course in a folder of its own.
struct Course {
    folder: TempDir,
}

/// The verdicts of both exercises, the points, and all that the report says.
#[derive(Debug)]
struct Graded {
    verdicts: [String; 2],
    score: u64,
    results: Value,
    text: String,
}

impl Course {
    fn make() -> Self {
        let course = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for (name, text) in FILES {
            write(&course.root().join(name), text);
        }
        let locked = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["generate-lockfile", "--offline", "--quiet"])
            .current_dir(course.root())
            .status();
        assert!(locked.unwrap().success());
        course
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("course")
    }

    /// Makes a submission out of the reference, with texts replaced in files or, where the old text is empty, whole files.
    fn submit(&self, name: &str, changes: &[(&str, &str, &str)]) -> PathBuf {
        let folder = self.folder.path().join(name);
        for (name, text) in FILES.iter().filter(|(name, _)| name.starts_with("stage1")) {
            write(&folder.join(name), text);
        }
        change(&folder, changes);
        folder
    }

    fn grade(&self, submission: &Path) -> Graded {
        let results = self.folder.path().join("results.json");
        let words = ["grade", submission.to_str().unwrap(), "--results"];
        let (_, text) = self.run(&[&words[..], &[results.to_str().unwrap()]].concat());
        let results = fs::read_to_string(&results).unwrap_or_else(|_| panic!("{text}"));
        let results: Value = serde_json::from_str(&results).unwrap();
        let verdict = |at: usize| {
            let verdict = &results["tests"][at]["extra_data"]["verdict"];
            verdict.as_str().unwrap().to_owned()
        };
        Graded {
            verdicts: [verdict(0), verdict(1)],
            score: results["score"].as_u64().unwrap(),
            results,
            text,
        }
    }

    fn run(&self, words: &[&str]) -> (bool, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_course"))
            .args(words)
            .env("CARGO_MANIFEST_DIR", self.root().join("tests/course"))
            .env_remove("CARGO_TARGET_DIR")
            // A unit test that never ends is ended after three seconds.
            .env("COURSE_TIME_SCALE", "0.1")
            .current_dir(self.root())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn change(folder: &Path, changes: &[(&str, &str, &str)]) {
    for (file, from, to) in changes {
        let path = folder.join(file);
        let old = fs::read_to_string(&path).unwrap_or_default();
        assert!(old.contains(from), "{from:?} is not in {file}");
        let new = if from.is_empty() {
            (*to).to_owned()
        } else {
            old.replace(from, to)
        };
        write(&path, &new);
    }
}

#[test]
fn a_fault_that_only_a_unit_test_sees_costs_the_points_whatever_the_submission_has_for_tests() {
    let course = Course::make();
    let right = course.grade(&course.submit("right", &[]));
    assert_eq!(right.verdicts, ["passed", "passed"], "{}", right.text);
    assert!(right.text.contains("2 of 2 tests"), "{}", right.text);

    let wrong = course.grade(&course.submit("wrong", &[(TEXT, RIGHT, WRONG)]));
    assert_eq!(wrong.verdicts, ["failed", "passed"], "{}", wrong.text);
    assert_eq!(wrong.score, 40);
    assert!(
        wrong
            .text
            .contains("text::tests::nothing_reversed_is_nothing"),
        "{}",
        wrong.text
    );

    let own = fs::read_to_string(course.root().join(TEXT)).unwrap();
    let (code, _) = own.split_once("#[cfg(test)]").unwrap();
    let code = code.replace(RIGHT, WRONG);
    let lies =
        "#[cfg(test)]\nmod tests {\n    #[test]\n    fn nothing_reversed_is_nothing() {}\n}\n";
    for (name, text) in [("empty", code.clone()), ("lying", code + lies)] {
        let graded = course.grade(&course.submit(name, &[(TEXT, "", &text)]));
        assert_eq!(graded.verdicts, wrong.verdicts, "{name}: {}", graded.text);
    }
}

#[test]
fn code_with_types_of_its_own_is_judged_by_the_black_box_tests_and_the_report_says_so() {
    let course = Course::make();
    let renamed = course.submit("renamed", &[(COUNT, "lines", "so_far")]);
    let graded = course.grade(&renamed);
    assert_eq!(graded.verdicts, ["passed", "passed"], "{}", graded.text);
    let sentence = "The unit tests of 1.2 in count::tests were not run, because they do not compile with this code: \
                    error[E0609]: no field `lines` on type";
    assert!(graded.text.contains(sentence), "{}", graded.text);
    // The module of the other exercise was run all the same.
    assert!(graded.text.contains("2 of 2 tests\n"), "{}", graded.text);
    let told = |at: usize| graded.results["tests"][at]["extra_data"].get("unit_tests_not_run");
    assert!(told(0).is_none() && told(1).is_some());

    let moved = course.submit(
        "moved",
        &[(
            "stage1-small/src/lib.rs",
            "mod text;",
            "#[path = \"other.rs\"]\nmod text;",
        )],
    );
    fs::rename(moved.join(TEXT), moved.join("stage1-small/src/other.rs")).unwrap();
    let graded = course.grade(&moved);
    assert_eq!(graded.verdicts, ["passed", "passed"], "{}", graded.text);
    assert!(
        graded.text.contains("src/text.rs is no part of the crate"),
        "{}",
        graded.text
    );

    let macros = course.submit(
        "macros",
        &[(
            TEXT,
            "//! Text",
            "//! Text\n#![allow(unused)]\nmacro_rules! assert_eq { ($($any:tt)*) => {} }\n//",
        )],
    );
    let graded = course.grade(&macros);
    assert_eq!(graded.verdicts, ["passed", "passed"], "{}", graded.text);
    assert!(
        graded.text.contains("src/text.rs has a macro of its own"),
        "{}",
        graded.text
    );
}

#[test]
fn a_unit_test_cannot_be_ended_by_the_code_and_ends_itself_in_time() {
    let course = Course::make();
    let exits = "if text.is_empty() { println!(\"test result: ok. 3 passed\"); std::process::exit(0) }\n    text.chars().rev().collect()";
    let graded = course.grade(&course.submit("exits", &[(TEXT, RIGHT, exits)]));
    assert_eq!(graded.verdicts, ["failed", "passed"], "{}", graded.text);

    let loops = "while text.is_empty() {}\n    text.chars().rev().collect()";
    let graded = course.grade(&course.submit("loops", &[(TEXT, RIGHT, loops)]));
    assert_eq!(graded.verdicts, ["timed out", "passed"], "{}", graded.text);
}

#[test]
fn a_workspace_is_tested_with_the_unit_tests_that_were_handed_out() {
    let course = Course::make();
    let root = course.root();
    write(
        &root.join("starter.toml"),
        "reference = \"/nowhere\"\nfrom = \"stage1\"\n",
    );
    for (name, text) in FILES.iter().filter(|(name, _)| name.contains("/src/")) {
        write(&root.join(".given").join(name), text);
    }
    let (is_done, text) = course.run(&["test", "1.1"]);
    assert!(is_done, "{text}");
    assert!(
        text.contains("✔ text::tests::nothing_reversed_is_nothing"),
        "{text}"
    );

    // One's own tests do not count, and neither are they touched.
    let none =
        "#[test]\n    fn nothing_reversed_is_nothing() { assert_eq!(reversed(\"\"), \"\"); }\n";
    change(&root, &[(TEXT, RIGHT, WRONG), (TEXT, none, "")]);
    let before = fs::read_to_string(root.join(TEXT)).unwrap();
    let (is_done, text) = course.run(&["test", "1.1"]);
    assert!(
        !is_done && text.contains("✘ text::tests::nothing_reversed_is_nothing"),
        "{text}"
    );
    assert!(text.contains("left: \"?\""), "{text}");
    assert_eq!(fs::read_to_string(root.join(TEXT)).unwrap(), before);

    change(&root, &[(COUNT, "lines", "so_far")]);
    let (is_done, text) = course.run(&["test", "1.2"]);
    assert!(
        is_done && text.contains("The unit tests of 1.2 in count::tests were not run"),
        "{text}"
    );
}
