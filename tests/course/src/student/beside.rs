//! The reference's version of an exercise's functions beside the student's, and the beliefs that it is written against.
//!
//! Side by side where the terminal is wide enough, otherwise one below the other.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::solutions::{self, Item, Solution, Solutions};
use crate::starter::Record;
use course::item::ItemPath;
use course::manifest::{Exercise, FILE};

/// The columns of a terminal that does not tell.
const COLUMNS: usize = 80;
/// What is between the two versions.
const GAP: &str = " │ ";

/// Shows a solution after the exercise has passed: one that is released beside the student's, and where to find it otherwise.
///
/// # Errors
///
/// Fails if the record of the workspace is damaged.
pub(super) fn after_pass(root: &Path, exercise: &Exercise) -> Result<()> {
    let Some(record) = Record::read(root)? else {
        return Ok(());
    };
    let released = root.join(solutions::FILE).exists();
    // One that is not released yet, or a file that does not fit, is a matter of `cargo course solution`.
    match find(root, Some(&record), exercise, None) {
        Ok(Some(solution)) if released => print!("\n{}", render(root, &solution)),
        Ok(Some(_)) => println!(
            "Beside the reference's: cargo course solution {}",
            exercise.id()
        ),
        Ok(None) | Err(_) => {}
    }
    Ok(())
}

/// Finds the solution; `None` if it is not on this machine.
///
/// # Errors
///
/// Fails if the file of solutions has none for this exercise, or does not fit.
pub(super) fn find(
    root: &Path,
    record: Option<&Record>,
    exercise: &Exercise,
    file: Option<&Path>,
) -> Result<Option<Solution>> {
    let Some(record) = record else {
        return Solution::of(root, exercise).map(Some);
    };
    let usual = root.join(solutions::FILE);
    if let Some(file) = file.or_else(|| Some(usual.as_path()).filter(|usual| usual.exists())) {
        let released = Solutions::read(file, record.edition.as_deref())?;
        return released.take(exercise).map(Some);
    }
    let reference = record.reference.as_deref().map(Path::new);
    let reference = reference.filter(|reference| reference.join(FILE).is_file());
    reference
        .map(|reference| Solution::of(reference, exercise))
        .transpose()
}

/// Renders all functions of a solution, each beside the student's.
pub(super) fn render(root: &Path, solution: &Solution) -> String {
    let columns = columns().unwrap_or(COLUMNS);
    let mut text = String::new();
    for item in &solution.items {
        let _ = writeln!(text, "// {}\n{}", item.path, versions(root, item, columns));
    }
    if !solution.beliefs.is_empty() {
        text += "It is written so because each of these beliefs is wrong, and has a test that shows it:\n";
        for belief in &solution.beliefs {
            let _ = writeln!(text, "  - {belief}");
        }
    }
    text
}

fn versions(root: &Path, item: &Item, columns: usize) -> String {
    let reference = without_docs(&item.text);
    match mine(root, &item.path) {
        Some(mine) if without_docs(&mine) == reference => {
            format!("Yours is the reference's, letter by letter:\n\n{reference}\n")
        }
        Some(mine) => pair(without_docs(&mine), reference, columns),
        None => format!("{}\n", item.text),
    }
}

/// Returns a function from behind its documentation, which is given and takes much room.
fn without_docs(text: &str) -> &str {
    let docs = text
        .split_inclusive('\n')
        .take_while(|line| line.trim_start().starts_with("///"));
    &text[docs.map(str::len).sum()..]
}

/// Returns the student's function; `None` if it has moved.
fn mine(root: &Path, path: &str) -> Option<String> {
    let item: ItemPath = path.parse().ok()?;
    let (source, function) = item.read(root).ok()?;
    Some(source[function.whole].to_owned())
}

/// Places two texts side by side, or one below the other where there is no room.
fn pair(mine: &str, reference: &str, columns: usize) -> String {
    let width = |text: &str| {
        text.lines()
            .map(|line| line.chars().count())
            .max()
            .unwrap_or(0)
    };
    let (left, right) = (width(mine).max("yours".len()), width(reference));
    if left + GAP.chars().count() + right > columns {
        return format!("// yours\n{mine}\n\n// the reference's\n{reference}\n");
    }
    let (mut one, mut other) = (mine.lines(), reference.lines());
    let mut text = format!("{:left$}{GAP}the reference's\n", "yours");
    loop {
        let (one, other) = match (one.next(), other.next()) {
            (None, None) => return text,
            (one, other) => (one.unwrap_or(""), other.unwrap_or("")),
        };
        text += format!("{one:left$}{GAP}{other}").trim_end();
        text.push('\n');
    }
}

/// Returns the width of the terminal at standard input, as stty(1) knows it.
fn columns() -> Option<usize> {
    let output = Command::new("stty")
        .arg("size")
        .stdin(Stdio::inherit())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: &str = "fn one() {\n    1\n}";
    const REFERENCE: &str = "/// One.\nfn one() {\n    // One.\n    1\n}";

    #[test]
    fn two_versions_are_side_by_side_where_there_is_room() {
        let reference = without_docs(REFERENCE);
        let text = pair(MINE, reference, 80);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "yours      │ the reference's");
        assert_eq!(lines[2], "    1      │     // One.");
        assert_eq!(lines[4], "           │ }");
        let text = pair(MINE, reference, 20);
        assert_eq!(
            text,
            format!("// yours\n{MINE}\n\n// the reference's\n{reference}\n")
        );
    }

    #[test]
    fn a_function_that_is_the_same_is_shown_once_and_beliefs_come_last() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/src")).unwrap();
        std::fs::write(folder.path().join("a/src/lib.rs"), MINE).unwrap();
        let render = |text: &str| {
            versions(
                folder.path(),
                &Item {
                    path: "a/src/lib.rs::one".to_owned(),
                    text: text.to_owned(),
                },
                80,
            )
        };
        assert!(
            render(MINE).starts_with("Yours is the reference's"),
            "{}",
            render(MINE)
        );
        assert!(
            render(REFERENCE).starts_with("yours "),
            "{}",
            render(REFERENCE)
        );
        let moved = Item {
            path: "a/src/gone.rs::one".to_owned(),
            text: REFERENCE.to_owned(),
        };
        assert_eq!(
            versions(folder.path(), &moved, 80),
            format!("{REFERENCE}\n")
        );
    }
}
