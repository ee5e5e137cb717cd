//! vproxy, one worker: SOCKS5 or HTTP on tokio, with splice.

use crate::limits::session_capacity;
use crate::peers::{Job, Launch, Place, program};

pub(super) fn launch(place: &Place<'_>) -> Launch {
    let protocol = if matches!(place.job, Job::Connect | Job::Forward) {
        "http"
    } else {
        "socks5"
    };
    let (listen, sessions) = (place.listen.to_string(), session_capacity().to_string());
    let mut command = program::command("vproxy");
    command.args(["run", "--log", "error", "--bind", &listen]);
    command.args(["--workers", "1", "--concurrent", &sessions, protocol]);
    Launch {
        command,
        forks: false,
    }
}
