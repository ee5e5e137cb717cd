//! Fingerprints: whether a submission, or the course, is unchanged.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use anyhow::{Context, Result};

use crate::grade::grader::Kind;
use crate::hunts::handin;
use crate::scratch::handin as handin_of_programs;
use crate::student::quiz::answers;
use course::manifest::{FILE, Manifest};
use course::milestones;

/// The parts of the course that decide about a grade, beside the stages: the tests, all versions, the grader.
const PARTS: &[&str] = &[
    FILE,
    "Cargo.lock",
    "Cargo.toml",
    "tests/src",
    "tests/course/src",
];

/// The parts that decide about hunts and about the quiz.
const OTHERS: &[&str] = &["tests/hunts", "tests/bugs", "tests/variants", "tests/quiz"];

/// Returns the fingerprint of the course: tests, reference, manifests.
///
/// # Errors
///
/// Fails if a part of it is missing.
pub(super) fn course(root: &Path, manifest: &Manifest, kind: &Kind) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    if let Kind::Programs(stages) = kind {
        stages.hash(&mut hasher);
        add(&mut hasher, &root.join(milestones::FILE));
    }
    for part in PARTS {
        let path = root.join(part);
        path.metadata()
            .with_context(|| format!("cannot find {}", path.display()))?;
        add(&mut hasher, &path);
    }
    for stage in &manifest.stages {
        add(&mut hasher, &root.join(stage.package()));
        add(&mut hasher, &root.join(format!("tests/{}.rs", stage.id())));
        add(&mut hasher, &root.join(format!("tests/{}", stage.id())));
    }
    // Not in every copy of the course.
    for part in OTHERS {
        add(&mut hasher, &root.join(part));
    }
    Ok(hasher.finish())
}

/// Returns the fingerprint of the parts of a submission that are graded.
pub(super) fn submission(dir: &Path, manifest: &Manifest, kind: &Kind) -> u64 {
    let mut hasher = DefaultHasher::new();
    if matches!(kind, Kind::Programs(_)) {
        let parts = handin_of_programs::parts(dir).unwrap_or_default();
        parts.iter().for_each(|part| add(&mut hasher, part));
        return hasher.finish();
    }
    for stage in &manifest.stages {
        add(&mut hasher, &dir.join(stage.package()).join("src"));
    }
    for (_, hunt) in manifest.hunts() {
        if let Ok(Some(script)) = handin::script(dir, hunt) {
            hunt.name().hash(&mut hasher);
            add(&mut hasher, &script);
        }
    }
    let answers = dir.join(answers::FILE);
    if answers.is_file() {
        add(&mut hasher, &answers);
    }
    hasher.finish()
}

/// Adds the names and the bytes of everything below a path. An unreadable file counts by its name; links are not followed.
fn add(hasher: &mut DefaultHasher, path: &Path) {
    path.file_name().hash(hasher);
    let Ok(metadata) = path.symlink_metadata() else {
        return;
    };
    if metadata.is_dir() {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths.len().hash(hasher);
        paths.iter().for_each(|path| add(hasher, path));
    } else if metadata.is_file() {
        fs::read(path).unwrap_or_default().hash(hasher);
    } else {
        fs::read_link(path).ok().hash(hasher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use course::workspace;

    #[test]
    fn only_what_is_taken_changes_the_fingerprint() {
        let manifest = Manifest::load(&workspace::root().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("stage1-server/src");
        fs::create_dir_all(&source).unwrap();
        let prints = || submission(folder.path(), &manifest, &Kind::Exercises);
        let empty = prints();
        fs::write(folder.path().join("README.md"), "x").unwrap();
        assert_eq!(prints(), empty);
        fs::write(source.join("lib.rs"), "x").unwrap();
        let one = prints();
        fs::rename(source.join("lib.rs"), source.join("lib2.rs")).unwrap();
        assert!(empty != one && one != prints() && prints() != empty);
    }
}
