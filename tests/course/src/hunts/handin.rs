//! The scripts that a workspace or a submission has for hunts: `hunts/NAME/hunt.py`, or any executable named `hunt`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use course::listing;
use course::manifest::Hunt;

/// The folder of the student's hunts.
pub(crate) const FOLDER: &str = "hunts";
/// The stem of a script's name; the rest is free: `hunt.py`, `hunt.sh`, `hunt`.
const STEM: &str = "hunt";
/// The most bytes of a script, which may be a compiled program.
const BYTES: u64 = 64 << 20;

/// Returns the folder of a hunt.
pub(crate) fn folder(root: &Path, hunt: &Hunt) -> PathBuf {
    root.join(FOLDER).join(hunt.name())
}

/// Finds the script for a hunt; `None` if there is none.
///
/// # Errors
///
/// Fails if there are several, or it is a link or too large.
pub(crate) fn script(root: &Path, hunt: &Hunt) -> Result<Option<PathBuf>> {
    let folder = folder(root, hunt);
    if !folder.is_dir() {
        return Ok(None);
    }
    // Refused, because a link could lead to another student's work.
    for path in [root.join(FOLDER), folder.clone()] {
        ensure!(!path.is_symlink(), "{} is a link", path.display());
    }
    let mut found = listing::entries(&folder)?;
    found.retain(|path| path.file_stem().is_some_and(|stem| stem == STEM));
    match found.as_slice() {
        [] => Ok(None),
        [script] => {
            let data = fs::symlink_metadata(script)?;
            ensure!(data.is_file(), "{} is no regular file", script.display());
            ensure!(data.len() <= BYTES, "{} is too large", script.display());
            Ok(Some(script.clone()))
        }
        _ => bail!(
            "{} has several scripts named {STEM}: leave one",
            folder.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use course::manifest::Manifest;
    use course::workspace;

    #[test]
    fn a_script_is_one_regular_file() {
        let manifest = Manifest::load(&workspace::root().unwrap()).unwrap();
        let (_, hunt) = manifest.hunts().next().unwrap();
        let root = tempfile::tempdir().unwrap();
        let (root, place) = (root.path(), folder(root.path(), hunt));
        assert_eq!(script(root, hunt).unwrap(), None);
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("hunting.py"), "").unwrap();
        assert_eq!(script(root, hunt).unwrap(), None);
        fs::write(place.join("hunt.py"), "").unwrap();
        assert_eq!(script(root, hunt).unwrap(), Some(place.join("hunt.py")));
        std::os::unix::fs::symlink("/bin/true", place.join("hunt")).unwrap();
        assert!(script(root, hunt).is_err());
        fs::remove_file(place.join("hunt.py")).unwrap();
        let error = script(root, hunt).unwrap_err();
        assert!(error.to_string().contains("regular"), "{error}");
    }
}
