//! The quiz from outside: printed where there is no terminal, asked at one, and remembered in the workspace.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a command at a terminal of its own: each line of the arguments' first is typed once a prompt has come.
const AT_A_TERMINAL: &str = r#"
import os, pty, sys
typed, words = sys.argv[1].encode().split(b"\n"), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execv(words[0], words)
seen, asked = b"", 0
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    if not piece:
        break
    seen += piece
    while seen.count(b"q to stop: ") > asked:
        os.write(terminal, (typed[asked] if asked < len(typed) else b"q") + b"\n")
        asked += 1
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

fn the_course() -> PathBuf {
    let course = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    course.canonicalize().unwrap()
}

/// Returns whether this test runs in a workspace, from which no other can be made.
fn is_workspace() -> bool {
    the_course().join("starter.toml").exists()
}

/// Prepares a command whose course or workspace is at `root`.
fn at(root: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(root)
        .env("CARGO_MANIFEST_DIR", root.join("tests/course"))
        .env_remove("CARGO_TARGET_DIR")
        .stdin(Stdio::null());
    command
}

/// Runs a command and returns whether it succeeded, and what it printed.
fn told(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn quiz(root: &Path, words: &[&str]) -> (bool, String) {
    told(
        at(root, env!("CARGO_BIN_EXE_course"))
            .arg("quiz")
            .args(words),
    )
}

/// Runs the quiz at a terminal, where these lines are typed.
fn typed(root: &Path, lines: &str, words: &[&str]) -> String {
    let mut command = at(root, "python3");
    command.args([
        "-c",
        AT_A_TERMINAL,
        lines,
        env!("CARGO_BIN_EXE_course"),
        "quiz",
    ]);
    let (is_done, text) = told(command.args(words));
    assert!(is_done, "{text}");
    text
}

#[test]
fn an_instructor_sees_every_question_and_its_answer() {
    if is_workspace() {
        return;
    }
    let (is_done, text) = quiz(&the_course(), &["--answers"]);
    assert!(is_done, "{text}");
    let count = text.matches(" is right. ").count();
    assert!(count >= 60, "{count} questions");
    assert_eq!(count, text.matches("  To read: ").count());
    let (is_done, text) = quiz(&the_course(), &["1.3"]);
    assert!(
        is_done && text.contains("exercise 1.3") && !text.contains("is right"),
        "{text}"
    );
    assert!(!quiz(&the_course(), &["9.9"]).0);
}

#[test]
fn a_student_is_asked_until_the_answer_is_known() {
    if is_workspace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("mine");
    let start = [
        "start",
        "--without-book",
        "--without-hunts",
        mine.to_str().unwrap(),
    ];
    let (is_done, text) = told(at(&the_course(), env!("CARGO_BIN_EXE_course")).args(start));
    assert!(is_done, "{text}");

    // Nothing has passed yet, and no answer lies open.
    assert!(quiz(&mine, &[]).1.starts_with("No question yet"));
    assert!(!quiz(&mine, &["--answers"]).0);
    let (is_done, text) = quiz(&mine, &["1.1"]);
    assert!(
        is_done && text.contains("1 of 2") && !text.contains("is right"),
        "{text}"
    );
    let veiled = fs::read_to_string(mine.join("tests/quiz/questions.hex")).unwrap();
    assert!(!veiled.contains("TIME_WAIT"));
    assert!(!mine.join("tests/quiz/stage1.toml").exists());

    // One right and one wrong answer, whichever letters these are: all letters are typed in turn.
    let mut known = 0;
    for letter in ["a", "b", "c", "d"] {
        let text = typed(&mine, &format!("{letter}\n{letter}"), &["1.1"]);
        assert!(text.contains("exercise 1.1"), "{text}");
        known = fs::read_to_string(mine.join("quiz.json"))
            .unwrap()
            .matches("\"known\": true")
            .count();
        if known == 2 {
            break;
        }
    }
    assert_eq!(known, 2);
    assert!(typed(&mine, "q", &["1.1"]).contains("2 of 2 known"));
    // Without a name, only exercises that have passed are asked about.
    assert!(typed(&mine, "q", &[]).contains("No question yet"));
}
