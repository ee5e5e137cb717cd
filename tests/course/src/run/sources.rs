//! The files that the compiler has read, because code that includes files from elsewhere could include the reference.
//!
//! `include!`, `include_str!`, `#[path]` and whatever else leads to a file end up in the dependency files that the compiler
//! writes beside its output, one line `output: file file ...` for each.

use std::fs;
use std::path::{Path, PathBuf};

/// Finds a file outside of `root` that was read for one of the artifacts of a build.
pub(super) fn foreign(root: &Path, artifacts: &[PathBuf]) -> Option<PathBuf> {
    let texts = artifacts
        .iter()
        .filter_map(|artifact| fs::read_to_string(dependency_file(artifact)?).ok());
    let files: Vec<PathBuf> = texts.flat_map(|text| files(&text)).collect();
    files.into_iter().find(|file| is_outside(root, file))
}

/// `deps/libname-1234.rlib` and `deps/name-1234` have `deps/name-1234.d`.
fn dependency_file(artifact: &Path) -> Option<PathBuf> {
    let name = artifact.file_stem()?.to_str()?;
    let is_library = artifact.extension().is_some();
    let name = name
        .strip_prefix("lib")
        .filter(|_| is_library)
        .unwrap_or(name);
    Some(artifact.with_file_name(format!("{name}.d")))
}

/// Reads the files behind the first colon of each rule; a space in a name is written `\ `.
fn files(text: &str) -> Vec<PathBuf> {
    let rules = text.lines().filter(|line| !line.starts_with('#'));
    let lists = rules.filter_map(|line| Some(line.split_once(": ")?.1));
    let names = lists.flat_map(|list| {
        let list = list.replace("\\ ", "\0");
        let names: Vec<_> = list
            .split_whitespace()
            .map(|name| PathBuf::from(name.replace('\0', " ")))
            .collect();
        names
    });
    names.collect()
}

fn is_outside(root: &Path, file: &Path) -> bool {
    let file = root.join(file);
    let real = file.canonicalize().unwrap_or(file);
    !real.starts_with(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_from_elsewhere_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let artifact = root.join("libstage9-12.rlib");
        let own = root.join("a b.rs");
        fs::write(&own, "").unwrap();
        let rule = |file: &str| format!("x.d: {file}\n\n# env-dep:A=: b\n");
        let own = own.display().to_string().replace(' ', "\\ ");
        fs::write(root.join("stage9-12.d"), rule(&own)).unwrap();
        assert_eq!(foreign(&root, std::slice::from_ref(&artifact)), None);
        fs::write(root.join("stage9-12.d"), rule("src/lib.rs /etc/hostname")).unwrap();
        assert_eq!(foreign(&root, &[artifact]), Some("/etc/hostname".into()));
    }

    #[test]
    fn libraries_and_programs_have_their_dependency_files() {
        let of = |path: &str| dependency_file(Path::new(path)).unwrap();
        assert_eq!(of("/d/libstage1-1.rmeta"), Path::new("/d/stage1-1.d"));
        assert_eq!(of("/d/stage1-server"), Path::new("/d/stage1-server.d"));
    }
}
