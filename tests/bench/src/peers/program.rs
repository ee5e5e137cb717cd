//! The other programs: where they are installed, and which version they report.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where servers are installed, although many PATHs lack it.
const SERVER_FOLDERS: [&str; 2] = ["/usr/local/sbin", "/usr/sbin"];

/// Searches for a program of the distribution; the error says how to install it.
pub(super) fn find(program: &str, packages: &str) -> Result<(), String> {
    find_or(program, &format!("apt-get install {packages}"))
}

/// Searches for a program; the error says by which command it can be installed.
pub(super) fn find_or(program: &str, install: &str) -> Result<(), String> {
    match locate(program) {
        Some(_) => Ok(()),
        None => Err(format!("{program} is not installed: `{install}`")),
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

/// Returns the version of a package, for a program that does not tell its own: `dpkg-query(1)`.
pub(super) fn package_version(package: &str) -> Option<String> {
    let mut command = Command::new("dpkg-query");
    let output = command
        .args(["--show", "--showformat", "${Package} ${Version}", package])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let is_known = output.status.success();
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (is_known && !text.is_empty()).then_some(text)
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
