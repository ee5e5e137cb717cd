//! HAProxy, one thread: in mode tcp, copying or splicing, or as a queue in mode http.

use std::fs;
use std::io;

use crate::peers::{Job, Launch, Place, program};

/// How it moves bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    Copy,
    Splice,
}

pub(super) fn launch(place: &Place<'_>, mode: Mode) -> io::Result<Launch> {
    let file = place.folder.join("haproxy.cfg");
    let text = if place.job == Job::Queue {
        config(place, &QUEUE)
    } else {
        config(place, &relay(mode))
    };
    fs::write(&file, text)?;
    let mut command = program::command("haproxy");
    // -db: in the foreground, one process.
    command.arg("-db").arg("-f").arg(file);
    Ok(Launch {
        command,
        forks: false,
    })
}

/// One connection at most, which stays open between requests and may be used for any client.
const QUEUE: Setup = Setup {
    mode: "http",
    options: "    timeout queue 1m\n    http-reuse always\n",
    server: "maxconn 1",
};

/// The parts of the configuration that differ between the jobs.
struct Setup {
    mode: &'static str,
    options: &'static str,
    server: &'static str,
}

fn relay(mode: Mode) -> Setup {
    // Not splice-auto: under the load of this program its guess is to copy, as strace shows.
    let options = match mode {
        Mode::Copy => "",
        Mode::Splice => "    option splice-request\n    option splice-response\n",
    };
    Setup {
        mode: "tcp",
        options,
        server: "",
    }
}

/// Returns its configuration; TCP_NODELAY is its default.
fn config(place: &Place<'_>, setup: &Setup) -> String {
    let Setup {
        mode,
        options,
        server,
    } = setup;
    let (sessions, threads) = (place.session_capacity(), place.threads());
    let (listen, upstream) = (place.listen, place.upstream);
    format!(
        "global
    nbthread {threads}
    maxconn {sessions}

defaults
    mode {mode}
    maxconn {sessions}
    backlog 4096
    timeout connect 5s
    timeout client 1h
    timeout server 1h
{options}
listen relay
    bind {listen}
    server upstream {upstream} {server}
"
    )
}
