//! HAProxy in mode tcp, one thread, copying or splicing.

use std::fs;
use std::io;

use super::{Launch, Place, program};
use crate::limits::session_capacity;

/// How it moves bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    Copy,
    Splice,
}

pub(super) fn launch(place: &Place<'_>, mode: Mode) -> io::Result<Launch> {
    let file = place.folder.join("haproxy.cfg");
    fs::write(&file, config(place, mode))?;
    let mut command = program::command("haproxy");
    // -db: in the foreground, one process.
    command.arg("-db").arg("-f").arg(file);
    Ok(Launch {
        command,
        forks: false,
    })
}

/// TCP_NODELAY is its default.
fn config(place: &Place<'_>, mode: Mode) -> String {
    // Not splice-auto: under the load of this program its guess is to copy, as strace shows.
    let splice = match mode {
        Mode::Copy => "",
        Mode::Splice => "    option splice-request\n    option splice-response\n",
    };
    let sessions = session_capacity();
    let (listen, upstream) = (place.listen, place.upstream);
    format!(
        "global
    nbthread 1
    maxconn {sessions}

defaults
    mode tcp
    maxconn {sessions}
    backlog 4096
    timeout connect 5s
    timeout client 1h
    timeout server 1h
{splice}
listen relay
    bind {listen}
    server upstream {upstream}
"
    )
}
