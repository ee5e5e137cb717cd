//! Dependencies that are compiled already: a workbench takes them over, from the course's own folder for cargo's output or
//! from another workbench.
//!
//! Cargo names an artifact by a hash of everything that it depends on: version, features, profile, compiler. A copied artifact
//! that does not fit has another name, and is never looked at. Those of the course's own packages are left
//! out: their folder is part of the hash, and a test executable contains the path of the program that it starts.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Where cargo keeps the artifacts of dependencies.
const FOLDERS: [&str; 3] = [".fingerprint", "build", "deps"];

/// Copies the compiled dependencies of the course at `root` from one folder for cargo's output to another, with the times
/// of their files, by which cargo knows what is up to date.
///
/// # Errors
///
/// Fails if they cannot be copied; it is no failure that there are none.
pub(crate) fn take_over(root: &Path, from: &Path, to: &Path) -> Result<()> {
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let external = external(&lock);
    // Cargo has it exclusively while it builds.
    let lock = File::open(from.join("debug/.cargo-lock"));
    lock.iter().try_for_each(File::lock_shared)?;
    for folder in FOLDERS {
        let (from, to) = (
            from.join("debug").join(folder),
            to.join("debug").join(folder),
        );
        let names = dependencies(&from, &external)?;
        if names.is_empty() {
            continue;
        }
        fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
        let mut copy = Command::new("cp");
        copy.arg("-a").arg("-t").arg(&to).args(names);
        let status = copy.current_dir(&from).status();
        ensure!(
            status.context("cannot start cp")?.success(),
            "cannot copy from {}",
            from.display()
        );
    }
    Ok(())
}

/// Lists the packages of a lock file that come from elsewhere, as they are called in code.
fn external(lock: &str) -> HashSet<String> {
    let name = |package: &str| {
        let name = package
            .lines()
            .find_map(|line| line.strip_prefix("name = "));
        let is_external = package.lines().any(|line| line.starts_with("source = "));
        is_external.then_some(name?.trim_matches('"').replace('-', "_"))
    };
    lock.split("[[package]]").filter_map(name).collect()
}

/// Lists the entries of a folder that belong to these packages; none, if there is no such folder.
fn dependencies(folder: &Path, packages: &HashSet<String>) -> Result<Vec<OsString>> {
    if !folder.is_dir() {
        return Ok(vec![]);
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if is_of(&name.to_string_lossy(), packages) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Returns whether an artifact, such as `libserde_json-0123456789abcdef.rlib` or `serde_json-0123456789abcdef`, belongs to
/// one of these packages.
fn is_of(artifact: &str, packages: &HashSet<String>) -> bool {
    let Some((name, _)) = artifact.rsplit_once('-') else {
        return false;
    };
    let name = name.replace('-', "_");
    let library = name.strip_prefix("lib").unwrap_or(&name);
    packages.contains(&name) || packages.contains(library)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
[[package]]
name = "serde_json"
source = "registry"

[[package]]
name = "stage1-server"

[[package]]
name = "tower-http"
source = "registry"
"#;

    #[test]
    fn only_what_comes_from_elsewhere_is_a_dependency() {
        let packages = external(LOCK);
        for (artifact, is_dependency) in [
            ("libserde_json-0123456789abcdef.rlib", true),
            ("serde_json-0123456789abcdef", true),
            ("tower-http-0123456789abcdef", true),
            ("libtower_http-0123456789abcdef.rmeta", true),
            ("libstage1_server-0123456789abcdef.rlib", false),
            ("stage1-server-0123456789abcdef", false),
            ("stage1", false),
        ] {
            assert_eq!(is_of(artifact, &packages), is_dependency, "{artifact}");
        }
    }

    #[test]
    fn compiled_dependencies_are_copied_with_their_times() {
        let folder = tempfile::tempdir().unwrap();
        let (root, to) = (folder.path(), folder.path().join("to"));
        fs::write(root.join("Cargo.lock"), LOCK).unwrap();
        take_over(root, &root.join("nothing"), &to).unwrap();
        assert!(!to.exists());
        let deps = root.join("from/debug/deps");
        fs::create_dir_all(&deps).unwrap();
        fs::write(deps.join("libserde_json-0.rlib"), "it").unwrap();
        fs::write(deps.join("libstage1_server-0.rlib"), "not it").unwrap();
        take_over(root, &root.join("from"), &to).unwrap();
        let copy = to.join("debug/deps/libserde_json-0.rlib");
        let time = |file: &Path| fs::metadata(file).unwrap().modified().unwrap();
        assert_eq!(time(&copy), time(&deps.join("libserde_json-0.rlib")));
        assert!(!to.join("debug/deps/libstage1_server-0.rlib").exists());
    }
}
