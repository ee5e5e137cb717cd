//! Dante's SOCKS server: one process for each task, and each client passed from one to the next.

use std::fs;
use std::io;
use std::net::Ipv4Addr;

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

/// Returns the address that it connects from: another one for each start.
///
/// It binds each of its sockets to a port, and a bound port is not free while a connection of it is in `TIME_WAIT`. With one
/// address, two rounds would use up the ports of the machine.
fn external(port: u16) -> Ipv4Addr {
    let [high, low] = port.to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

/// Returns its configuration: no password, no log of sessions, every target of this machine.
fn config(place: &Place<'_>) -> String {
    let (ip, port) = (place.listen.ip(), place.listen.port());
    let external = external(port);
    // Only the superuser can become another user, and Dante wants to if it may.
    let users = if Uid::effective().is_root() {
        "user.privileged: root\nuser.unprivileged: nobody"
    } else {
        ""
    };
    format!(
        "logoutput: stderr
internal: {ip} port = {port}
external: {external}
clientmethod: none
socksmethod: none
{users}
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_has_an_address_of_its_own() {
        assert_eq!(external(20_000), Ipv4Addr::new(127, 1, 78, 32));
        assert_ne!(external(20_001), external(20_000));
    }
}
