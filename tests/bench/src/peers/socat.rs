//! socat: a process for each session.

use crate::peers::{Launch, Place, program};

pub(super) fn launch(place: &Place<'_>) -> Launch {
    let mut command = program::command("socat");
    // A larger block than its 8 KiB: the setting that people use for speed.
    command
        .arg("-b65536")
        .arg(listener(place))
        .arg(format!("TCP:{},nodelay", place.upstream));
    Launch {
        command,
        forks: true,
    }
}

fn listener(place: &Place<'_>) -> String {
    let (ip, port) = (place.listen.ip(), place.listen.port());
    format!("TCP-LISTEN:{port},bind={ip},fork,reuseaddr,nodelay,backlog=4096")
}
