//! Delivery, from outside: a workspace, its book, released solutions, and an update after the course was corrected.
//!
//! Nothing is compiled here: the commands of a workspace are those of this build, told where the workspace is.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The parts of the course that a workspace is made from.
const PARTS: [&str; 12] = [
    ".cargo",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "book",
    "clippy.toml",
    "course.toml",
    "tests",
    "stage1-server",
    "stage2-client",
    "stage3-epoll",
];
const MORE_PARTS: [&str; 2] = ["stage4-proxy", "stage5-mux"];

/// Runs `cargo course` in the course or workspace at `root` and returns whether it succeeded, and all that it printed.
fn course(root: &Path, words: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_course"))
        .args(words)
        .current_dir(root)
        .env("CARGO_MANIFEST_DIR", root.join("tests/course"))
        .env_remove("CARGO_TARGET_DIR")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// As [`course`], for a command that must succeed.
fn done(root: &Path, words: &[&str]) -> String {
    let (is_done, text) = course(root, words);
    assert!(is_done, "{words:?}: {text}");
    text
}

/// As [`course`], for a command that must fail and say these words.
fn refused(root: &Path, words: &[&str], why: &str) {
    let (is_done, text) = course(root, words);
    assert!(
        !is_done && text.contains(why),
        "{words:?} without {why:?}: {text}"
    );
}

fn the_course() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Returns whether this test runs in a workspace, from which no other can be made.
fn is_workspace() -> bool {
    the_course().join("starter.toml").exists()
}

/// Makes a workspace without the book.
fn start(course: &Path, folder: &Path) {
    done(
        course,
        &[
            "start",
            "--without-book",
            "--without-hunts",
            folder.to_str().unwrap(),
        ],
    );
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in from.read_dir().unwrap() {
            let name = entry.unwrap().file_name();
            if name != "target" {
                copy(&from.join(&name), &to.join(&name));
            }
        }
    } else if from.is_file() {
        fs::copy(from, to).unwrap();
    }
}

/// Replaces a text in a file.
fn edit(root: &Path, file: &str, from: &str, to: &str) {
    let path = root.join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn read(root: &Path, file: &str) -> String {
    fs::read_to_string(root.join(file)).unwrap()
}

/// Returns every file with its bytes.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_workspace_says_where_to_read_and_takes_solutions() {
    if is_workspace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("mine");
    start(&the_course(), &mine);
    it_says_where_to_read(&mine);
    solutions_are_released_one_by_one(&mine);
}

fn it_says_where_to_read(mine: &Path) {
    let told = done(mine, &["next"]);
    assert!(told.starts_with("Next: exercise 1.1"), "{told}");
    assert!(
        told.contains("read   the book's chapter stage1-server.md"),
        "{told}"
    );
    refused(mine, &["book"], "this workspace has no book");

    fs::create_dir(mine.join("book")).unwrap();
    for page in ["index.html", "stage1-server.html"] {
        fs::write(mine.join("book").join(page), page).unwrap();
    }
    let place = "book/stage1-server.html#exercise-1-1";
    for words in [&[][..], &["next"]] {
        let told = done(mine, words);
        assert!(told.contains(&format!("read   {place}\n")), "{told}");
    }
    let root = mine.canonicalize().unwrap();
    for words in [&["book", "1.1"], &["book", "next"]] {
        assert_eq!(
            done(mine, words),
            format!("file://{}/{place}\n", root.display())
        );
    }
    assert!(done(mine, &["book"]).ends_with("/book/index.html\n"));
    refused(mine, &["book", "9.9"], "there is no exercise \"9.9\"");
    refused(mine, &["book", "3.1"], "the book has no");
    let aliases = read(mine, ".cargo/config.toml");
    assert!(
        aliases.contains("book = \"run --package course -- book\""),
        "{aliases}"
    );
}

fn solutions_are_released_one_by_one(mine: &Path) {
    // As on another machine: the course is not here.
    edit(
        mine,
        "starter.toml",
        "reference = \"/",
        "reference = \"/nowhere/",
    );
    let file = mine.join("solutions.json");
    let solution = |name| course(mine, &["solution", "--spoil", name]);
    assert!(solution("1.2").1.contains("there is no solutions.json"));

    let pack = |words: &[&str]| {
        let all = [
            &["pack", "solutions", "--out", file.to_str().unwrap()],
            words,
        ]
        .concat();
        course(&the_course(), &all)
    };
    let (is_done, told) = pack(&["--upto", "1.2"]);
    assert!(
        is_done && told.contains("the solutions of 1.1, 1.2."),
        "{told}"
    );
    let (is_done, told) = solution("1.2");
    assert!(is_done && told.contains("pub fn reverse_line"), "{told}");
    for part in [
        "yours",
        "the reference's",
        "  - Bytes from the network are text.",
    ] {
        assert!(told.contains(part), "{part:?} is missing: {told}");
    }
    refused(
        mine,
        &["solution", "--spoil", "1.3"],
        "not released yet: solutions.json has 1.1, 1.2",
    );
    assert!(pack(&["--only", "3.2,1.3"]).0);
    assert!(solution("1.3").0 && !solution("1.2").0);
    assert!(!pack(&[]).0, "without --upto and --only");
    refused(
        mine,
        &["pack", "solutions", "--upto", "1.1"],
        "this is a student's workspace",
    );

    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, &text[..text.len() / 2]).unwrap();
    refused(
        mine,
        &["solution", "--spoil", "1.3"],
        "is damaged; ask your instructor",
    );
    edit(mine, "starter.toml", "edition = \"", "edition = \"f");
    fs::write(&file, text).unwrap();
    refused(
        mine,
        &["solution", "--spoil", "1.3"],
        "solutions.json is for edition",
    );
    refused(
        mine,
        &["solution", "--spoil", "--file", "gone", "1.3"],
        "cannot read gone",
    );
}

/// A copy of the course with corrections: a signature, a doc comment, a test, a new file, one file less.
fn corrected(at: &Path) {
    for part in PARTS.into_iter().chain(MORE_PARTS) {
        copy(&the_course().join(part), &at.join(part));
    }
    let line = "stage1-server/src/line.rs";
    edit(
        at,
        line,
        "pub fn reverse_line(line:",
        "pub fn reverse_line(whole_line:",
    );
    let listen = "stage1-server/src/listen.rs";
    let text = read(at, listen);
    fs::write(
        at.join(listen),
        format!("{text}\n// Corrected at the end.\n"),
    )
    .unwrap();
    edit(at, "tests/stage1.rs", "//! ", "//! Corrected. ");
    fs::write(at.join("tests/src/new.rs"), "//! New.\n").unwrap();
    fs::remove_file(at.join("LICENSE")).unwrap();
}

const BODY: &str = "{\n    // My thought, with a }.\n    helper(line)\n}";

/// The work of a student: 1.2 is written, with a helper of its own, and 1.3 is begun.
fn work(mine: &Path) {
    let line = "stage1-server/src/line.rs";
    let open = "{\n    todo!(\"exercise 1.2: Reverse a line\")\n}";
    edit(
        mine,
        line,
        open,
        &format!("{BODY}\n\nfn helper(line: &mut [u8]) {{\n    line.reverse();\n}}"),
    );
    edit(
        mine,
        "stage1-server/src/listen.rs",
        "\nuse ",
        "\nuse std::fmt as mine;\nuse ",
    );
    fs::write(mine.join("stage1-server/src/notes.rs"), "//! Mine.\n").unwrap();
    edit(mine, "README.md", "# ", "# Mine: ");
    edit(mine, "tests/stage1.rs", "//! ", "//! Spoiled. ");
}

#[test]
fn an_update_corrects_the_course_around_a_students_work_or_changes_nothing() {
    if is_workspace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [mine, other, late, fixed, zip] =
        ["mine", "other", "late", "fixed", "workspace.zip"].map(|name| folder.path().join(name));
    start(&the_course(), &mine);
    copy(&mine, &late);
    edit(
        &late,
        "starter.toml",
        "from = \"stage1\"",
        "from = \"stage2\"",
    );
    work(&mine);
    copy(&mine, &other);
    corrected(&fixed);
    let zip = zip.to_str().unwrap();
    done(
        &fixed,
        &[
            "pack",
            "workspace",
            "--without-book",
            "--without-hunts",
            "--out",
            zip,
        ],
    );
    it_corrects_the_course(&mine, zip);
    it_does_not_fit(&other, &late, zip);
    refused(&the_course(), &["update", zip], "this is the course itself");
}

fn it_corrects_the_course(mine: &Path, zip: &str) {
    let before = snapshot(mine);
    assert!(done(mine, &["update", "--dry-run", zip]).contains("dry run"));
    assert_eq!(snapshot(mine), before, "after a dry run");
    let told = done(mine, &["update", zip]);
    for words in [
        "line.rs::reverse_line: the signature has changed",
        "now     fn reverse_line(whole_line:",
        "tests/stage1.rs: you had changed this file",
        "in .before-update-1/files",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }

    let record = read(mine, "starter.toml");
    let place = the_course().display().to_string();
    assert!(
        !record.contains("reference") && !record.contains(&place),
        "a parcel says nothing of the machine where it was made: {record}"
    );
    let line = read(mine, "stage1-server/src/line.rs");
    assert!(
        line.contains("reverse_line(whole_line:") && line.contains(BODY),
        "{line}"
    );
    assert!(
        line.contains("fn helper(line: &mut [u8])") && line.contains("todo!(\"exercise 1.3"),
        "{line}"
    );
    let listen = read(mine, "stage1-server/src/listen.rs");
    assert!(
        listen.contains("use std::fmt as mine;") && listen.ends_with("// Corrected at the end.\n"),
        "{listen}"
    );
    assert_eq!(read(mine, "stage1-server/src/notes.rs"), "//! Mine.\n");
    assert!(read(mine, "README.md").starts_with("# Mine: "));
    assert!(read(mine, "tests/stage1.rs").starts_with("//! Corrected. "));
    assert!(mine.join("tests/src/new.rs").is_file() && !mine.join("LICENSE").exists());
    let kept = |file: &str| fs::read(mine.join(".before-update-1/files").join(file)).unwrap();
    for file in [
        "stage1-server/src/line.rs",
        "tests/stage1.rs",
        "LICENSE",
        "starter.toml",
    ] {
        assert_eq!(kept(file), before[&mine.join(file)], "{file}");
    }

    let after = snapshot(mine);
    assert!(done(mine, &["update", zip]).contains("Nothing to do"));
    assert_eq!(snapshot(mine), after);
}

fn it_does_not_fit(mine: &Path, late: &Path, zip: &str) {
    let packed = fs::read(zip).unwrap();
    let refuse = |source: &str, why: &str| {
        let before = snapshot(mine);
        refused(mine, &["update", source], why);
        assert_eq!(snapshot(mine), before, "{why}");
    };
    refuse("/nowhere", "cannot unpack /nowhere");
    refuse(the_course().to_str().unwrap(), "is not a workspace");
    refuse(
        late.to_str().unwrap(),
        "in the update everything before stage2 is solved",
    );
    fs::write(zip, &packed[..packed.len() / 2]).unwrap();
    refuse(zip, "cannot unpack");
    fs::write(zip, &packed).unwrap();
    edit(
        Path::new(late),
        "tests/stage1.rs",
        "//! ",
        "//! Not as packed. ",
    );
    refuse(
        late.to_str().unwrap(),
        "tests/stage1.rs is not as it was handed out",
    );
    edit(mine, "stage1-server/src/listen.rs", "\nuse ", "\nuse use ");
    refuse(zip, "stage1-server/src/listen.rs:");
    edit(mine, "stage1-server/src/listen.rs", "\nuse use ", "\nuse ");
    fs::create_dir(mine.join("tests/src/new.rs")).unwrap();
    refuse(zip, "new.rs");
    fs::remove_dir(mine.join("tests/src/new.rs")).unwrap();
    done(mine, &["update", zip]);
}
