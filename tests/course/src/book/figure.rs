//! `{{#figure NAME}}`: a picture with its caption.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Returns `book/figures/NAME.svg` with the caption of `book/figures/NAME.txt` as a block of HTML.
///
/// # Errors
/// When one of them is not there, or the source has no title.
pub(crate) fn html(root: &Path, name: &str) -> Result<String> {
    let read = |ending| {
        let path = root.join("book/figures").join(name).with_extension(ending);
        fs::read_to_string(path)
            .with_context(|| format!("there is no book/figures/{name}.{ending}"))
    };
    let (svg, source) = (read("svg")?, read("txt")?);
    let title = source.lines().find_map(|line| line.strip_prefix("Title:"));
    let title = title
        .with_context(|| format!("book/figures/{name}.txt has no title"))?
        .trim();
    let svg: String = svg
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| format!("{line}\n"))
        .collect();
    Ok(format!(
        "<figure class=\"figure\" id=\"figure-{name}\">\n{svg}<figcaption>{title}</figcaption>\n</figure>\n"
    ))
}
