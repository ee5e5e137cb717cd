//! The two editions of the book: the whole one, and the one for students.
//!
//! The whole book shows functions that are exercises, folded, and small changes of them. In the edition for students, these
//! functions are as blank as in a workspace, and a change is described by the belief behind it, so that the folder can be
//! published without a single solution.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use course::item::ItemPath;
use course::manifest::{Exercise, Manifest};

/// The edition to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edition {
    /// With solutions, folded: for instructors, and for readers of the finished code.
    Whole,
    /// Without.
    Students,
}

/// Returns the exercise that asks for an item.
pub(crate) fn exercise_of<'a>(manifest: &'a Manifest, path: &ItemPath) -> Option<&'a Exercise> {
    let name = path.to_string();
    let mut all = manifest.exercises().map(|(_, exercise)| exercise);
    all.find(|exercise| exercise.items.iter().any(|item| *item.as_ref() == name))
}

/// Replaces the body of an exercise's function in the text of its file, as the starter does where it gives no simple
/// version.
///
/// # Errors
///
/// Fails if the function is not there.
pub(crate) fn without_body(source: &str, path: &ItemPath, exercise: &Exercise) -> Result<String> {
    let function = path.find(source)?;
    let start = source[..function.whole.start]
        .rfind('\n')
        .map_or(0, |end| end + 1);
    let indent = &source[start..function.whole.start];
    let name = exercise.name();
    let mut text = source.to_owned();
    let body = format!("{{\n{indent}    todo!(\"exercise {name}\")\n{indent}}}");
    text.replace_range(function.body, &body);
    Ok(text)
}

/// Checks that a folder does not exist or is empty, because mdBook empties the folder into which it builds.
///
/// # Errors
///
/// Fails if it holds something.
pub(crate) fn must_be_empty(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    ensure!(folder.is_dir(), "{} is not a folder", folder.display());
    if folder.read_dir()?.next().is_some() {
        bail!("{} is not empty: choose another folder", folder.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::preprocess::load;
    use course::manifest::anchor;
    use course::workspace;

    /// The lines of a solution that are long enough to recognize, without the indentation.
    fn telling_lines(body: &str) -> impl Iterator<Item = &str> {
        body.lines()
            .map(str::trim)
            .filter(|line| line.len() > 30 && !line.starts_with("//"))
    }

    fn unescaped(page: &str) -> String {
        let mut text = page.to_owned();
        for (code, sign) in [
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&quot;", "\""),
            ("&#39;", "'"),
        ] {
            text = text.replace(code, sign);
        }
        text.replace("&amp;", "&")
    }

    #[test]
    fn the_edition_for_students_has_every_box_and_no_solution() {
        let root = workspace::root().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut book = load(&root, Edition::Students).unwrap();
        book.config.build.build_dir = folder.path().join("book");
        book.build().unwrap();
        let manifest = Manifest::load(&root).unwrap();
        let mut pages = String::new();
        for file in course::listing::below(&folder.path().join("book"), "html").unwrap() {
            pages += &unescaped(&fs::read_to_string(file).unwrap());
        }
        for (_, exercise) in manifest.exercises() {
            let page = folder.path().join("book").join(exercise.page());
            let text = fs::read_to_string(&page).unwrap();
            let place = format!("id=\"{}\"", anchor(exercise.id()));
            assert!(text.contains(&place), "{} has no {place}", page.display());
            for item in exercise.items().unwrap() {
                let (source, function) = item.read(&root).unwrap();
                let body = &source[function.body.clone()];
                let elsewhere = source.replacen(body, "", 1);
                let shown: Vec<_> = telling_lines(body)
                    .filter(|line| !elsewhere.contains(line) && pages.contains(line))
                    .collect();
                let all = telling_lines(body).count();
                assert!(shown.len() * 3 <= all, "{item}: {shown:#?}");
            }
        }
    }

    #[test]
    fn a_folder_with_something_in_it_is_not_emptied() {
        let folder = tempfile::tempdir().unwrap();
        must_be_empty(folder.path()).unwrap();
        must_be_empty(&folder.path().join("new")).unwrap();
        fs::write(folder.path().join("mine"), "").unwrap();
        assert!(must_be_empty(folder.path()).is_err());
        assert!(must_be_empty(&folder.path().join("mine")).is_err());
    }
}
