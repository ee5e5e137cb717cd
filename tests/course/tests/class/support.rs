//! A class, and the command that grades it.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

/// The submissions.
pub(crate) const NAMES: [&str; 5] = ["anna", "ben", "carl", "dora", "emil"];

/// Creates submissions without code; ben has a link instead, dora a file that is too large. Three have answered a question.
pub(crate) fn make_class(at: &Path) {
    for name in NAMES {
        fs::create_dir_all(at.join(name).join("stage1-server")).unwrap();
    }
    std::os::unix::fs::symlink("/etc", at.join("ben/stage1-server/src")).unwrap();
    let source = at.join("dora/stage1-server/src");
    fs::create_dir(&source).unwrap();
    for (name, letter) in [("anna", "a"), ("ben", "b"), ("emil", "c")] {
        let answer = format!("{{\"first\": \"{letter}\", \"known\": true}}");
        let text = format!("{{\"answers\": {{\"three-lines-in-a-piece\": {answer}}}}}");
        fs::write(at.join(name).join("quiz.json"), text).unwrap();
    }
    let large = File::create(source.join("lib.rs")).unwrap();
    large.set_len(2 << 20).unwrap();
}

/// Grades the class in a folder, with the results in a folder beside it.
pub(crate) fn grade(folder: &Path, out: &str, more: &[&str]) -> Command {
    let mut command = course(folder);
    command.arg("--all").arg(folder.join("class"));
    command.arg("--out").arg(folder.join(out)).args(more);
    command
}

/// Returns a command to grade, whose workbenches are in the folder.
pub(crate) fn course(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
    command
        .arg("grade")
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .stdin(Stdio::null());
    command
}

/// Reads the table of a class's exercises and questions.
pub(crate) fn items_csv(out: &Path) -> String {
    fs::read_to_string(out.join("items.csv")).unwrap()
}

/// Reads the table of a class.
pub(crate) fn class_csv(out: &Path) -> String {
    fs::read_to_string(out.join("class.csv")).unwrap()
}
