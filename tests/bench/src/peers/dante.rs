//! Dante's SOCKS server: one process for each task, and each client passed from one to the next.

use std::fs;
use std::io;

use nix::unistd::Uid;

use crate::peers::{Launch, Place, program};

pub(super) fn launch(place: &Place<'_>) -> io::Result<Launch> {
    let file = place.folder.join("danted.conf");
    fs::write(&file, config(place))?;
    let mut command = program::command("danted");
    command.arg("-f").arg(file);
    command.arg("-p").arg(place.folder.join("danted.pid"));
    Ok(Launch {
        command,
        forks: true,
    })
}

/// Returns its configuration: no password, no log of sessions, every target of this machine.
fn config(place: &Place<'_>) -> String {
    let (ip, port) = (place.listen.ip(), place.listen.port());
    // Only the superuser can become another user, and Dante wants to if it may.
    let users = if Uid::effective().is_root() {
        "user.privileged: root\nuser.unprivileged: nobody"
    } else {
        ""
    };
    format!(
        "logoutput: stderr
internal: {ip} port = {port}
external: {ip}
clientmethod: none
socksmethod: none
{users}
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
"
    )
}
