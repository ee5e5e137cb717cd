//! Users: who may come through the ingresses that ask for a name and a password, and what a wrong one costs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::{Client, Hand, PATIENCE, Scripted, Signal, Test, eventually, proc};
use tempfile::TempDir;

use crate::support::{PAGE, Page, Proxy, echoes, in_path};
use crate::{http_ingress, socks5};

/// The counter of wrong names and passwords.
const WRONG_PASSWORDS: &str = "proxy_refusals_by_reason_total{reason=\"user\"}";

/// What a wrong password costs.
const SECOND: Duration = Duration::from_secs(1);

/// A file of users.
pub(crate) struct UserFile {
    pub(crate) folder: TempDir,
}

impl UserFile {
    #[track_caller]
    pub(crate) fn with(text: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = Self { folder };
        file.write(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("users")
    }

    pub(crate) fn text(&self) -> String {
        self.path().display().to_string()
    }

    #[track_caller]
    pub(crate) fn write(&self, text: impl AsRef<[u8]>) {
        fs::write(self.path(), text).expect("a file");
        self.allow(0o600);
    }

    #[track_caller]
    pub(crate) fn allow(&self, mode: u32) {
        fs::set_permissions(self.path(), Permissions::from_mode(mode)).expect("a mode");
    }
}

/// Starts a proxy that asks for a name and a password.
#[track_caller]
pub(crate) fn proxy_for(ingress: &str, file: &UserFile) -> Proxy {
    Proxy::choosing(ingress, &["--user-file", &file.text()])
}

/// Encodes the message of RFC 1929.
pub(crate) fn credentials(name: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Vec<u8> {
    let (name, password) = (name.as_ref(), password.as_ref());
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).expect("a short text");
    [&[1, length(name)], name, &[length(password)], password].concat()
}

/// Connects a client that offers a name and a password by SOCKS5, and sends them.
#[track_caller]
fn login(proxy: &Proxy, name: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Client {
    let client = Client::connect(proxy.addr());
    client.send(&[5, 1, 2]);
    client.expect(&[5, 2]);
    client.send(&credentials(name, password));
    client
}

/// Opens a session of a user to an echo, by SOCKS5.
#[track_caller]
pub(crate) fn enter(proxy: &Proxy, name: &str, password: &str, echo: &Scripted) -> Client {
    let client = login(proxy, name, password);
    client.expect(&[1, 0]);
    client.send(&socks5::request(echo.addr()));
    assert_eq!(
        socks5::reply(&client),
        0,
        "the code of the reply to the client"
    );
    echoes(&client);
    client
}

/// `alice:secret` and `alice:wrong`, as Basic has them.
const RIGHT: &str = "Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n";
const WRONG: &str = "Proxy-Authorization: Basic YWxpY2U6d3Jvbmc=\r\n";

/// A CONNECT request with one more field.
fn connect_with(target: impl std::fmt::Display, field: &str) -> String {
    let end = format!("{field}\r\n");
    http_ingress::connect_to(target).replace("\r\n\r\n", "\r\n") + &end
}

/// Starts curl.
fn start_curl(curl: &Path, options: &[&str], url: &str) -> Child {
    let mut command = Command::new(curl);
    command.args(["--silent", "--show-error", "--max-time", "30"]);
    command.args(["--noproxy", ""]).args(options).arg(url);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().expect("curl runs")
}

#[test]
fn users_curl_comes_in_with_the_right_password_only() {
    let _test = Test::begin("SOCKS5 asks for a name and a password by method 02, HTTP by 407.");
    let Some(curl) = in_path("curl") else {
        return;
    };
    let (file, page) = (UserFile::with("alice:se:cret\n"), Page::serve());
    let ways: [(&str, &[&str]); 4] = [
        ("socks5", &["--socks5"]),
        ("socks5", &["--socks5-hostname"]),
        ("http", &["-x"]),
        ("http", &["--proxytunnel", "-x"]),
    ];
    for (ingress, way) in ways {
        let proxy = proxy_for(ingress, &file);
        let address = proxy.addr().to_string();
        let users = [
            None,
            Some("alice:secret"),
            Some("bob:se:cret"),
            Some("alice:se:cret"),
        ];
        // All at the same time, because two of them wait for a second.
        let running = users.map(|user| {
            let user = user.map(|user| ["--proxy-user", user]);
            let user = user.as_ref().map_or(&[][..], |words| &words[..]);
            start_curl(&curl, &[way, &[&address], user].concat(), &page.url())
        });
        let got = running.map(|curl| curl.wait_with_output().expect("curl ends").stdout);
        assert_eq!(
            got.each_ref().map(|page| page == PAGE),
            [false, false, false, true],
            "{way:?}"
        );
        if way == ["-x"] {
            let refused = got[..3].iter().all(|page| page.starts_with(b"407 "));
            assert!(refused, "{got:?}");
        }
        proxy.wait_for_metric(WRONG_PASSWORDS, 2.0);
        let log = proxy.stderr();
        assert!(!log.contains("se:cret"), "no password in the log");
    }
}

#[test]
fn users_are_named_by_the_log_and_the_inspector() {
    let _test = Test::begin("An operator sees who came, and never a password.");
    let (file, echo) = (UserFile::with("alice:secret\n"), Scripted::echo());
    let proxy = proxy_for("socks5", &file);
    let client = enter(&proxy, "alice", "secret", &echo);
    let row = proxy.row_of(&client);
    assert!(
        row.description.starts_with("socks5[alice@127.0.0.1:"),
        "{row:?}"
    );
    let denied = login(&proxy, "alice", "secret");
    denied.expect(&[1, 0]);
    denied.send(&socks5::named("169.254.169.254", 80));
    assert_eq!(
        socks5::reply(&denied),
        2,
        "the code of the reply to the denied client"
    );
    proxy.wait_for_stderr("socks5[alice@127.0.0.1:");
    login(&proxy, "alice", "mistaken").expect(&[1, 1]);
    proxy.wait_for_stderr("the password is not that of alice");
    let log = proxy.stderr();
    assert!(
        !log.contains("secret") && !log.contains("mistaken"),
        "{log}"
    );
}

#[test]
fn users_a_wrong_password_is_answered_after_a_second() {
    let _test = Test::begin("Guessing must cost time: a deadline of the session, and no sleep.");
    let file = UserFile::with("alice:secret\n");
    let socks = proxy_for("socks5", &file);
    let begun = Instant::now();
    let client = login(&socks, "alice", "wrong");
    client.expect(&[1, 1]);
    assert!(begun.elapsed() >= SECOND, "{:?}", begun.elapsed());
    client.expect_eof();
    let http = proxy_for("http", &file);
    let begun = Instant::now();
    let request = connect_with("localhost:80", WRONG);
    assert_eq!(http_ingress::status(&http, request), 407);
    assert!(begun.elapsed() >= SECOND, "{:?}", begun.elapsed());
    for proxy in [socks, http] {
        proxy.wait_for_rows(0);
        proxy.wait_for_metric(WRONG_PASSWORDS, 1.0);
        proxy.wait_for_metric("proxy_refusals_total", 1.0);
    }
}

#[test]
fn users_200_wrong_passwords_at_once_keep_no_client_waiting() {
    let _test =
        Test::begin("200 refusals wait at the same time, and cost a row each for a second.");
    let (file, echo) = (UserFile::with("alice:secret\n"), Scripted::echo());
    let proxy = proxy_for("socks5", &file);
    proxy.wait_for_rows(0);
    let before = proc::fd_count(proxy.pid());
    let begun = Instant::now();
    let guesses: Vec<Client> = (0..200)
        .map(|number| login(&proxy, "alice", format!("guess {number}")))
        .collect();
    drop(enter(&proxy, "alice", "secret", &echo));
    for guess in &guesses {
        guess.expect(&[1, 1]);
        guess.expect_eof();
    }
    assert!(begun.elapsed() >= SECOND);
    proxy.wait_for_metric(WRONG_PASSWORDS, 200.0);
    drop(guesses);
    proxy.wait_for_rows(0);
    let what = format!("at most {before} descriptors are open, as before");
    eventually(&what, PATIENCE, || proc::fd_count(proxy.pid()) <= before);
    let lines = proxy.stderr().lines().count();
    assert!(lines < 150, "{lines} lines for 200 guesses");
}

#[test]
fn users_a_guess_is_counted_although_its_client_has_left() {
    let _test = Test::begin("A client that does not wait for its refusal has guessed, too.");
    let proxy = proxy_for("socks5", &UserFile::with("alice:secret\n"));
    login(&proxy, "alice", "wrong").reset();
    proxy.wait_for_metric(WRONG_PASSWORDS, 1.0);
    proxy.wait_for_rows(0);
}

#[test]
fn users_a_client_without_a_password_is_told_at_once_what_is_demanded() {
    let _test = Test::begin("A browser asks without a password first, and must learn of it.");
    let file = UserFile::with("alice:secret\n");
    let socks = proxy_for("socks5", &file);
    let client = Client::connect(socks.addr());
    client.send(&[5, 1, 0]);
    client.expect(&[5, 0xff]);
    client.expect_eof();
    let (http, hand) = (proxy_for("http", &file), Hand::start());
    let asked = Client::connect(http.addr());
    let get = format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\n\r\n", hand.addr());
    asked.send(get.as_bytes());
    let reply = String::from_utf8_lossy(&asked.read_to_end()).into_owned();
    assert!(
        reply.starts_with("HTTP/1.1 407 Proxy Authentication Required\r\n"),
        "{reply}"
    );
    assert!(
        reply.contains("\r\nProxy-Authenticate: Basic realm="),
        "{reply}"
    );
    assert!(
        reply.ends_with("this proxy demands a name and a password\n"),
        "{reply}"
    );
    assert_eq!(http.metrics()[WRONG_PASSWORDS], 0.0);
}

#[test]
fn users_the_password_goes_to_no_target() {
    let _test =
        Test::begin("Proxy-Authorization is for the proxy, and Authorization for the target.");
    let (file, hand) = (UserFile::with("alice:secret\n"), Hand::start());
    let proxy = proxy_for("http", &file);
    let client = Client::connect(proxy.addr());
    let target = hand.addr();
    let get = format!(
        "GET http://{target}/ HTTP/1.1\r\nHost: x\r\n{RIGHT}Authorization: Basic eQ==\r\n\r\n"
    );
    client.send(get.as_bytes());
    let head = hand.next().read_until(b"\r\n\r\n");
    let head = String::from_utf8_lossy(&head).into_owned();
    assert!(head.contains("\r\nAuthorization: Basic eQ==\r\n"), "{head}");
    assert!(
        !head.contains("Proxy-Authorization") && !head.contains("YWxpY2U6"),
        "{head}"
    );
    let tunnel = Client::connect(proxy.addr());
    tunnel.send(connect_with(target, RIGHT).as_bytes());
    let upstream = hand.next();
    let _ = tunnel.read_until(b"\r\n\r\n");
    tunnel.send(b"the first bytes");
    upstream.expect(b"the first bytes");
}

/// Sends a request of alice over a connection, and answers it.
#[track_caller]
fn exchange(client: &Client, hand: &Hand) {
    let target = hand.addr();
    let get = format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n{RIGHT}\r\n");
    client.send(get.as_bytes());
    let upstream = hand.next();
    let head = upstream.read_until(b"\r\n\r\n");
    assert!(!String::from_utf8_lossy(&head).contains("YWxpY2U6"));
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    upstream.close();
    let reply = client.read_until(b"ok");
    assert!(reply.starts_with(b"HTTP/1.1 200 "), "{reply:?}");
}

#[test]
fn users_are_asked_for_at_each_request_of_a_connection() {
    let _test =
        Test::begin("A connection that is kept has many requests, and each proves its user.");
    let (file, hand) = (UserFile::with("alice:secret\n"), Hand::start());
    let proxy = proxy_for("http", &file);
    let get = format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\n", hand.addr());
    let nameless = Client::connect(proxy.addr());
    exchange(&nameless, &hand);
    exchange(&nameless, &hand);
    nameless.send(format!("{get}\r\n").as_bytes());
    nameless.expect(b"HTTP/1.1 407 ");
    let wrong = Client::connect(proxy.addr());
    exchange(&wrong, &hand);
    wrong.send(format!("{get}{WRONG}\r\n").as_bytes());
    wrong.expect(b"HTTP/1.1 407 ");
    proxy.wait_for_metric(WRONG_PASSWORDS, 1.0);
    let gone = Client::connect(proxy.addr());
    exchange(&gone, &hand);
    file.write("bob:swordfish\n");
    proxy.signal(Signal::SIGHUP);
    proxy.wait_for_stderr("the user file was read again");
    gone.send(format!("{get}{RIGHT}\r\n").as_bytes());
    gone.expect(b"HTTP/1.1 407 ");
    proxy.wait_for_metric(WRONG_PASSWORDS, 2.0);
}

#[test]
fn users_names_and_passwords_are_bytes_of_up_to_255() {
    let _test = Test::begin("RFC 1929 has a byte for each length, and no encoding.");
    let (long, name) = ([b'x'; 255], [0xff, b' ', 0xc3]);
    let file = UserFile::with([&long[..], b":", &long, b"\n", &name, b":\xfe:\xfe\n"].concat());
    let (proxy, echo) = (proxy_for("socks5", &file), Scripted::echo());
    for (name, password) in [(&long[..], &long[..]), (&name, b"\xfe:\xfe")] {
        let client = Client::connect(proxy.addr());
        let request = socks5::request(echo.addr());
        let all = [&[5, 2, 0, 2], &credentials(name, password)[..], &request].concat();
        client.send_chunked(&all, 97);
        client.expect(&[5, 2, 1, 0]);
        assert_eq!(
            socks5::reply(&client),
            0,
            "the code of the reply to the client"
        );
        echoes(&client);
    }
    login(&proxy, "", "").expect(&[1, 1]);
    login(&proxy, long, &long[1..]).expect(&[1, 1]);
}
