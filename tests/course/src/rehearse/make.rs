//! Creates a submission: stage 1 of the reference, with its changes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};

use crate::grade::files;
use crate::rehearse::submission::{Change, Submission};
use crate::{splice, starter};
use course::item;
use course::manifest::Manifest;

/// Creates submissions from the reference.
#[derive(Debug)]
pub(super) struct Maker<'a> {
    /// The folder of the course.
    pub(super) root: &'a Path,
    /// Its exercises.
    pub(super) manifest: &'a Manifest,
    /// Whether the class is for a quick rehearsal.
    pub(super) is_quick: bool,
    /// The mark in the arguments of processes that must not survive.
    pub(super) mark: &'a str,
}

impl Maker<'_> {
    /// Writes a submission.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be written, or a change does not fit the reference.
    pub(super) fn make(&self, dir: &Path, submission: &Submission) -> Result<()> {
        let source = Path::new("stage1-server/src");
        files::replace(&self.root.join(source), &dir.join(source))?;
        submission
            .changes(self.is_quick)
            .try_for_each(|change| self.change(dir, change))
            .with_context(|| format!("cannot make the submission {}", submission.name))
    }

    fn change(&self, dir: &Path, change: &Change) -> Result<()> {
        match change {
            Change::Blank(ids) => {
                let all = self.manifest.exercises().map(|(_, exercise)| exercise);
                let open: Vec<_> = all.filter(|one| ids.contains(&one.id())).collect();
                starter::blank(self.root, dir, &open)
            }
            Change::Body(item, body) => edit_body(dir, item, |_| self.fill(body)),
            Change::Before(item, code) => edit_body(dir, item, |body| {
                format!("{{ {} {body} }}", self.fill(code))
            }),
            Change::Append(file, text) => {
                let old = fs::read_to_string(dir.join(file))?;
                write(&dir.join(file), &(old + "\n" + &self.fill(text) + "\n"))
            }
            Change::File(file, text) => write(&dir.join(file), &self.fill(text)),
            Change::Link(file, target) => {
                fs::remove_file(dir.join(file))?;
                Ok(symlink(self.fill(target), dir.join(file))?)
            }
        }
    }

    fn fill(&self, text: &str) -> String {
        let course = self.root.display().to_string();
        text.replace("{course}", &course)
            .replace("{mark}", self.mark)
    }
}

/// Replaces the body of a function, with its braces, by another one that is made from it.
fn edit_body(dir: &Path, item: &str, change: impl Fn(&str) -> String) -> Result<()> {
    let item: item::ItemPath = item.parse()?;
    let (source, function) = item.read(dir)?;
    let text = change(&source[function.body.clone()]);
    let edit = splice::Edit {
        range: function.body,
        text,
    };
    write(&dir.join(&item.file), &splice::apply(&source, vec![edit])?)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::submission::Quick;
    use super::super::submissions::SUBMISSIONS;
    use super::*;
    use crate::starter::Record;
    use course::workspace;

    #[test]
    fn every_submission_can_be_made_for_both_rehearsals() {
        let root = workspace::root().unwrap();
        if Record::read(&root).unwrap().is_some() {
            return; // A starter has no reference to start from.
        }
        let manifest = Manifest::load(&root).unwrap();
        let readme = fs::read_to_string(root.join("README.md")).unwrap();
        assert!(readme.contains(&format!("{} submissions that loop", SUBMISSIONS.len())));
        let is_in =
            |submission: &Submission, is_quick: bool| !is_quick || submission.quick != Quick::No;
        for (is_quick, count) in [(false, 20), (true, 8)] {
            let maker = Maker {
                root: &root,
                manifest: &manifest,
                is_quick,
                mark: "7",
            };
            let submissions: Vec<_> = SUBMISSIONS
                .iter()
                .filter(|one| is_in(one, is_quick))
                .collect();
            assert_eq!(submissions.len(), count);
            for submission in submissions {
                let folder = tempfile::tempdir().unwrap();
                maker.make(folder.path(), submission).unwrap();
                let expected = submission.expected(is_quick);
                assert_eq!(expected.len(), manifest.stages[0].exercises.len());
            }
        }
    }
}
