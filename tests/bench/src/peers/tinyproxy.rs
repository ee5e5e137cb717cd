//! tinyproxy: a thread for each HTTP client, which closes behind each response.

use std::fs;
use std::io;

use crate::limits::session_capacity;
use crate::peers::{Launch, Place, program};

pub(super) fn launch(place: &Place<'_>) -> io::Result<Launch> {
    let file = place.folder.join("tinyproxy.conf");
    fs::write(&file, config(place))?;
    let mut command = program::command("tinyproxy");
    // -d: in the foreground.
    command.arg("-d").arg("-c").arg(file);
    Ok(Launch {
        command,
        forks: false,
    })
}

fn config(place: &Place<'_>) -> String {
    let (ip, port, sessions) = (place.listen.ip(), place.listen.port(), session_capacity());
    format!(
        "Listen {ip}
Port {port}
MaxClients {sessions}
Timeout 600
Allow 127.0.0.1
LogLevel Critical
"
    )
}
