//! OpenSSH: `ssh -L`, `-D` and `-J` through sshd processes of its own on this machine, with keys of its own.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::unistd::{Uid, User};

use crate::peers::{Launch, program};

/// Where sshd locks itself up before a login; the package leaves it to the start script.
const PRIVILEGE_FOLDER: &str = "/run/sshd";

/// The cipher with the least CPU time on processors with AES instructions; there is none without encryption.
const CIPHER: &str = "aes128-gcm@openssh.com";

/// The address of the client's end, and the way on from there: `ssh(1)`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Forward {
    /// `-L`: every connection goes to one upstream.
    Local {
        listen: SocketAddr,
        upstream: SocketAddr,
    },
    /// `-D`: clients name their targets by SOCKS.
    Dynamic { listen: SocketAddr },
}

impl Forward {
    fn arguments(self) -> [String; 2] {
        match self {
            Self::Local { listen, upstream } => ["-L".into(), format!("{listen}:{upstream}")],
            Self::Dynamic { listen } => ["-D".into(), listen.to_string()],
        }
    }
}

pub(super) fn find() -> Result<(), String> {
    program::find("sshd", "openssh-server")?;
    program::find("ssh", "openssh-client")
}

pub(super) fn version() -> Option<String> {
    program::version("ssh", "-V")
}

/// Starts sshd with a new host key, and lets the user of the benchmark in with another new key.
pub(super) fn server(listen: SocketAddr, folder: &Path) -> io::Result<Launch> {
    let keys = keys(folder);
    fs::create_dir_all(&keys)?;
    make_key(&keys.join("host_key"))?;
    make_key(&keys.join("client_key"))?;
    if Uid::effective().is_root() {
        fs::create_dir_all(PRIVILEGE_FOLDER)?;
    }
    let file = folder.join("sshd_config");
    fs::write(&file, server_config(listen, &keys))?;
    let mut command = program::command("sshd");
    command.args(["-D", "-e", "-f"]).arg(file);
    Ok(Launch {
        command,
        forks: true,
    })
}

/// Returns its configuration: keys only, the fastest cipher, forwarding and nothing else.
fn server_config(listen: SocketAddr, keys: &Path) -> String {
    let (ip, port, keys) = (listen.ip(), listen.port(), keys.display());
    format!(
        "ListenAddress {ip}
Port {port}
HostKey {keys}/host_key
AuthorizedKeysFile {keys}/client_key.pub
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

/// Starts the client's end, which logs in to the last server through all others, in their order: `-J`.
pub(super) fn client(
    servers: &[SocketAddr],
    forward: Forward,
    folder: &Path,
) -> io::Result<Launch> {
    let no_server = || io::Error::other("ssh has no server to log in to");
    let (last, jumps) = servers.split_last().ok_or_else(no_server)?;
    let file = folder.join("ssh_config");
    fs::write(&file, client_config(&user()?, &keys(folder)))?;
    let mut command = program::command("ssh");
    command.arg("-F").arg(file).args(["-N", "-T"]);
    if !jumps.is_empty() {
        command.args(["-J", &jump_list(jumps)]);
    }
    command.args(forward.arguments());
    command.args(["-p", &last.port().to_string(), &last.ip().to_string()]);
    Ok(Launch {
        command,
        // A jump is a process of its own.
        forks: true,
    })
}

fn jump_list(jumps: &[SocketAddr]) -> String {
    let jumps: Vec<String> = jumps.iter().map(SocketAddr::to_string).collect();
    jumps.join(",")
}

/// Returns the configuration of the client and its jumps, which do not inherit what its command line says.
fn client_config(user: &str, keys: &Path) -> String {
    let keys = keys.display();
    format!(
        "User {user}
IdentityFile {keys}/client_key
IdentitiesOnly yes
BatchMode yes
Compression no
ExitOnForwardFailure yes
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
Ciphers {CIPHER}
LogLevel ERROR
"
    )
}

fn user() -> io::Result<String> {
    let user = User::from_uid(Uid::effective())?;
    let user = user.ok_or_else(|| io::Error::other("this user has no name"))?;
    Ok(user.name)
}

/// All processes have their folders side by side, and the keys beside them.
fn keys(folder: &Path) -> PathBuf {
    folder.with_file_name("keys")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn words(servers: &[&str], forward: Forward) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let servers: Vec<SocketAddr> = servers.iter().map(|text| text.parse().unwrap()).collect();
        let launch = client(&servers, forward, folder.path()).unwrap();
        let words = launch.command.get_args().skip(2);
        words.map(|word| word.to_string_lossy().into()).collect()
    }

    #[test]
    fn the_client_jumps_over_all_servers_but_the_last() {
        let listen = "127.0.0.1:1080".parse().unwrap();
        let upstream = "127.0.0.1:80".parse().unwrap();
        assert_eq!(
            words(&["127.0.0.1:1"], Forward::Dynamic { listen }),
            ["-N", "-T", "-D", "127.0.0.1:1080", "-p", "1", "127.0.0.1"]
        );
        let three = ["127.0.0.1:1", "127.0.0.2:2", "127.0.0.3:3"];
        let expected = [
            "-N",
            "-T",
            "-J",
            "127.0.0.1:1,127.0.0.2:2",
            "-L",
            "127.0.0.1:1080:127.0.0.1:80",
            "-p",
            "3",
            "127.0.0.3",
        ];
        assert_eq!(words(&three, Forward::Local { listen, upstream }), expected);
    }

    #[test]
    fn without_a_server_there_is_no_client() {
        let listen = "127.0.0.1:1080".parse().unwrap();
        let found = client(
            &[],
            Forward::Dynamic { listen },
            Path::new("/nowhere/at/all"),
        );
        assert!(found.is_err());
    }
}
