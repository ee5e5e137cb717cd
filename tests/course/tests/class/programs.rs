//! `cargo course grade --all CLASS --scratch`: a class with programs in C, one right, one with a fault, three that give nothing
//! to run.
//!
//! The tests of stage 1 are built beside those of other commands, because that takes minutes and is done once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::class_csv;

/// The parts of our own server in C.
const SOURCES: [&str; 5] = ["stage1-server.c", "lines.c", "lines.h", "net.c", "net.h"];
/// How a submission may say how its program is built.
const MAKEFILE: &str = "stage1-server: stage1-server.c lines.c net.c\n\tcc -std=gnu11 -o $@ $^\n";
const RECIPE: &str = "[stage1]\nbuild = \"cc -std=gnu11 -o server stage1-server.c lines.c net.c\"\nprogram = \"server\"\n";

fn course() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Creates a submission of files.
fn submit(class: &Path, name: &str, files: &[(&str, &str)]) {
    let folder = class.join(name);
    fs::create_dir_all(&folder).unwrap();
    for (file, text) in files {
        fs::write(folder.join(file), text).unwrap();
    }
}

fn make_class(class: &Path) {
    let read = |name: &&str| {
        let text = fs::read_to_string(course().join("tests/scratch/c").join(name)).unwrap();
        (name.to_string(), text)
    };
    let ours: Vec<_> = SOURCES.iter().map(read).collect();
    let mut right: Vec<_> = ours.iter().map(|(name, text)| (&**name, &**text)).collect();
    let reverses = "reverse(lines->bytes + lines->answers, lines->used - lines->answers);\n    lines->answers = ";
    let wrong = ours[1].1.replace(reverses, "lines->answers = ");
    assert_ne!(ours[1].1, wrong, "the fault is in the code");
    right.push(("Makefile", MAKEFILE));
    submit(class, "anna", &right);
    right.pop();
    right[1].1 = &wrong;
    right.push(("course-scratch.toml", RECIPE));
    submit(class, "ben", &right);
    submit(
        class,
        "carl",
        &[
            ("course-scratch.toml", RECIPE),
            ("stage1-server.c", "int main(void) { return oops; }"),
        ],
    );
    submit(
        class,
        "dora",
        &[("README.md", "I have written nothing yet.")],
    );
    let thief = format!(
        "[stage1]\nbuild = \"cp {}/course.toml stolen\"\nprogram = \"server\"\n",
        course().canonicalize().unwrap().display()
    );
    submit(
        class,
        "emil",
        &[("course-scratch.toml", &thief), ("server", "#!/bin/sh\n")],
    );
}

fn grade(arguments: &[&Path]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
    let output = command.args(["grade", "--scratch=stage1"]).args(arguments);
    let output = output.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[test]
fn a_class_of_programs_is_graded_by_milestones() {
    if Command::new("cc").arg("--version").output().is_err() {
        eprintln!("skipped: there is no C compiler");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (class, out) = (folder.path().join("class"), folder.path().join("out"));
    make_class(&class);
    grade(&["--all".as_ref(), &class, "--out".as_ref(), &out]);
    let csv = class_csv(&out);
    let lines: Vec<_> = csv.lines().collect();
    assert!(
        lines[0].starts_with("name,total,stage1,1.1 points,"),
        "{csv}"
    );
    assert_eq!(
        lines[1],
        "anna,100,100,10,15,25,20,20,10,passed,passed,passed,passed,passed,passed"
    );
    assert!(
        lines[2].starts_with("ben,") && lines[2].contains("failed"),
        "{csv}"
    );
    assert!(
        lines[2].contains(",10,15,0,"),
        "the milestone of lines is missed: {csv}"
    );
    assert!(
        lines[3].starts_with("carl,0,0,") && !lines[3].contains("passed"),
        "{csv}"
    );
    assert!(lines[4].starts_with("dora,0,0,"), "{csv}");

    let report = |name: &str| fs::read_to_string(out.join(name).join("report.txt")).unwrap();
    assert!(
        report("carl").contains("ended with 1:") && report("carl").contains("oops"),
        "{}",
        report("carl")
    );
    assert!(
        report("dora").contains("neither a course-scratch.toml nor a Makefile"),
        "{}",
        report("dora")
    );
    if report("emil").contains("read-only file system") {
        assert!(
            report("emil").contains("cp: cannot"),
            "the course is out of sight: {}",
            report("emil")
        );
    }
    one_submission(&class.join("carl"), folder.path());
}

/// Grades one submission, with files for Gradescope and for others.
fn one_submission(submission: &Path, folder: &Path) {
    let (results, junit) = (folder.join("results.json"), folder.join("junit.xml"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
    command.args(["grade", "--scratch=stage1"]).arg(submission);
    command
        .arg("--results")
        .arg(&results)
        .arg("--junit")
        .arg(&junit);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "nothing could be graded");
    let value: Value = serde_json::from_str(&fs::read_to_string(results).unwrap()).unwrap();
    assert_eq!(
        (&value["score"], &value["tests"][2]["name"]),
        (&0.into(), &"lines".into())
    );
    assert!(
        value["tests"][2]["output"]
            .as_str()
            .unwrap()
            .contains("oops")
    );
    assert!(
        fs::read_to_string(junit)
            .unwrap()
            .contains("could not build")
    );
}
