//! The folder of a hunt in a workspace: the report of the symptom, the program, and the beginning of a script.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::hunts::handin;
use crate::hunts::kit::Programs;
use course::hunt::{FOLDER, HELP};
use course::manifest::{Hunt, Stage};

const README: &str = include_str!("README.md.txt");
const SERVER: &str = include_str!("server.py.txt");
const CLIENT: &str = include_str!("client.py.txt");
/// The stage whose program is a client.
const STAGE_OF_THE_CLIENT: &str = "stage2";
/// The name of a script that is begun here.
const SCRIPT: &str = "hunt.py";

/// Writes the folder and returns it; a script that is there already stays.
///
/// # Errors
///
/// Fails if something cannot be read or written.
pub(super) fn write(
    root: &Path,
    stage: &Stage,
    hunt: &Hunt,
    programs: &Programs,
) -> Result<PathBuf> {
    let folder = handin::folder(root, hunt);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let report = fs::read_to_string(root.join(hunt.report()))
        .with_context(|| format!("cannot read {}", hunt.report().display()))?;
    let readme = README
        .replace("TITLE", &hunt.title)
        .replace("NAME", hunt.name())
        .replace("REPORT\n", &report);
    write_file(&folder.join("README.md"), readme.as_bytes(), 0o644)?;
    let help = fs::read(root.join(FOLDER).join(HELP))?;
    write_file(&folder.join(HELP), &help, 0o644)?;
    if let Some(reference) = programs.right.first() {
        for (from, to) in [(&programs.wrong, "program"), (reference, "right-program")] {
            write_file(&folder.join(to), &fs::read(from)?, 0o755)?;
        }
    }
    if handin::script(root, hunt)?.is_none() {
        let text = if stage.id() == STAGE_OF_THE_CLIENT {
            CLIENT
        } else {
            SERVER
        };
        write_file(&folder.join(SCRIPT), text.as_bytes(), 0o755)?;
    }
    Ok(folder)
}

/// Writes a file; the old one is removed first, because it may be a program that runs.
fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(())
}
