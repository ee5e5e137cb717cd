//! systemd-socket-proxyd, which splices; it takes its listener from another program.

use std::path::Path;

use crate::peers::{Launch, Place, program};

const PROGRAM: &str = "/lib/systemd/systemd-socket-proxyd";

pub(super) fn find() -> Result<(), String> {
    if Path::new(PROGRAM).exists() {
        return program::find("systemd-socket-activate", "systemd");
    }
    Err(format!(
        "{PROGRAM} does not exist: `apt-get install systemd`"
    ))
}

pub(super) fn version() -> Option<String> {
    let version = program::version_at(Path::new(PROGRAM), "--version")?;
    Some(version.replacen("systemd", "systemd-socket-proxyd", 1))
}

/// The first program listens, and becomes the second one as soon as a client comes: `systemd-socket-activate(1)`.
pub(super) fn launch(place: &Place<'_>) -> Launch {
    let (listen, upstream) = (place.listen.to_string(), place.upstream.to_string());
    let sessions = place.session_capacity();
    let mut command = program::command("systemd-socket-activate");
    command.args(["--listen", &listen, PROGRAM]);
    command
        .arg(format!("--connections-max={sessions}"))
        .arg(upstream);
    Launch {
        command,
        forks: false,
    }
}
