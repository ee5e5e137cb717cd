//! The bug hunts in `tests/hunts`: two files for each, and one for all.
//!
//! ```text
//!   restart-refused.md   the symptom, as an operator reports it: for students
//!   restart-refused.py   the kept script, a proof that the hunt can be won: never for students
//!   hunting.py           help for scripts: for students, and beside each script that is run
//! ```
//!
//! The kept script names the wrong solution in its second line, `# Bug: NAME`, because `course.toml` is in students' hands and
//! the names of wrong solutions tell too much.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::bug::{self, Bug};
pub use crate::manifest::HUNTS as FOLDER;
use crate::manifest::{Hunt, Stage};

/// The help for scripts, in that folder and beside each script.
pub const HELP: &str = "hunting.py";

/// The beginning of the line that names the wrong solution.
const BUG: &str = "# Bug: ";

/// Finds the patch of a hunt's wrong solution.
///
/// # Errors
///
/// Fails if the kept script cannot be read or names none, or the wrong solution is of another stage.
pub fn bug_of(root: &Path, stage: &Stage, hunt: &Hunt) -> Result<PathBuf> {
    let script = hunt.kept();
    let text = fs::read_to_string(root.join(&script))
        .with_context(|| format!("cannot read {}", script.display()))?;
    let name = text.lines().nth(1).and_then(|line| line.strip_prefix(BUG));
    let name = name
        .with_context(|| format!("{} needs a second line \"{BUG}...\"", script.display()))?
        .trim();
    let patch = root.join(bug::FOLDER).join(format!("{name}.patch"));
    let bug = Bug::read(&patch)?;
    ensure!(
        bug.stage == stage.id(),
        "{}: {name} is a wrong solution of {}, the hunt is of {}",
        script.display(),
        bug.stage,
        stage.id()
    );
    Ok(patch)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::manifest::Manifest;
    use crate::workspace;

    #[test]
    fn no_hunt_tells_the_name_of_its_bug() {
        let root = workspace::root().unwrap();
        if !root.join(bug::FOLDER).is_dir() {
            return; // A workspace has no wrong solutions.
        }
        let manifest = Manifest::load(&root).unwrap();
        let mut seen = HashSet::new();
        for (stage, hunt) in manifest.hunts() {
            let patch = bug_of(&root, stage, hunt).unwrap();
            let bug = patch.file_stem().unwrap().to_str().unwrap();
            let report = fs::read_to_string(root.join(hunt.report())).unwrap();
            assert!(!report.contains(bug), "{}", hunt.name());
            assert!(seen.insert(patch.clone()), "{} twice", patch.display());
        }
    }
}
