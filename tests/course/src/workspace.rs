//! The folder of the course.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Returns the folder that holds the workspace's Cargo.toml.
///
/// Of the packages that use this library, `cargo run` names the running one, and all of them are in `tests/`. The folder at
/// the time of the build is only the second choice, because it is wrong after the course has been moved.
///
/// # Errors
///
/// Fails if the folder does not exist any more.
pub fn root() -> Result<PathBuf> {
    let package =
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&package).join("../..");
    root.canonicalize()
        .with_context(|| format!("cannot find the course's folder {}", root.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_manifest() {
        assert!(root().unwrap().join("stage1-server/Cargo.toml").is_file());
    }
}
