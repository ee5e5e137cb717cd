//! Bug hunts, from outside: a folder for a hunt, a script that is checked, and a class that is graded.
//!
//! The programs of the hunt are shell scripts here, and the submissions have no code, so that nothing is built.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Exposes the wrong program of [`Desk::open`], and clears both right ones.
const GOOD: &str = "test $($COURSE_BIN) -eq 4";

/// A workspace whose programs of the hunt `half-words` are scripts.
struct Desk {
    _folder: TempDir,
    root: PathBuf,
}

impl Desk {
    /// Makes one with all that hunts need.
    fn small() -> Self {
        Self::open(|root| {
            for folder in ["tests/course", "tests/hunts"] {
                fs::create_dir_all(root.join(folder)).unwrap();
            }
            let origin = "reference = \"/nowhere\"\nfrom = \"stage1\"\n";
            fs::write(root.join("starter.toml"), origin).unwrap();
            for file in [
                "course.toml",
                "tests/hunts/half-words.md",
                "tests/hunts/hunting.py",
            ] {
                fs::copy(the_course().join(file), root.join(file)).unwrap();
            }
        })
    }

    /// Makes one that can grade; `None` in a workspace, from which no other can be made.
    fn whole() -> Option<Self> {
        let is_workspace = the_course().join("starter.toml").exists();
        (!is_workspace).then(|| {
            Self::open(|root| {
                let words = ["start", "--without-book", "--without-hunts"];
                let words = [&words[..], &[root.to_str().unwrap()]].concat();
                let (is_done, text) = run(&the_course(), &words);
                assert!(is_done, "{text}");
            })
        })
    }

    fn open(make: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("mine");
        make(&root);
        let programs = root.join(".hunts/stage1");
        fs::create_dir_all(&programs).unwrap();
        for (name, script) in [
            ("half-words", "echo 5"),
            ("right-0", "echo 4"),
            ("right-1", "echo ' 4'"),
        ] {
            write_script(&programs.join(name), script);
        }
        Self {
            _folder: folder,
            root,
        }
    }

    fn run(&self, words: &[&str]) -> (bool, String) {
        run(&self.root, words)
    }

    /// Checks a script, which must end with these words; only `caught` is a success.
    fn check(&self, script: &str, words: &str) {
        write_script(&self.hunt().join("hunt.sh"), script);
        let (is_done, output) = self.run(&["hunt", "half-words", "--check"]);
        assert!(output.contains(words), "{script}: {output}");
        assert_eq!(is_done, words.starts_with("caught"), "{script}: {output}");
    }

    fn hunt(&self) -> PathBuf {
        self.root.join("hunts/half-words")
    }
}

fn the_course() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    folder.canonicalize().unwrap()
}

fn write_script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs `cargo course` in the course or workspace at `root` and returns whether it succeeded, and all that it printed.
fn run(root: &Path, words: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_course"))
        .args(words)
        .current_dir(root)
        .env("CARGO_MANIFEST_DIR", root.join("tests/course"))
        .env_remove("CARGO_TARGET_DIR")
        // Two seconds instead of twenty for a script that sleeps.
        .env("COURSE_TIME_SCALE", "0.1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn a_hunt_is_begun_and_checked_in_a_workspace() {
    let desk = Desk::small();
    let state = || {
        let (_, text) = desk.run(&["hunt"]);
        let line = text.lines().find(|line| line.contains("half-words "));
        line.unwrap()
            .rsplit("min")
            .next()
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(state(), "");
    let (is_done, text) = desk.run(&["hunt", "half-words"]);
    assert!(
        is_done && text.contains("hunts/half-words/README.md"),
        "{text}"
    );
    let readme = fs::read_to_string(desk.hunt().join("README.md")).unwrap();
    assert!(readme.contains("radio link") && readme.contains("hunt half-words --check"));
    for name in ["program", "right-program", "hunting.py", "hunt.py"] {
        assert!(desk.hunt().join(name).is_file(), "{name}");
    }
    assert_eq!(state(), "begun");

    fs::remove_file(desk.hunt().join("hunt.py")).unwrap();
    desk.check(
        GOOD,
        "caught: it has exposed the fault 3 times out of 3, and cleared 2 right programs",
    );
    assert_eq!(state(), "caught");
    // A script that was begun stays, and one that has changed has not won.
    desk.run(&["hunt", "half-words"]);
    assert!(!desk.hunt().join("hunt.py").exists());
    write_script(&desk.hunt().join("hunt.sh"), "exit 0");
    assert_eq!(state(), "begun");
}

#[test]
fn a_script_that_does_not_tell_right_from_wrong_each_time_has_not_caught_the_fault() {
    let desk = Desk::small();
    fs::create_dir_all(desk.hunt()).unwrap();
    for (script, words) in [
        ("exit 0", "missed: on the program with the fault"),
        ("exit 1", "false alarm: on"),
        ("exit 2", "broken: on"),
        ("kill -9 $$", "broken: on"),
        ("exit 124", "timed out: on"),
        ("sleep 600", "timed out: on"),
        ("setsid sleep 600 & wait", "timed out: on"),
        // It demands the reference's way.
        (
            "test \"$($COURSE_BIN)\" = 4 || { echo seen; exit 1; }",
            "right program 1, which differs from the reference, it ended with 1:\nseen",
        ),
        // It notices the fault in one run of 256.
        (
            "test $(od -An -N1 -tu1 /dev/urandom) -ne 7 || test $($COURSE_BIN) -eq 4",
            "missed: on the program with the fault",
        ),
    ] {
        desk.check(script, words);
    }
}

#[test]
fn a_process_that_a_script_leaves_behind_is_ended() {
    let desk = Desk::small();
    fs::create_dir_all(desk.hunt()).unwrap();
    let mark = format!("7{:08}377", std::process::id());
    let script = format!("setsid sleep {mark} >/dev/null 2>&1 & {GOOD}");
    desk.check(&script, "caught: ");
    let sleeps = |entry: fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&mark)
    };
    assert!(!fs::read_dir("/proc").unwrap().flatten().any(sleeps));
}

/// Grades a class and returns class.csv.
fn graded(desk: &Desk, class: &Path) -> String {
    let out = class.with_extension("out");
    let [class, folder] = [class, &out].map(|path| path.to_str().unwrap());
    let (is_done, text) = desk.run(&["grade", "--all", class, "--out", folder]);
    assert!(is_done, "{text}");
    fs::read_to_string(out.join("class.csv")).unwrap()
}

#[test]
fn a_class_has_columns_for_hunts_only_if_a_submission_has_some() {
    let Some(desk) = Desk::whole() else {
        return;
    };
    let class = desk.root.join("class");
    for name in ["anna", "ben", "carl"] {
        fs::create_dir_all(class.join(name)).unwrap();
    }
    let before = graded(&desk, &class);
    assert!(!before.contains("hunt"), "{before}");
    for (name, script) in [("anna", GOOD), ("carl", "exit 1")] {
        let folder = class.join(name).join("hunts/half-words");
        fs::create_dir_all(&folder).unwrap();
        write_script(&folder.join("hunt"), script);
    }
    let text = graded(&desk, &class);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].ends_with(",hunts points,hunts"), "{text}");
    assert!(lines[1].ends_with(",1,half-words caught"), "{text}");
    assert!(lines[2].ends_with(",0,"), "{text}");
    assert!(lines[3].ends_with(",0,half-words false alarm"), "{text}");
    let results = |name: &str| {
        let path = class.with_extension("out").join(name).join("results.json");
        serde_json::from_str::<Value>(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let hunts = results("anna")["extra_data"]["hunts"].clone();
    assert_eq!(
        (&hunts[0]["name"], &hunts[0]["score"]),
        (&Value::from("half-words"), &Value::from(1))
    );
    assert!(results("ben")["extra_data"].get("hunts").is_none());
}
