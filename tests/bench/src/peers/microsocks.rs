//! microsocks: a thread for each SOCKS5 client.

use crate::peers::{Launch, Place, program};

pub(super) fn launch(place: &Place<'_>) -> Launch {
    let (ip, port) = (
        place.listen.ip().to_string(),
        place.listen.port().to_string(),
    );
    let mut command = program::command("microsocks");
    command.args(["-i", &ip, "-p", &port]);
    Launch {
        command,
        forks: false,
    }
}
