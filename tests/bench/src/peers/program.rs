//! The other programs: where they are installed, and which version they report.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where servers are installed, although many PATHs lack it.
const SERVER_FOLDERS: [&str; 2] = ["/usr/local/sbin", "/usr/sbin"];

/// Searches for a program; the error says how to install it.
pub(super) fn find(program: &str, packages: &str) -> Result<(), String> {
    match locate(program) {
        Some(_) => Ok(()),
        None => Err(format!(
            "{program} is not installed: `apt-get install {packages}`"
        )),
    }
}

/// Creates a command that runs a program from the folder in which it was found.
pub(super) fn command(program: &str) -> Command {
    Command::new(locate(program).unwrap_or_else(|| program.into()))
}

fn locate(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let servers = SERVER_FOLDERS.map(PathBuf::from);
    let mut places = env::split_paths(&path)
        .chain(servers)
        .map(|folder| folder.join(program));
    places.find(|place| place.is_file())
}

/// Returns the line in which a program names its version, on stdout or stderr.
pub(super) fn version(program: &str, flag: &str) -> Option<String> {
    version_line(command(program).arg(flag))
}

/// Returns the same line of a program at a path.
pub(super) fn version_at(path: &Path, flag: &str) -> Option<String> {
    version_line(Command::new(path).arg(flag))
}

fn version_line(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines();
    let named = lines.find(|line| line.to_lowercase().contains("version"));
    let line = named.or_else(|| text.lines().next())?;
    Some(line.split(" - ").next()?.trim().to_owned())
}
