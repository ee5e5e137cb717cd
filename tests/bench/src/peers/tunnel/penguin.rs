//! rusty-penguin: streams in a WebSocket, on tokio; here without TLS.

use std::net::SocketAddr;

use crate::peers::tunnel::EndPlace;
use crate::peers::{Launch, program};

pub(super) fn find() -> Result<(), String> {
    program::find_or("penguin", "cargo install rusty-penguin")
}

pub(super) fn version() -> Option<String> {
    program::version("penguin", "--version")
}

pub(super) fn server(place: &EndPlace<'_>) -> Launch {
    let (ip, port) = (place.link.ip().to_string(), place.link.port().to_string());
    let mut command = program::command("penguin");
    command.args(["server", "--host", &ip, "--port", &port]);
    Launch {
        command,
        forks: false,
    }
}

pub(super) fn client(place: &EndPlace<'_>, listen: SocketAddr, upstream: SocketAddr) -> Launch {
    let mut command = program::command("penguin");
    let server = format!("ws://{}/ws", place.link);
    command.args(["client", &server, &format!("{listen}:{upstream}")]);
    Launch {
        command,
        forks: false,
    }
}
