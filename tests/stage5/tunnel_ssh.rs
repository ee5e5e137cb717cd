//! A link over a real ssh, to a real sshd on loopback with keys of its own.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use harness::{Program, Server, Test, Upstream};

use crate::support::program;
use crate::tunnel_ends::WIRES;

const SSHD: &str = "/usr/sbin/sshd";

/// What an sshd needs: a host key, a user key, and its configuration.
struct Keys {
    folder: tempfile::TempDir,
}

/// Returns whether a program is there; says that the test is skipped if not.
fn is_there(name: &str) -> bool {
    let found = Program::new("/bin/sh")
        .args(["-c", &format!("command -v {name}")])
        .run();
    let is_there = found.status.success();
    if !is_there {
        eprintln!("skipped: a link over ssh, because this machine has no {name}");
    }
    is_there
}

impl Keys {
    fn make() -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let keys = Self { folder };
        for name in ["host", "user"] {
            let path = keys.path(name);
            let make = Program::new("/usr/bin/ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f", &path]);
            make.run().expect_code(0);
        }
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(keys.path("user.pub"), private).expect("the file is ours");
        let settings = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin prohibit-password\n\
            PasswordAuthentication no\n",
            keys.path("host"),
            keys.path("user.pub"),
        );
        fs::write(keys.path("sshd_config"), settings).expect("the folder is ours");
        keys
    }

    fn path(&self, name: &str) -> String {
        self.folder
            .path()
            .join(name)
            .to_str()
            .expect("its name is plain")
            .to_owned()
    }

    /// Serves ssh on a free port of loopback: each connection gets an sshd of its own, as inetd(8) would start it.
    fn serve(&self) -> SocketAddr {
        // As root, sshd wants the folder that its package makes at the start of the machine.
        let _ = fs::create_dir_all("/run/sshd");
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let settings = self.path("sshd_config");
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let socket = OwnedFd::from(socket);
                let output = socket.try_clone().expect("there are descriptors left");
                let sshd = Command::new(SSHD)
                    .args(["-i", "-q", "-e", "-f", &settings])
                    .stdin(Stdio::from(socket))
                    .stdout(Stdio::from(output))
                    .spawn();
                thread::spawn(move || sshd.map(|mut sshd| sshd.wait()));
            }
        });
        address
    }

    /// Returns the command that starts the server's end over ssh.
    fn command(&self, sshd: SocketAddr, upstream: SocketAddr, wire: &str) -> String {
        let options = [
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
        ];
        let options = options.map(|option| format!("-o {option}")).join(" ");
        format!(
            "ssh -F /dev/null {options} -i '{}' -p {} localhost '{}' server --via stdio --wire {wire} --upstream {upstream}",
            self.path("user"),
            sshd.port(),
            program().display(),
        )
    }
}

fn client(command: &str, wire: &str) -> Server {
    let via = format!("exec:{command}");
    let client =
        Program::new(program()).args(["client", "--listen", "127.0.0.1:0", "--wire", wire]);
    client.args(["--via", &via]).env("RUST_LOG", "info").serve()
}

fn curl(address: SocketAddr) -> Vec<u8> {
    let url = format!("http://{address}/page.txt");
    let curl = Program::new("/usr/bin/env").args([
        "curl",
        "--silent",
        "--show-error",
        "--max-time",
        "30",
        &url,
    ]);
    let fetched = curl.run();
    fetched.expect_code(0);
    fetched.stdout.clone()
}

#[test]
fn tunnel_ssh_carries_the_link_of_curl() {
    let _test =
        Test::begin("exec:ssh localhost stage5-mux server --via stdio, and curl through it.");
    if !["ssh", "ssh-keygen", SSHD, "curl"]
        .iter()
        .all(|name| is_there(name))
    {
        return;
    }
    let keys = Keys::make();
    let sshd = keys.serve();
    let page: String = (0..100_000).map(|line| format!("line {line}\n")).collect();
    let site = tempfile::tempdir().expect("there is room for a folder");
    fs::write(site.path().join("page.txt"), &page).unwrap();
    let upstream = Upstream::python(Path::new(site.path()));
    for wire in WIRES {
        let client = client(&keys.command(sshd, upstream.addr(), wire), wire);
        // The log of the far end arrives through ssh: its link is over its standard input and output.
        client.wait_for_stderr("the link is up");
        for _ in 0..3 {
            assert!(
                curl(client.addr()) == page.as_bytes(),
                "the page arrives as it is"
            );
        }
        assert!(
            client.terminate().success(),
            "the program does not end with 0 after SIGTERM"
        );
    }
}
