//! The relays on the crates `yamux` and `tokio-yamux`: `tests/bench/peers`, a package outside the workspace.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::peers::Launch;
use crate::peers::tunnel::EndPlace;

/// The package with both programs.
const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");
/// The programs that it becomes.
const TARGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/bench-peers");
/// What it was built from.
const LOCK: &str = include_str!("../../../peers/Cargo.lock");

/// They are part of this tree, and built when they are measured.
pub(super) fn find() -> Result<(), String> {
    if Path::new(PACKAGE).is_dir() {
        return Ok(());
    }
    Err(format!("{PACKAGE} is not there: measure from a checkout"))
}

/// Builds both, once in a run.
pub(super) fn build() -> Result<(), String> {
    static OUTCOME: OnceLock<Result<(), String>> = OnceLock::new();
    OUTCOME.get_or_init(build_once).clone()
}

fn build_once() -> Result<(), String> {
    eprintln!("relay-bench: building the relays on yamux and tokio-yamux in release ...");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--release",
        "--quiet",
        "--locked",
        "--target-dir",
        TARGET,
    ]);
    let status = command.current_dir(PACKAGE).stdin(Stdio::null()).status();
    if status.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err("the relays on yamux and tokio-yamux do not build: `cd tests/bench/peers && cargo build --release`, with access to crates.io".into())
}

/// Returns the version of a crate in the lock file.
pub(super) fn version(name: &str) -> Option<String> {
    let mut lines = LOCK.lines();
    lines.find(|line| *line == format!("name = {name:?}"))?;
    let version = lines.next()?.strip_prefix("version = ")?;
    Some(format!("{name} {}", version.trim_matches('"')))
}

pub(super) fn server(name: &str, place: &EndPlace<'_>, upstream: SocketAddr) -> Launch {
    launch(
        name,
        ["server", &place.link.to_string(), &upstream.to_string()],
    )
}

pub(super) fn client(name: &str, place: &EndPlace<'_>, listen: SocketAddr) -> Launch {
    launch(
        name,
        ["client", &listen.to_string(), &place.link.to_string()],
    )
}

fn launch(name: &str, arguments: [&str; 3]) -> Launch {
    let path: PathBuf = [TARGET, "release", &format!("{name}-relay")]
        .iter()
        .collect();
    let mut command = Command::new(path);
    command.args(arguments);
    Launch {
        command,
        forks: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        let found = version("yamux").unwrap();
        assert!(found.starts_with("yamux 0."), "{found}");
        assert_eq!(version("no-such-crate"), None);
    }
}
