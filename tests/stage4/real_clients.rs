//! Clients that other people wrote: curl, Python, OpenSSH, a browser. Each is skipped, with a line that says so, where it is
//! not installed.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use harness::{Scripted, Test, fail};
use tempfile::TempDir;

use crate::inspector::{chromium, dump_dom_with};
use crate::support::{PAGE, Page, Proxy, curl, in_path};

/// Runs a command to its end and returns what it printed; fails with its errors otherwise.
#[track_caller]
fn output_of(program: impl AsRef<OsStr>, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    let output = output.unwrap_or_else(|error| fail(error.to_string()));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    harness::ensure(output.status.success(), errors);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn real_curl_takes_every_way_in() {
    let _test =
        Test::begin("curl has an option for each kind of proxy, and for one behind another.");
    let Some(program) = in_path("curl") else {
        return;
    };
    let page = Page::serve();
    let (socks5, http) = (Proxy::choosing("socks5", &[]), Proxy::choosing("http", &[]));
    let socks5 = socks5.addr().to_string();
    let by_name = format!("socks5h://{socks5}");
    let http = format!("http://{}", http.addr());
    let table: [&[&str]; 7] = [
        &["--socks5", &socks5],
        &["--socks5-hostname", &socks5],
        &["-x", &by_name],
        &["-x", &http],
        &["-x", &http, "--proxytunnel"],
        &["--preproxy", &by_name, "-x", &http],
        &["--preproxy", &by_name, "-x", &http, "--proxytunnel"],
    ];
    for options in table {
        let options = [&["--noproxy", ""], options].concat();
        assert_eq!(curl(&program, &options, &page.url()), PAGE, "{options:?}");
    }
}

/// Fetches a page twice over each kind of connection that PySocks knows.
const PYSOCKS: &str = r#"
import socket, socks, sys
socks5, http, port = sys.argv[1].split(":"), sys.argv[2].split(":"), int(sys.argv[3])
ways = [(socks.SOCKS5, socks5, True), (socks.SOCKS5, socks5, False), (socks.HTTP, http, True)]
for kind, (host, at), by_name in ways:
    target = ("localhost" if by_name else "127.0.0.1", port)
    s = socks.create_connection(target, 20, None, kind, host, int(at), by_name)
    s.sendall(b"GET / HTTP/1.0\r\n\r\n")
    s.shutdown(socket.SHUT_WR)
    answer = b"".join(iter(lambda: s.recv(4096), b""))
    assert answer.endswith(b"<p>a page</p>\n"), answer
refused = socks.socksocket()
refused.set_proxy(socks.SOCKS5, socks5[0], int(socks5[1]))
try:
    refused.connect(("127.0.0.1", int(socks5[1])))
except socks.ProxyError as error:
    assert "0x02" in str(error), error
else:
    raise SystemExit("the proxy has connected to itself")
"#;

#[test]
fn real_pysocks_reaches_its_target_and_understands_a_refusal() {
    let _test = Test::begin("PySocks: addresses, names, HTTP tunnels, and the code of a refusal.");
    let Some(python) = in_path("python3") else {
        return;
    };
    let found = Command::new(&python).args(["-c", "import socks"]).output();
    if !found.is_ok_and(|found| found.status.success()) {
        eprintln!("skipped: PySocks is not installed (pip install PySocks)");
        return;
    }
    let page = Page::serve();
    let (socks5, http) = (Proxy::choosing("socks5", &[]), Proxy::choosing("http", &[]));
    let words = [
        socks5.addr().to_string(),
        http.addr().to_string(),
        page.port().to_string(),
    ];
    let [socks5, http, port] = words.each_ref().map(String::as_str);
    output_of(python, &["-c", PYSOCKS, socks5, http, port]);
}

/// An ssh server for one user with one key, in a folder of its own. Each connection gets a process, as from inetd(8).
#[derive(Debug)]
struct Sshd {
    listener: Scripted,
    folder: TempDir,
}

impl Sshd {
    /// Starts the server; says that the test is skipped if it is not installed or cannot run here.
    #[track_caller]
    fn start() -> Option<Self> {
        let program = sshd()?;
        let keygen = in_path("ssh-keygen")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        for key in ["host", "user"] {
            let path = folder.path().join(key);
            let path = path.to_str().expect("a plain path");
            output_of(&keygen, &["-q", "-t", "ed25519", "-N", "", "-f", path]);
        }
        let config = folder.path().join("config");
        fs::write(&config, configuration(folder.path())).expect("a file");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("a mode");
        let check = Command::new(&program)
            .arg("-t")
            .arg("-f")
            .arg(&config)
            .output();
        let check = check.unwrap_or_else(|error| fail(error.to_string()));
        if !check.status.success() {
            let why = String::from_utf8_lossy(&check.stderr).into_owned();
            eprintln!("skipped: sshd cannot run here: {}", why.trim());
            return None;
        }
        let listener = Scripted::start("sshd", move |peer| {
            let stream = || OwnedFd::from(peer.stream().try_clone().expect("a descriptor"));
            let mut server = Command::new(&program);
            server.arg("-i").arg("-f").arg(&config);
            server
                .stdin(stream())
                .stdout(stream())
                .stderr(Stdio::null());
            let status = server.status();
            assert!(status.is_ok(), "{status:?}");
        });
        Some(Self { listener, folder })
    }

    /// Runs `echo` on the server over a connection that a command makes, `none` for ssh itself.
    #[track_caller]
    fn echo(&self, ssh: &Path, through: &str) -> Output {
        let mut command = Command::new(ssh);
        command
            .args(["-F", "none", "-i"])
            .arg(self.folder.path().join("user"));
        command.args(["-p", &self.listener.addr().port().to_string()]);
        let options = [
            "BatchMode=yes",
            "ConnectTimeout=20",
            "IdentitiesOnly=yes",
            "LogLevel=ERROR",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
        ];
        let through = format!("ProxyCommand={through}");
        for option in options.into_iter().chain([&*through]) {
            command.args(["-o", option]);
        }
        let output = command.args(["localhost", "echo over the proxy"]).output();
        output.unwrap_or_else(|error| fail(error.to_string()))
    }
}

/// Finds sshd, which insists on being called by its whole path and is often not in PATH.
fn sshd() -> Option<PathBuf> {
    let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];
    let found = places.iter().map(PathBuf::from).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: sshd is not installed (apt install openssh-server)");
    }
    found
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "HostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
         PidFile none\n"
    )
}

#[test]
fn real_openssh_logs_in_through_both_kinds_of_proxy() {
    let _test = Test::begin("ProxyCommand nc -X 5 speaks SOCKS5, nc -X connect speaks HTTP.");
    let (Some(ssh), Some(nc)) = (in_path("ssh"), in_path("nc")) else {
        return;
    };
    let help = Command::new(&nc).arg("-h").output();
    let knows = help.is_ok_and(|help| String::from_utf8_lossy(&help.stderr).contains("-X"));
    if !knows {
        eprintln!("skipped: this nc has no option -X (apt install netcat-openbsd)");
        return;
    }
    let Some(sshd) = Sshd::start() else {
        return;
    };
    let direct = sshd.echo(&ssh, "none");
    if !direct.status.success() {
        let why = String::from_utf8_lossy(&direct.stderr).into_owned();
        eprintln!(
            "skipped: sshd does not let this user in, not even without a proxy: {}",
            why.trim()
        );
        return;
    }
    for (ingress, kind) in [("socks5", "5"), ("http", "connect")] {
        let proxy = Proxy::choosing(ingress, &[]);
        let through = format!("{} -X {kind} -x {} %h %p", nc.display(), proxy.addr());
        let output = sshd.echo(&ssh, &through);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.stdout, b"over the proxy\n", "nc -X {kind}: {errors}");
        proxy.wait_for_metric("proxy_sessions_total", 1.0);
    }
}

#[test]
fn real_a_browser_shows_a_page_through_both_kinds_of_proxy() {
    let _test = Test::begin("A browser opens several connections, some of them for nothing.");
    let Some(browser) = chromium() else {
        return;
    };
    let page = Page::serve();
    for (ingress, scheme) in [("socks5", "socks5"), ("http", "http")] {
        let proxy = Proxy::choosing(ingress, &[]);
        let options = [
            // Without it, no browser asks a proxy for localhost.
            "--proxy-bypass-list=<-loopback>".to_owned(),
            format!("--proxy-server={scheme}://{}", proxy.addr()),
        ];
        let dom = dump_dom_with(&browser, &options, &page.url());
        assert!(dom.contains("<p>a page</p>"), "{ingress}: {dom}");
        assert!(proxy.metrics()["proxy_sessions_total"] >= 1.0);
    }
}
