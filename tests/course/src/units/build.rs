//! Builds the unit tests, and tells where the compiler has found faults.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::run::build::{self, Site, cargo};
use crate::run::guard::Guard;
use crate::units::pristine::{FOLDER, target};
use course::manifest::Stage;

/// The outcome of a build.
#[derive(Debug)]
pub(super) enum Compiled {
    /// The executable.
    Ready(PathBuf),
    /// The errors, or an empty list if there is no message that tells.
    Broken(Vec<Fault>),
}

/// An error of the compiler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fault {
    /// The file, below the copy of `src`.
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) text: String,
}

impl Fault {
    /// Describes it, with its place.
    pub(super) fn in_words(&self) -> String {
        let (text, file, line) = (&self.text, self.file.display(), self.line);
        if self.line == 0 {
            return text.clone();
        }
        format!("{text} (line {line} of src/{file}, with the handed-out tests)")
    }
}

/// Builds the test target, confined if there is a guard.
///
/// # Errors
///
/// Fails if cargo cannot be started.
pub(super) fn build(site: &Site, stage: &Stage, guard: Option<&Guard>) -> Result<Compiled> {
    let command = match guard {
        Some(guard) => guard.cargo(&site.root, &site.target),
        None => Command::new(cargo()),
    };
    let name = target(stage);
    let output = site.order(command, stage, &name, "json").output();
    let output = output.context("cannot start cargo")?;
    let messages = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let copy = Path::new(stage.package()).join(FOLDER);
        let mut faults = faults(&messages, &copy);
        if faults.is_empty() {
            let text = String::from_utf8_lossy(&output.stderr);
            faults.push(Fault {
                text: format!("they could not be built: {}", text.trim()),
                ..Fault::default()
            });
        }
        return Ok(Compiled::Broken(faults));
    }
    if let Some(file) = build::foreign(&messages, &site.root) {
        let text = format!(
            "the code takes in a file that is not its own: {}",
            file.display()
        );
        return Ok(Compiled::Broken(vec![Fault {
            text,
            ..Fault::default()
        }]));
    }
    let found = build::executable(&messages, &name);
    let found = found.with_context(|| format!("cargo did not say where {name} is"))?;
    Ok(Compiled::Ready(found))
}

/// Collects the errors out of cargo's messages, with their places below a folder.
fn faults(messages: &str, folder: &Path) -> Vec<Fault> {
    let values = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let errors = values.filter(|value| value["message"]["level"] == "error");
    errors
        .filter_map(|value| fault(&value["message"], folder))
        .collect()
}

/// Reads one error; the last one of a build only counts the others and has no place.
fn fault(message: &Value, folder: &Path) -> Option<Fault> {
    let spans = message["spans"].as_array()?;
    let span = spans.iter().find(|span| span["is_primary"] == true)?;
    let file = Path::new(span["file_name"].as_str()?);
    let code = message["code"]["code"].as_str();
    let code = code.map_or_else(String::new, |code| format!("[{code}]"));
    let text = format!("error{code}: {}", message["message"].as_str()?);
    let line = span["line_start"]
        .as_u64()
        .and_then(|line| usize::try_from(line).ok());
    Some(match file.strip_prefix(folder) {
        Ok(file) => Fault {
            file: file.to_owned(),
            line: line?,
            text,
        },
        Err(_) => Fault {
            text,
            ..Fault::default()
        },
    })
}
