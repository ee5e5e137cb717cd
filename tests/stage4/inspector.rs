//! Exercise 4.9: the inspector beside the relay.

use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use harness::{Client, Deadline, PATIENCE, Program, Rng, Test};

use crate::support::{KIB, MIB, Proxy, listeners, proxy_and_echo, proxy_and_hand, session, talk};

/// Finds a browser that can be asked for the page as it looks after its script has run.
pub(crate) fn chromium() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let path = std::env::var_os("PATH")?;
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let files = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let found = files.into_iter().find(|file| file.is_file());
    if found.is_none() {
        eprintln!("skipped: no Chromium on this machine");
    }
    found
}

/// Returns a page as the browser sees it once its script has run for a while.
#[track_caller]
pub(crate) fn dump_dom(browser: &Path, url: &str) -> String {
    dump_dom_with(browser, &["--virtual-time-budget=3000".to_owned()], url)
}

/// Returns a page as a browser with further options sees it.
#[track_caller]
pub(crate) fn dump_dom_with(browser: &Path, options: &[String], url: &str) -> String {
    let profile = tempfile::tempdir().unwrap_or_else(|error| harness::fail(error.to_string()));
    let process = Program::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(options)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--dump-dom", url])
        .spawn();
    // A browser takes its time to start on a busy machine.
    let _ = process.wait_by(Deadline::after(6 * PATIENCE));
    String::from_utf8_lossy(&process.finish().stdout).into_owned()
}

/// Returns the rows of one table of the page.
fn table_rows<'a>(dom: &'a str, id: &str) -> Vec<&'a str> {
    let start = dom
        .find(&format!("<table id=\"{id}\""))
        .unwrap_or(dom.len());
    let table = dom[start..].split("</table>").next().unwrap_or_default();
    table.split("<tr tabindex").skip(1).collect()
}

#[test]
fn e49_the_page_shows_the_three_tables_live() {
    const CLIENTS: usize = 7;
    let _test =
        Test::begin("The page asks /routes.json each second and draws the source's three tables.");
    let Some(browser) = chromium() else {
        return;
    };
    let (proxy, hand) = proxy_and_hand(&[]);
    let sessions: Vec<_> = (0..CLIENTS).map(|_| session(&proxy, &hand)).collect();
    for (client, upstream) in &sessions {
        talk(client, upstream);
    }
    let dom = dump_dom(&browser, &format!("http://{}/", proxy.inspector().addr()));
    assert!(dom.contains("data-state=\"live\""), "{dom}");
    for id in ["clients", "upstreams", "mapping"] {
        assert_eq!(table_rows(&dom, id).len(), CLIENTS, "rows of #{id}");
    }
    for (client, upstream) in &sessions {
        let row = proxy.row_of(client);
        let cell = |number: u64| format!(">{number}</td>");
        let has = |id: &str, cells: &[String]| {
            let rows = table_rows(&dom, id);
            rows.iter()
                .any(|row| cells.iter().all(|cell| row.contains(cell)))
        };
        let (cfd, ufd) = (row.client.fd, row.upstream.map_or(-1, |cell| cell.fd));
        let port = |address: SocketAddr| cell(address.port().into());
        let numbers = [cfd, ufd].map(|fd| cell(u64::try_from(fd).unwrap_or(u64::MAX)));
        let [cfd, ufd] = numbers.clone();
        assert!(has(
            "clients",
            &[port(client.local()), port(proxy.addr()), cfd]
        ));
        assert!(has(
            "upstreams",
            &[port(upstream.remote()), port(upstream.local()), ufd]
        ));
        assert!(has("mapping", &numbers));
    }
}

#[test]
fn e49_a_session_names_the_protocol_of_its_five_tuples_first() {
    let _test = Test::begin("A five-tuple is two addresses, two ports, and the protocol.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let (_client, _upstream) = session(&proxy, &hand);
    let body = proxy.inspector().body("/routes.json");
    let begin = r#"{"sessions":[{"protocol":"tcp","client":{"#;
    assert!(body.starts_with(begin), "{body}");
}

#[test]
fn e49_without_inspect_there_is_no_inspector() {
    let _test = Test::begin("Off by default: no listener, no thread, no cost.");
    let program = Program::new(crate::support::program());
    let proxy = program.args(["--listen", "127.0.0.1:0"]).serve();
    assert_eq!(listeners(proxy.addr()), 1);
    proxy.terminate();
    assert!(!proxy.stderr().contains("inspector"));
}

/// Finds an address of this machine that is not a loopback address; no packet is sent for it.
fn foreign_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then_some(address)
}

#[test]
fn e49_a_port_alone_means_loopback() {
    let _test = Test::begin(
        "--inspect PORT listens on 127.0.0.1: by default no other machine may read the table.",
    );
    let (proxy, _echo) = proxy_and_echo(&[]);
    assert!(
        proxy.inspector().addr().ip().is_loopback(),
        "an address of loopback was asked for"
    );
    assert_ne!(
        proxy.inspector().addr().port(),
        0,
        "the real port has to be announced, not the 0 that was asked for"
    );
    let Some(address) = foreign_address() else {
        eprintln!("skipped: this machine has a loopback address only");
        return;
    };
    let outside = SocketAddr::new(address, proxy.inspector().addr().port());
    let reached = TcpStream::connect_timeout(&outside, harness::scaled(Duration::from_secs(1)));
    assert!(reached.is_err(), "the inspector answers on {outside}");
}

#[test]
fn e49_the_inspector_answers_what_it_has_and_nothing_else() {
    let _test = Test::begin("200 for the three pages, 404 for others, 405 for other methods.");
    let (proxy, _echo) = proxy_and_echo(&[]);
    let asked = [
        ("GET", "/", "200"),
        ("HEAD", "/", "200"),
        ("GET", "/routes.json", "200"),
        ("GET", "/metrics", "200"),
        ("GET", "/favicon.ico", "404"),
        ("GET", "/../etc/passwd", "404"),
        ("POST", "/routes.json", "405"),
        ("DELETE", "/", "405"),
    ];
    for (method, path, status) in asked {
        let (head, body) = proxy.inspector().ask(method, path);
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{method} {path}: {head}"
        );
        assert_eq!(body.is_empty(), method == "HEAD", "{method} {path}");
    }
    let types = [
        ("/", "text/html"),
        ("/routes.json", "application/json"),
        ("/metrics", "text/plain"),
    ];
    for (path, kind) in types {
        let head = proxy.inspector().ask("GET", path).0.to_lowercase();
        assert!(
            head.contains(&format!("content-type: {kind}")),
            "{path}: {head}"
        );
    }
}

#[test]
fn e49_a_name_of_somebody_else_is_refused() {
    let _test =
        Test::begin("A web page elsewhere must not read the table through a name of its own.");
    let (proxy, _echo) = proxy_and_echo(&[]);
    let client = Client::connect(proxy.inspector().addr());
    client.send(b"GET /routes.json HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    let answer = client.read_to_end();
    assert!(
        answer.starts_with(b"HTTP/1.1 421 "),
        "{}",
        answer.escape_ascii()
    );
}

#[test]
fn e49_a_later_minor_version_is_served() {
    let _test = Test::begin("RFC 9110 section 2.5: HTTP/1.2 is processed as HTTP/1.1.");
    let (proxy, _echo) = proxy_and_echo(&[]);
    for (version, status) in [("1.2", "200"), ("1.9", "200"), ("2.0", "400")] {
        let client = Client::connect(proxy.inspector().addr());
        client.send(format!("GET / HTTP/{version}\r\nHost: localhost\r\n\r\n").as_bytes());
        let answer = client.read_to_end();
        assert!(
            answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()),
            "HTTP/{version}: {}",
            answer.escape_ascii()
        );
    }
}

#[test]
fn e49_the_cookies_of_localhost_fit_and_a_head_is_bounded() {
    let _test =
        Test::begin("A browser sends the cookies of localhost to every port; the bound is 16 KiB.");
    let (proxy, _echo) = proxy_and_echo(&[]);
    for (cookies, status) in [(10_000, "200"), (16_000, "200"), (17_000, "431")] {
        let client = Client::connect(proxy.inspector().addr());
        let cookie = "c".repeat(cookies);
        let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
        client.send(head.as_bytes());
        let answer = client.read_to_end();
        assert!(
            answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()),
            "{cookies} bytes: {}",
            answer.escape_ascii()
        );
    }
}

#[test]
fn e49_the_metrics_can_be_read_by_prometheus() {
    let _test = Test::begin("Text format 0.0.4: HELP, TYPE, samples.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    talk(&client, &upstream);
    let body = proxy.inspector().body("/metrics");
    for line in body.lines().filter(|line| line.starts_with('#')) {
        assert!(
            line.starts_with("# HELP proxy_") || line.starts_with("# TYPE proxy_"),
            "{line}"
        );
    }
    let metrics = proxy.metrics();
    let expected = [
        ("proxy_sessions_open", 1.0),
        ("proxy_sessions_total", 1.0),
        ("proxy_bytes_total{direction=\"up\"}", 24.0),
        ("proxy_bytes_total{direction=\"down\"}", 24.0),
        ("proxy_connect_latency_seconds_count", 1.0),
    ];
    for (name, value) in expected {
        assert_eq!(metrics.get(name), Some(&value), "{name}");
    }
    client.close();
    upstream.close();
    proxy.wait_for_metric("proxy_sessions_open", 0.0);
    assert_eq!(
        proxy.metrics()["proxy_bytes_total{direction=\"up\"}"],
        24.0,
        "counters never decrease"
    );
}

/// Loads the inspector until the flag is cleared: pages, half requests, and clients that never read.
fn hammer(proxy: &Proxy, until: &std::sync::atomic::AtomicBool) {
    let quiet = harness::Connect::new().patience(Duration::from_secs(30));
    while !until.load(std::sync::atomic::Ordering::Relaxed) {
        for path in ["/", "/routes.json", "/metrics"] {
            drop(proxy.inspector().body(path));
        }
        if let Ok(rude) = quiet.try_to(proxy.inspector().addr()) {
            drop(rude.try_send(b"GET /rout"));
            rude.reset();
        }
    }
}

#[test]
fn e49_the_relay_goes_on_while_the_inspector_is_hammered() {
    let _test =
        Test::begin("The inspector gets copies from a mailbox; the loop never waits for it.");
    let (proxy, echo) = proxy_and_echo(&[]);
    let crowd: Vec<_> = (0..100).map(|_| Client::connect(proxy.addr())).collect();
    echo.wait_for_accepts(crowd.len());
    let until = std::sync::atomic::AtomicBool::new(false);
    let bytes = Rng::for_test().bytes(16 * MIB);
    thread::scope(|scope| {
        scope.spawn(|| hammer(&proxy, &until));
        scope.spawn(|| hammer(&proxy, &until));
        let client = &crowd[0];
        let sending = client.send_in_background(bytes.clone());
        assert!(
            client.read_exact(bytes.len()) == bytes,
            "the client got other bytes than were sent"
        );
        sending.join();
        for client in &crowd {
            let nonce = vec![b'n'; 2 * KIB];
            client.send(&nonce);
            client.expect(&nonce);
        }
        until.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(
        proxy.routes().sessions.len(),
        crowd.len(),
        "rows of the route table"
    );
}

#[test]
fn e49_visitors_who_say_nothing_block_neither_relay_nor_end() {
    let _test = Test::begin(
        "A client of the inspector that stays silent holds its own place only, and only for a while.",
    );
    let (proxy, hand) = proxy_and_hand(&[]);
    let silent: Vec<_> = (0..10)
        .map(|_| Client::connect(proxy.inspector().addr()))
        .collect();
    let (client, upstream) = session(&proxy, &hand);
    talk(&client, &upstream);
    client.close();
    upstream.close();
    assert_eq!(
        proxy.terminate().code(),
        Some(0),
        "the exit code after SIGTERM"
    );
    drop(silent);
}
