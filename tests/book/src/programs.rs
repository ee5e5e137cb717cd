//! The course's programs, built for the transcripts.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use course::workspace;
use serde_json::Value;

/// Builds all programs of some packages and returns their paths.
///
/// # Errors
///
/// Fails if cargo cannot be started, or if something does not compile.
pub(crate) fn build(packages: &[&str]) -> Result<Vec<PathBuf>> {
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--bins"])
        .arg("--message-format=json-render-diagnostics")
        .args(packages)
        .current_dir(workspace::root()?)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "the programs do not compile: see the messages above"
    );
    Ok(executables(&String::from_utf8_lossy(&output.stdout)))
}

/// Finds the paths of programs in the messages of `cargo build`, one JSON value a line.
fn executables(messages: &str) -> Vec<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_among_libraries_and_other_lines() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"stage9"},"executable":null}
not JSON
{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/t/other"}
{"reason":"compiler-artifact","target":{"name":"stage9"},"executable":"/t/stage9"}"#;
        let expected = ["/t/other", "/t/stage9"].map(PathBuf::from);
        assert_eq!(executables(messages), expected);
    }
}
