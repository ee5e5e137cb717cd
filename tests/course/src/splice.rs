//! Splicing: text of a source file replaced in place, everything around it kept as it was written.
//!
//! A syntax tree that is printed again has lost its comments and its format, so the tree only says
//! where the text is.

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use syn::spanned::Spanned as _;

use course::item::ItemPath;

/// One replacement of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    /// The bytes to take out.
    pub(crate) range: Range<usize>,
    /// The new text.
    pub(crate) text: String,
}

/// The panic message of a blanked function, which the report of a test looks for.
pub(crate) const MARK: &str = "exercise ";

/// The first line of a function with a simple version, before number and title.
const OPEN: &str = "// Open exercise ";

/// Its second line.
const REPLACE: &str = "// Given, and too simple. Replace it together with these two lines.";

/// The line above the `allow`, which says when to remove it.
const WHEN_TO_REMOVE: &str =
    "// Exercises of this crate are open. Remove these lines when the last one is written.";

/// The lints that open exercises set off; `clippy::todo` and its like would report each exercise again.
const PERMISSION: &str = "#![allow(
    unused,
    unfulfilled_lint_expectations,
    clippy::allow_attributes,
    clippy::needless_pass_by_value,
    clippy::todo,
    reason = \"a body that is still to be written uses neither arguments nor imports\"
)]";

/// Replaces all ranges, from the last to the first so that none moves another.
///
/// # Errors
///
/// Fails if two of them overlap.
pub(crate) fn apply(source: &str, mut edits: Vec<Edit>) -> Result<String> {
    edits.sort_by_key(|edit| edit.range.start);
    let overlap = edits
        .windows(2)
        .any(|pair| pair[0].range.end > pair[1].range.start);
    ensure!(!overlap, "two edits want the same text");
    let mut text = source.to_owned();
    for edit in edits.into_iter().rev() {
        text.replace_range(edit.range, &edit.text);
    }
    Ok(text)
}

/// A function that is to be written.
#[derive(Clone, Debug)]
pub(crate) struct Blank {
    /// Where it is.
    pub(crate) item: ItemPath,
    /// Number and title of its exercise.
    pub(crate) exercise: String,
    /// The body that it has until then, with its braces; `None` for a `todo!`.
    pub(crate) simple: Option<String>,
}

/// Replaces the bodies of functions by `todo!("exercise ID: TITLE")`, or by the simple version that is given.
///
/// # Errors
///
/// Fails if a function is not there or cannot be an exercise.
pub(crate) fn blank(source: &str, open: &[Blank]) -> Result<String> {
    let edits = open.iter().map(|blank| {
        let function = blank.item.find(source)?;
        let indent = indent_at(source, function.whole.start);
        let name = &blank.exercise;
        let text = match &blank.simple {
            None => format!("{{\n{indent}    todo!(\"{MARK}{name}\")\n{indent}}}"),
            Some(body) => {
                let rest = body.trim_start_matches('{').trim_start_matches('\n');
                // Two braces without a line between them are an empty body.
                let end = if rest == "}" { indent } else { "" };
                format!("{{\n{indent}    {OPEN}{name}\n{indent}    {REPLACE}\n{end}{rest}")
            }
        };
        let range = function.body;
        Ok(Edit { range, text })
    });
    let edits = edits.collect::<Result<Vec<_>>>()?;
    apply(source, edits)
}

/// Inserts the `allow` for unused code at the top of a crate's first file.
///
/// # Errors
///
/// Fails if the text is not Rust, or has no item.
pub(crate) fn permit_unused(source: &str) -> Result<String> {
    let file = syn::parse_file(source)?;
    let first = file.items.first().context("a file without items")?;
    let start = first.span().byte_range().start;
    let text = format!("{WHEN_TO_REMOVE}\n{PERMISSION}\n\n");
    let range = start..start;
    apply(source, vec![Edit { range, text }])
}

/// Returns the exercises whose mark is in a text.
pub(crate) fn marks(source: &str) -> Vec<String> {
    let marked = |mark| source.split(mark).skip(1);
    marked("todo!(\"exercise ")
        .chain(marked(OPEN))
        .filter_map(|rest| Some(rest.split_once(':')?.0.to_owned()))
        .collect()
}

fn indent_at(source: &str, position: usize) -> &str {
    let line = source[..position].rfind('\n').map_or(0, |end| end + 1);
    &source[line..position]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
//! A crate.

// A comment that stays.
use std::io;

/// Doc that stays.
fn one(x: u8) -> u8 {
    // The thought that a student shall have.
    x + 1
}

impl Thing {
    /// Two.
    #[must_use]
    fn two(&self) {}
}
";

    fn path(item: &str) -> ItemPath {
        format!("x/src/lib.rs::{item}").parse().unwrap()
    }

    fn blank_of(item: &str, exercise: &str, simple: Option<&str>) -> Blank {
        Blank {
            item: path(item),
            exercise: exercise.to_owned(),
            simple: simple.map(str::to_owned),
        }
    }

    #[test]
    fn a_simple_version_takes_the_place_of_a_body_and_is_marked() {
        let open = [
            blank_of("one", "1.1: one", Some("{\n    // Simple.\n    x\n}")),
            blank_of("Thing::two", "1.2: two", Some("{}")),
        ];
        let text = blank(SOURCE, &open).unwrap();
        let expected = SOURCE
            .replace(
                "    // The thought that a student shall have.\n    x + 1\n",
                &format!("    // Open exercise 1.1: one\n    {REPLACE}\n    // Simple.\n    x\n"),
            )
            .replace(
                "{}",
                &format!("{{\n        // Open exercise 1.2: two\n        {REPLACE}\n    }}"),
            );
        assert_eq!(text, expected);
        assert_eq!(marks(&text), ["1.1", "1.2"]);
    }

    #[test]
    fn bodies_become_todo_and_nothing_else_changes() {
        let open = [
            blank_of("one", "1.1: one", None),
            blank_of("Thing::two", "1.2: two", None),
        ];
        let text = blank(SOURCE, &open).unwrap();
        let expected = SOURCE
            .replace(
                "    // The thought that a student shall have.\n    x + 1\n",
                "    todo!(\"exercise 1.1: one\")\n",
            )
            .replace("{}", "{\n        todo!(\"exercise 1.2: two\")\n    }");
        assert_eq!(text, expected);
        assert_eq!(marks(&text), ["1.1", "1.2"]);
    }

    #[test]
    fn nothing_open_changes_nothing() {
        assert_eq!(blank(SOURCE, &[]).unwrap(), SOURCE);
        assert!(marks(SOURCE).is_empty());
    }

    #[test]
    fn the_permission_stands_between_the_docs_and_the_first_item() {
        let text = permit_unused(SOURCE).unwrap();
        let (before, after) = text.split_once(WHEN_TO_REMOVE).unwrap();
        assert!(before.starts_with("//! A crate.\n"));
        assert!(after.contains(")]\n\nuse std::io;"));
        assert!(syn::parse_file(&text).is_ok());
    }

    #[test]
    fn overlapping_edits_are_refused() {
        let edit = |range| Edit {
            range,
            text: String::new(),
        };
        assert!(apply("abcdef", vec![edit(0..3), edit(2..4)]).is_err());
        assert_eq!(apply("abcdef", vec![edit(4..5), edit(0..3)]).unwrap(), "df");
    }
}
