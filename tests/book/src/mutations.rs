//! `{{#mutations NAME NAME NAME}}`: small changes of the finished code, and the test that fails after each.
//!
//! They are wrong solutions of `tests/bugs`, so `cargo course verify` proves each answer. A change shows a piece of the
//! reference, so it is folded, and its answer once more; the edition for students has the belief in its place.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::edition::Edition;
use course::bug::{self, Bug};
use course::manifest::Manifest;

/// How many changes a chapter has.
const COUNT: usize = 3;
/// Lines that a change may take away and add: more is not seen at a glance.
const MAX_LINES: usize = 5;

const HEAD: &str = "\
## Change one line

Here are three small changes, each to code that you have written by the end of this chapter. Open one, and before you make it in your own
function, say which test will fail and what a client would see.
";

/// The head in the edition for students, which shows no lines of the reference.
const HEAD_FOR_STUDENTS: &str = "\
## Change one line

Here are three beliefs, and each would make you change code that you have written by the end of this chapter. Open one, make the
change in your own function, and before you run the tests, say which will fail and what a client would see.
";

/// The context in which the changes of a chapter are shown.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    /// The folder of the course.
    pub(crate) root: &'a Path,
    /// Its exercises.
    pub(crate) manifest: &'a Manifest,
    /// The chapter.
    pub(crate) chapter: &'a Path,
    /// Whether lines of the reference may be shown.
    pub(crate) edition: Edition,
}

impl Changes<'_> {
    /// Returns the changes as Markdown.
    ///
    /// # Errors
    ///
    /// Fails if the wrong solutions are not three, are too long to be seen at a glance, or belong to exercises of
    /// another chapter.
    pub(crate) fn markdown<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<String> {
        let names: Vec<_> = names.collect();
        ensure!(
            names.len() == COUNT,
            "a chapter has {COUNT} changes, not {}",
            names.len()
        );
        let head = match self.edition {
            Edition::Whole => HEAD,
            Edition::Students => HEAD_FOR_STUDENTS,
        };
        let mut text = head.to_owned();
        for name in names {
            let one = self.one(name);
            text.push_str(&one.with_context(|| format!("in the change {name}"))?);
        }
        Ok(text)
    }

    fn one(&self, name: &str) -> Result<String> {
        let file = self.root.join(bug::FOLDER).join(format!("{name}.patch"));
        let bug = Bug::read(&file)?;
        let (_, exercise) = self.manifest.find_exactly(&bug.exercise)?;
        let home = Path::new(exercise.chapter.as_ref());
        ensure!(
            home == self.chapter,
            "exercise {} is of {}",
            bug.exercise,
            home.display()
        );
        let change = Change::of(&std::fs::read_to_string(&file)?)?;
        Ok(match self.edition {
            Edition::Whole => shown(&bug, &change),
            Edition::Students => described(&bug, &change),
        })
    }
}

fn shown(bug: &Bug, change: &Change) -> String {
    format!(
        "\n<details class=\"item mutation\">\n<summary><code>{}</code> \
         <span class=\"item-exercise\">exercise {}: shown when you open it</span></summary>\n\n\
         ```diff\n{}\n```\n\n<details>\n<summary>Which test fails?</summary>\n\n\
         `{}`. The belief behind the change: *{}*\n\n</details>\n\n</details>\n",
        change.file, bug.exercise, change.lines, bug.caught_by, bug.misconception
    )
}

fn described(bug: &Bug, change: &Change) -> String {
    format!(
        "\n<details class=\"item mutation\">\n<summary><code>{}</code> \
         <span class=\"item-exercise\">exercise {}: shown when you open it</span></summary>\n\n\
         *{}*\n\n<details>\n<summary>Which test fails?</summary>\n\n`{}`.\n\n</details>\n\n</details>\n",
        change.file, bug.exercise, bug.misconception, bug.caught_by
    )
}

/// A change of one place, as people read it.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    file: String,
    lines: String,
}

impl Change {
    /// Reads a patch.
    fn of(patch: &str) -> Result<Self> {
        let mut files = patch.lines().filter_map(|line| line.strip_prefix("+++ b/"));
        let file = files.next().context("the patch names no file")?.to_owned();
        let mut hunks = patch.split("\n@@ ").skip(1);
        let hunk = hunks.next().context("the patch changes nothing")?;
        ensure!(
            files.next().is_none() && hunks.next().is_none(),
            "the patch changes several places"
        );
        let lines: Vec<_> = hunk.lines().skip(1).collect();
        let changed = lines.iter().filter(|line| line.starts_with(['+', '-']));
        let changed = changed.count();
        ensure!(
            changed <= MAX_LINES,
            "{changed} lines change: more than {MAX_LINES}"
        );
        Ok(Self {
            file,
            lines: to_the_edge(&lines),
        })
    }
}

/// Takes away the indentation that all lines share; the mark of each stays in its first column.
fn to_the_edge(lines: &[&str]) -> String {
    let code = lines.iter().filter_map(|line| line.get(1..));
    let indents = code
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start().len());
    let indent = indents.min().unwrap_or(0);
    let moved = lines.iter().map(|line| {
        let (mark, code) = line.split_at(line.len().min(1));
        format!("{mark}{}", code.get(indent..).unwrap_or(""))
    });
    moved.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use course::workspace;

    const PATCH: &str = "\
Stage: stage1
--- a/x/y.rs
+++ b/x/y.rs
@@ -1,4 +1,4 @@ fn before() {
     fn f() {
-        one();
+        two();
     }

";

    #[test]
    fn a_change_is_moved_to_the_edge() {
        let change = Change::of(PATCH).unwrap();
        assert_eq!(change.file, "x/y.rs");
        assert_eq!(change.lines, " fn f() {\n-    one();\n+    two();\n }");
    }

    #[test]
    fn what_is_not_one_small_change_is_refused() {
        let twice = format!("{PATCH}@@ -9 +9 @@\n-a\n+b\n");
        assert!(Change::of(&twice).is_err(), "two places");
        let long = PATCH.replace("+        two();", "+a\n+b\n+c\n+d\n+e");
        assert!(Change::of(&long).is_err(), "six lines");
        assert!(Change::of("Stage: stage1\n").is_err(), "no change");
    }

    #[test]
    fn a_chapter_shows_its_own_exercises() {
        let root = workspace::root().unwrap();
        let manifest = Manifest::load(&root).unwrap();
        let names = [
            "s1-last-line-dropped",
            "s1-newline-moves",
            "s1-no-reuse-address",
        ];
        let show = |chapter: &str, names: &[&'static str], edition| {
            let changes = Changes {
                root: &root,
                manifest: &manifest,
                chapter: Path::new(chapter),
                edition,
            };
            changes.markdown(names.iter().copied())
        };
        for (edition, shown) in [(Edition::Whole, 3), (Edition::Students, 0)] {
            let text = show("stage1-server.md", &names, edition).unwrap();
            assert_eq!(text.matches("Which test fails?").count(), 3, "{text}");
            assert_eq!(text.matches("```diff").count(), shown, "{text}");
        }
        let error = show("stage2-client.md", &names, Edition::Whole).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("is of stage1-server.md"), "{error}");
        let error = show("stage1-server.md", &names[..2], Edition::Whole).unwrap_err();
        assert!(error.to_string().contains("3 changes"), "{error}");
    }
}
