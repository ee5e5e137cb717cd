//! stage4-proxy: built, started, and asked for its address.

use std::env;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{Launch, Place};
use crate::process::Process;
use crate::wait;

const BINARY: &str = "stage4-proxy";

pub(super) fn launch(place: &Place<'_>, program: &Path) -> Launch {
    let mut command = Command::new(program);
    let (listen, upstream) = (place.listen.to_string(), place.upstream.to_string());
    command
        .args(["--listen", &listen, "--upstream", &upstream])
        .env("RUST_LOG", "error");
    Launch {
        command,
        forks: false,
    }
}

/// Reads the one line `listening on ADDR:PORT`.
pub(super) fn wait_for_address(process: &mut Process) -> io::Result<SocketAddr> {
    const LIMIT: Duration = Duration::from_secs(10);
    let mut address = None;
    wait::until("the line `listening on ADDR:PORT`", LIMIT, || {
        process.check_alive()?;
        let output = process.output()?;
        // Only a whole line: the file may hold the beginning of it.
        let line = output.split_once('\n').map_or("", |(line, _)| line);
        address = line
            .strip_prefix("listening on ")
            .and_then(|text| text.parse().ok());
        Ok(address.is_some())
    })?;
    address.ok_or_else(|| io::Error::other("no address"))
}

/// Builds the proxy in release through the cargo that runs us, and returns its path.
pub(crate) fn build() -> io::Result<PathBuf> {
    eprintln!("relay-bench: building {BINARY} in release ...");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--package", BINARY, "--bin", BINARY])
        .args(["--quiet", "--message-format", "json-render-diagnostics"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(
            "stage4-proxy does not build; `--ours PATH` names another",
        ));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let path = messages.lines().rev().find_map(executable);
    path.ok_or_else(|| io::Error::other("cargo did not say where stage4-proxy is"))
}

/// The path in cargo's message about a finished binary.
fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_ours = message["target"]["name"] == BINARY;
    message["executable"]
        .as_str()
        .filter(|_| is_ours)
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_taken_from_the_right_message() {
        let ours = r#"{"target":{"name":"stage4-proxy"},"executable":"/x/stage4-proxy"}"#;
        let library = r#"{"target":{"name":"stage4_proxy"},"executable":null}"#;
        assert_eq!(executable(ours), Some(PathBuf::from("/x/stage4-proxy")));
        assert_eq!(executable(library), None);
        assert_eq!(executable("not json"), None);
    }
}
