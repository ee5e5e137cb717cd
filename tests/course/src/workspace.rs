//! Where the course lies, and how its programs are built.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Returns the folder that holds the workspace's Cargo.toml.
///
/// `cargo run` says where this package lies now; the folder of the build would be wrong after a move.
pub(crate) fn root() -> Result<PathBuf> {
    let package =
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&package).join("../..");
    root.canonicalize()
        .with_context(|| format!("cannot find the course's folder {}", root.display()))
}

/// Builds a program of the workspace and returns where it lies.
///
/// # Errors
/// When cargo cannot be started, or the program does not compile.
pub(crate) fn build(program: &str) -> Result<PathBuf> {
    let messages = messages_of_build(&["--package", program, "--bin", program])?;
    executable(&messages, program)
        .with_context(|| format!("cargo did not say where it put {program}"))
}

/// Builds all programs of some packages and returns where they lie.
///
/// # Errors
/// When cargo cannot be started, or something does not compile.
#[cfg(feature = "book")]
pub(crate) fn build_all(packages: &[&str]) -> Result<Vec<PathBuf>> {
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    let arguments: Vec<&str> = ["--bins"].into_iter().chain(packages).collect();
    let messages = messages_of_build(&arguments)?;
    let values = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let programs = values.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    Ok(programs.collect())
}

/// Runs `cargo build` with these arguments and returns its messages, one JSON value a line.
fn messages_of_build(arguments: &[&str]) -> Result<String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet"])
        .arg("--message-format=json-render-diagnostics")
        .args(arguments)
        .current_dir(root()?)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "the programs do not compile: see the messages above"
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Finds the program's path in the messages of `cargo build`, one JSON value a line.
fn executable(messages: &str, program: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == program)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_told_from_the_library_of_the_same_name() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"stage9"},"executable":null}
not JSON
{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/t/other"}
{"reason":"compiler-artifact","target":{"name":"stage9"},"executable":"/t/stage9"}"#;
        assert_eq!(executable(messages, "stage9"), Some("/t/stage9".into()));
        assert_eq!(executable(messages, "stage8"), None);
    }

    #[test]
    fn the_root_holds_the_manifest() {
        assert!(root().unwrap().join("stage1-server/Cargo.toml").is_file());
    }
}
