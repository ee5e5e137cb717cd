//! `cargo course grade --all`: two workers give the same results as one, even after an interruption, and so do shards.
//!
//! The submissions have nothing to build, so that the tests are fast.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod programs;
mod shards;
mod support;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::SystemTime;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use support::{NAMES, class_csv, grade, make_class};

/// Grades and returns how many results are new, and the table.
fn graded(folder: &Path, out: &str, more: &[&str]) -> (usize, String) {
    let before = written(&folder.join(out));
    let output = grade(folder, out, more).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let after = written(&folder.join(out));
    assert!(after.iter().all(Option::is_some), "{stderr}");
    let pairs = before.into_iter().zip(after);
    let new = pairs.filter(|(before, after)| before != after).count();
    (new, class_csv(&folder.join(out)))
}

/// Returns when each result was written.
fn written(out: &Path) -> [Option<SystemTime>; 5] {
    NAMES.map(|name| {
        let file = out.join(name).join("results.json").metadata().ok()?;
        file.modified().ok()
    })
}

/// Reads the command's output until all but one are graded, interrupts it as Ctrl-C does, and returns its last line.
fn interrupt(mut child: Child) -> (Option<i32>, String) {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.find(|line| line.as_ref().unwrap().starts_with("[  4/5]"));
    assert!(line.is_some(), "the other worker has not graded four");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let last = lines.last().unwrap().unwrap();
    (child.wait().unwrap().code(), last)
}

#[test]
fn two_workers_and_one_grade_alike_and_an_interrupted_run_continues() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make_class(&folder.join("class"));

    // One worker has taken a submission and waits for its workbench.
    let second = folder.join("target/course/worker-1");
    fs::create_dir_all(&second).unwrap();
    let lock = File::create(second.join("lock")).unwrap();
    lock.lock().unwrap();
    let mut command = grade(folder, "two", &["--jobs", "2"]);
    let (code, last) = interrupt(command.stderr(Stdio::piped()).spawn().unwrap());
    assert_eq!(code, Some(130), "{last}");
    assert!(
        last.starts_with("Interrupted: 4 of 5 are graded."),
        "{last}"
    );
    let count = written(&folder.join("two")).iter().flatten().count();
    assert_eq!(
        (count, class_csv(&folder.join("two")).lines().count()),
        (4, 5)
    );
    drop(lock);

    let (new, two) = graded(folder, "two", &["--jobs", "2"]);
    assert_eq!((new, two.lines().count()), (1, 6), "{two}");
    assert!(
        two.contains("ben,0") && two.contains("could not be graded"),
        "{two}"
    );
    assert_eq!(graded(folder, "two", &["--jobs", "2"]), (0, two.clone()));
    fs::write(
        folder.join("class/carl/stage1-server/README.md"),
        "not taken",
    )
    .unwrap();
    assert_eq!(graded(folder, "two", &["--jobs", "2"]), (0, two.clone()));
    assert_eq!(
        graded(folder, "two", &["--jobs", "2", "--again"]),
        (5, two.clone())
    );
    assert!(second.join("workbench").is_dir());
    assert_eq!(graded(folder, "one", &["--jobs", "1"]), (5, two));
}
