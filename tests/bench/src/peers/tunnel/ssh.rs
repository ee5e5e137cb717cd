//! OpenSSH: `ssh -L` to an sshd of its own on this machine, with keys of its own.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::unistd::{Uid, User};

use crate::peers::tunnel::EndPlace;
use crate::peers::{Launch, program};

/// Where sshd locks itself up before a login; the package leaves it to the start script.
const PRIVILEGE_FOLDER: &str = "/run/sshd";

pub(super) fn find() -> Result<(), String> {
    program::find("sshd", "openssh-server")?;
    program::find("ssh", "openssh-client")
}

pub(super) fn version() -> Option<String> {
    program::version("ssh", "-V")
}

/// Starts sshd with a new host key, and lets the user of the benchmark in with another new key.
pub(super) fn server(place: &EndPlace<'_>) -> io::Result<Launch> {
    make_key(&place.folder.join("host_key"))?;
    make_key(&client_key(place.folder))?;
    if Uid::effective().is_root() {
        fs::create_dir_all(PRIVILEGE_FOLDER)?;
    }
    let file = place.folder.join("sshd_config");
    fs::write(&file, config(place))?;
    let mut command = program::command("sshd");
    command.args(["-D", "-e", "-f"]).arg(file);
    Ok(Launch {
        command,
        forks: true,
    })
}

/// Returns its configuration: keys only, the fastest cipher, forwarding and nothing else.
fn config(place: &EndPlace<'_>) -> String {
    let (ip, port, folder) = (place.link.ip(), place.link.port(), place.folder.display());
    format!(
        "ListenAddress {ip}
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/client_key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
AllowTcpForwarding local
Ciphers {CIPHER}
LogLevel ERROR
"
    )
}

/// The cipher with the least CPU time on processors with AES instructions; there is none without encryption.
const CIPHER: &str = "aes128-gcm@openssh.com";

pub(super) fn client(
    place: &EndPlace<'_>,
    listen: SocketAddr,
    upstream: SocketAddr,
) -> io::Result<Launch> {
    let user = User::from_uid(Uid::effective())?;
    let user = user
        .ok_or_else(|| io::Error::other("this user has no name"))?
        .name;
    let (ip, port) = (place.link.ip().to_string(), place.link.port().to_string());
    let mut command = program::command("ssh");
    command.args(["-F", "/dev/null", "-N", "-T", "-p", &port, "-l", &user]);
    command
        .arg("-i")
        .arg(client_key(&server_folder(place.folder)));
    for option in [
        "BatchMode=yes",
        "Compression=no",
        "ExitOnForwardFailure=yes",
        "IdentitiesOnly=yes",
        "LogLevel=ERROR",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
    ] {
        command.args(["-o", option]);
    }
    command.args(["-c", CIPHER, "-L", &format!("{listen}:{upstream}"), &ip]);
    Ok(Launch {
        command,
        forks: false,
    })
}

/// The key is made beside the server's configuration.
fn client_key(folder: &Path) -> PathBuf {
    folder.join("client_key")
}

/// Both ends have their folders side by side.
fn server_folder(client: &Path) -> PathBuf {
    client.with_file_name(super::SERVER_FOLDER)
}

fn make_key(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let status = program::command("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .status()?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("ssh-keygen: {status}")))
}
