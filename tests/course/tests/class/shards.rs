//! Shards: together they are the class, and shards that do not fit together are refused.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{NAMES, class_csv, course, grade, items_csv, make_class};

/// Grades one shard.
fn shard(folder: &Path, part: &str) -> Command {
    grade(folder, "shards", &["--shard", part])
}

/// Runs a command that must succeed.
fn run(mut command: Command) {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
}

/// Merges the shards, with the results in a folder beside them.
fn merge(folder: &Path, out: &str) -> Command {
    let mut command = course(folder);
    command.arg("--merge").arg(folder.join("shards"));
    command.arg("--out").arg(folder.join(out));
    command
}

/// Merges shards that do not fit together: the command must say why, and write nothing.
fn refused(folder: &Path, why: &str) {
    let output = merge(folder, "refused").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains(why), "{stderr}");
    assert!(!folder.join("refused").exists());
}

/// Reads the result of a submission, without the time.
fn result(out: &Path, name: &str) -> Value {
    let text = fs::read(out.join(name).join("results.json")).unwrap();
    let mut value: Value = serde_json::from_slice(&text).unwrap();
    value["extra_data"]["mark"]["seconds"].take();
    value
}

/// Returns which submissions a shard has graded.
fn graded(folder: &Path, shard: &str) -> Vec<&'static str> {
    let shard = folder.join("shards").join(shard);
    let has = |name: &&str| shard.join(name).join("results.json").exists();
    NAMES.into_iter().filter(has).collect()
}

#[test]
fn shards_that_run_side_by_side_are_merged_into_the_whole_class() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make_class(&folder.join("class"));
    run(grade(folder, "whole", &[]));

    let start = |part| shard(folder, part).stderr(Stdio::null()).spawn().unwrap();
    for mut child in ["1/2", "2/2"].map(start) {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(graded(folder, "1-of-2"), ["anna", "carl", "emil"]);
    assert_eq!(graded(folder, "2-of-2"), ["ben", "dora"]);
    run(merge(folder, "merged"));

    let (whole, merged) = (folder.join("whole"), folder.join("merged"));
    assert_eq!(class_csv(&whole), class_csv(&merged));
    let items = items_csv(&whole);
    assert_eq!(items, items_csv(&merged));
    assert!(items.contains("\r\n1.1,exercise,"), "{items}");
    // Of three choices, each was the first answer of one submission.
    let question = "\r\nthree-lines-in-a-piece,question,3,1,0.33,";
    assert!(items.contains(question), "{items}");
    for name in NAMES {
        assert_eq!(result(&whole, name), result(&merged, name));
        for file in ["report.md", "report.txt"] {
            let read = |out: &Path| fs::read(out.join(name).join(file)).unwrap();
            assert_eq!(read(&whole), read(&merged), "{name}: {file}");
        }
    }
    let times = fs::read_to_string(merged.join("times.csv")).unwrap();
    assert_eq!(times.lines().count(), 6, "{times}");
    // Nothing is merged into a shard.
    let output = merge(folder, "shards/1-of-2").output().unwrap();
    assert!(!output.status.success());
}

#[test]
fn shards_that_are_unfinished_or_do_not_fit_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make_class(&folder.join("class"));
    refused(folder, "cannot read");
    fs::create_dir(folder.join("shards")).unwrap();
    refused(folder, "has no shards");
    run(shard(folder, "1/2"));
    refused(folder, "missing: shard 2/2");

    run(shard(folder, "2/2"));
    let result = |name: &str| folder.join(format!("shards/2-of-2/{name}/results.json"));
    let time = |name| result(name).metadata().unwrap().modified().unwrap();
    let before = time("ben");
    fs::remove_file(result("dora")).unwrap();
    refused(
        folder,
        "2-of-2 is incomplete, because no result is there for dora: give the command of shard 2/2 again",
    );
    run(shard(folder, "2/2"));
    assert_eq!(time("ben"), before, "ben was graded twice");
    do_not_fit(folder);
}

/// Changes the folders of two shards that fit together.
fn do_not_fit(folder: &Path) {
    let shards = folder.join("shards");
    fs::create_dir(shards.join("copy")).unwrap();
    fs::copy(
        shards.join("2-of-2/shard.json"),
        shards.join("copy/shard.json"),
    )
    .unwrap();
    refused(folder, "2-of-2 and copy are both shard 2/2");
    fs::remove_dir_all(shards.join("copy")).unwrap();

    // There are more shards than submissions, so this one has none.
    run(shard(folder, "6/6"));
    refused(folder, "6-of-6 is one of 6 shards and 1-of-2 one of 2");
    fs::remove_dir_all(shards.join("6-of-6")).unwrap();

    let record = shards.join("2-of-2/shard.json");
    let text = fs::read_to_string(&record).unwrap();
    let mut other: Value = serde_json::from_str(&text).unwrap();
    other["course"] = 7.into();
    fs::write(&record, other.to_string()).unwrap();
    refused(
        folder,
        "2-of-2 was graded with another version of the course",
    );
    other["course"] = serde_json::from_str::<Value>(&text).unwrap()["course"].take();
    other["class"].as_array_mut().unwrap().pop();
    fs::write(&record, other.to_string()).unwrap();
    refused(
        folder,
        "2-of-2 is of another class than 1-of-2: only one of them has emil",
    );
    fs::write(&record, "{}").unwrap();
    refused(folder, "is damaged");
    fs::write(&record, text).unwrap();

    let source = folder.join("class/anna/stage1-server/src");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("lib.rs"), "").unwrap();
    run(shard(folder, "2/2"));
    refused(
        folder,
        "2-of-2 is of another class than 1-of-2: the code of anna is not the same",
    );
}
