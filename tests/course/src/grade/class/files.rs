//! The files of a graded submission, each of them written completely or not at all.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::grade::class::row::{Mark, Row};
use crate::grade::report::{Report, gradescope, markdown, table};

/// The reports for people.
const MARKDOWN: &str = "report.md";
const TEXT: &str = "report.txt";
/// The file that marks a submission as graded.
const RESULTS: &str = "results.json";

/// Creates a folder and those above it.
///
/// # Errors
///
/// Fails if one cannot be created.
pub(super) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

/// Writes the files of a submission: the reports first, and last the results.json that marks it as graded.
///
/// # Errors
///
/// Fails if a file cannot be written.
pub(super) fn write(out: &Path, name: &str, report: &Report, mark: &Mark) -> Result<()> {
    let folder = out.join(name);
    make_folder(&folder)?;
    replace(&folder.join(MARKDOWN), &markdown::render(report))?;
    replace(&folder.join(TEXT), &table::render(report))?;
    let mut value: Value = serde_json::from_str(&gradescope::render(report)?)?;
    value["extra_data"]["mark"] = serde_json::to_value(mark)?;
    let text = serde_json::to_string_pretty(&value)? + "\n";
    replace(&folder.join(RESULTS), &text)
}

/// Reads the result of a submission.
///
/// # Errors
///
/// Fails if there is none, or `grade --all` has not written it.
pub(super) fn read(out: &Path, name: &str) -> Result<Row> {
    let text = fs::read_to_string(out.join(name).join(RESULTS))?;
    Row::parse(name, &serde_json::from_str(&text)?)
}

/// Copies the files of a submission from one folder of results to another, the one that marks it as graded last.
///
/// # Errors
///
/// Fails if one is missing, or cannot be written.
pub(super) fn copy(from: &Path, to: &Path, name: &str) -> Result<()> {
    let (from, to) = (from.join(name), to.join(name));
    make_folder(&to)?;
    for file in [MARKDOWN, TEXT, RESULTS] {
        let path = from.join(file);
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        replace(&to.join(file), &text)?;
    }
    Ok(())
}

/// Replaces a file in one step: writes a temporary file beside it and renames that (`rename(2)`).
///
/// # Errors
///
/// Fails if it cannot be written.
pub(super) fn replace(path: &Path, text: &str) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    fs::write(&beside, text).with_context(|| format!("cannot write {}", path.display()))?;
    fs::rename(&beside, path).with_context(|| format!("cannot write {}", path.display()))
}
