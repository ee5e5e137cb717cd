//! The folders of cargo, rustup and Python, which a confined build or test must still see.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A Python outside of the system's folders.
#[derive(Clone, Debug)]
pub(super) struct Python {
    /// Its folder, with `bin` and `lib`.
    pub(super) prefix: PathBuf,
}

impl Python {
    /// Prepends it to a search path.
    pub(super) fn first_in(&self, path: &OsStr) -> OsString {
        let all = [self.prefix.join("bin")]
            .into_iter()
            .chain(env::split_paths(path));
        env::join_paths(all).unwrap_or_else(|_| path.to_owned())
    }
}

/// Returns the cargo that runs us, or the one in the path.
pub(crate) fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Returns the folders of cargo and rustup.
pub(super) fn homes() -> Vec<PathBuf> {
    let all = [home("CARGO_HOME", ".cargo"), rustup_home()];
    let mut found: Vec<_> = all.into_iter().flatten().collect();
    // A cargo that rustup has not installed may be anywhere.
    if let Some(folder) = Path::new(&cargo()).parent().and_then(Path::parent)
        && folder.join("lib/rustlib").is_dir()
    {
        found.push(folder.to_owned());
    }
    found.retain(|folder| folder.is_dir());
    found
}

/// Returns the folder of rustup.
pub(super) fn rustup_home() -> Option<PathBuf> {
    home("RUSTUP_HOME", ".rustup")
}

/// Returns the variables that cargo and rustup need to find their folders.
pub(super) fn environment() -> Vec<(String, OsString)> {
    let is_theirs =
        |name: &str| ["CARGO_HOME", "CARGO", "HOME"].contains(&name) || name.starts_with("RUSTUP_");
    env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| is_theirs(name))
        .collect()
}

fn home(variable: &str, folder: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(folder)))
}

/// Finds the Python of the search path, if it is not the system's: one of pyenv, conda, or an environment of its own.
pub(super) fn python() -> Option<&'static Python> {
    static FOUND: OnceLock<Option<Python>> = OnceLock::new();
    FOUND.get_or_init(find_python).as_ref()
}

fn find_python() -> Option<Python> {
    let output = Command::new("python3")
        .args(["-c", "import sys; print(sys.base_prefix)"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let prefix = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    let is_foreign = prefix.join("bin/python3").exists() && !prefix.starts_with("/usr");
    is_foreign.then_some(Python { prefix })
}
