//! socat: a process for each session.

use crate::peers::{Job, Launch, Place, program};

pub(super) fn launch(place: &Place<'_>) -> Launch {
    let mut command = program::command("socat");
    // A larger block than its 8 KiB: the setting that people use for speed.
    command.arg("-b65536").args(addresses(place));
    Launch {
        command,
        forks: true,
    }
}

/// Returns the two ends in its language.
fn addresses(place: &Place<'_>) -> [String; 2] {
    let (ip, port, upstream) = (place.listen.ip(), place.listen.port(), place.upstream);
    if place.job == Job::Datagrams {
        [
            format!("UDP4-LISTEN:{port},bind={ip},fork,reuseaddr"),
            format!("UDP4:{upstream}"),
        ]
    } else {
        [
            format!("TCP-LISTEN:{port},bind={ip},fork,reuseaddr,nodelay,backlog=4096"),
            format!("TCP:{upstream},nodelay"),
        ]
    }
}
