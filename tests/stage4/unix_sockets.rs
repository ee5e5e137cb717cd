//! Unix sockets at both ends of the proxy.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use harness::{
    Client, Finished, Hand, Inspector, PATIENCE, Process, Program, Rng, Scripted, Signal, Test,
    eventually, fail, scaled,
};
use tempfile::TempDir;

use crate::support::{MIB, Proxy, connect_and_be_closed, program};

/// A folder for sockets.
struct Folder(TempDir);

impl Folder {
    #[track_caller]
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap_or_else(|error| fail(error.to_string())))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The value of --listen or --upstream for a socket in the folder.
    fn flag(&self, name: &str) -> String {
        format!("unix:{}", self.path(name).display())
    }
}

/// Starts a proxy that listens on a path, and waits until it says so.
#[track_caller]
fn listening(listen: &str, arguments: &[&str]) -> Process {
    let process = Program::new(program())
        .args(["--listen", listen])
        .args(arguments)
        .spawn();
    process.expect_stdout(format!("listening on {listen}\n").as_bytes());
    process
}

#[track_caller]
fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path);
    let stream = stream.unwrap_or_else(|error| fail(format!("{}: {error}", path.display())));
    limit(&stream);
    stream
}

#[track_caller]
fn bind(path: &Path) -> UnixListener {
    UnixListener::bind(path).unwrap_or_else(|error| fail(format!("{}: {error}", path.display())))
}

#[track_caller]
fn accept(listener: &UnixListener) -> UnixStream {
    let listener = listener.try_clone().expect("a descriptor");
    let (stream, _) = harness::in_time("a connection arrives", move || listener.accept())
        .unwrap_or_else(|error| fail(error.to_string()));
    limit(&stream);
    stream
}

fn limit(stream: &UnixStream) {
    let limit = Some(scaled(PATIENCE));
    let set = stream
        .set_read_timeout(limit)
        .and(stream.set_write_timeout(limit));
    set.unwrap_or_else(|error| fail(error.to_string()));
}

#[track_caller]
fn send(mut stream: &UnixStream, bytes: &[u8]) {
    stream
        .write_all(bytes)
        .unwrap_or_else(|error| fail(error.to_string()));
}

#[track_caller]
fn expect(mut stream: &UnixStream, expected: &[u8]) {
    let mut seen = vec![0; expected.len()];
    stream
        .read_exact(&mut seen)
        .unwrap_or_else(|error| fail(error.to_string()));
    harness::expect_bytes("bytes of a Unix socket", expected, &seen);
}

/// Reads to the end; a reset counts, too, because close(2) sends one if bytes were unread.
#[track_caller]
fn expect_closed(mut stream: &UnixStream) {
    match stream.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => fail(format!("the other end is not closed: {other:?}")),
    }
}

/// Checks that a client over a Unix socket is served by an echo.
#[track_caller]
fn echoes(client: &UnixStream) {
    let nonce = Rng::for_test().nonce(24);
    send(client, &nonce);
    expect(client, &nonce);
}

#[track_caller]
fn refused(arguments: &[&str]) -> Finished {
    Program::new(program()).args(arguments).run()
}

#[test]
fn unix_clients_come_in_over_a_path() {
    let _test =
        Test::begin("The file is there while the proxy listens, and gone after a clean stop.");
    let (folder, echo) = (Folder::new(), Scripted::echo());
    let proxy = listening(&folder.flag("in"), &["--upstream", &echo.addr_text()]);
    let file = fs::symlink_metadata(folder.path("in")).expect("the socket's file");
    assert!(file.file_type().is_socket());
    let client = connect(&folder.path("in"));
    echoes(&client);
    drop(client);
    assert_eq!(
        proxy.terminate().code(),
        Some(0),
        "the exit code after SIGTERM"
    );
    assert!(!folder.path("in").exists());
}

#[test]
fn unix_an_upstream_may_be_a_path() {
    let _test =
        Test::begin("connect(2) to a file is done at once, and everything behind it is the same.");
    let folder = Folder::new();
    let listener = bind(&folder.path("out"));
    let proxy = Proxy::with(&*folder.flag("out"), &[]);
    let client = Client::connect(proxy.addr());
    client.send(b"early");
    let upstream = accept(&listener);
    expect(&upstream, b"early");
    send(&upstream, b"answer");
    client.expect(b"answer");
    client.half_close();
    assert_eq!(
        (&upstream).read(&mut [0]).ok(),
        Some(0),
        "the client's end is passed on"
    );
    send(&upstream, b"last");
    drop(upstream);
    client.expect(b"last");
    client.expect_eof();
    proxy.wait_for_rows(0);
}

#[test]
fn unix_a_half_close_passes_both_kinds() {
    let _test =
        Test::begin("8 MiB up and a FIN, then 1 MiB down: from a path, over TCP, to a path.");
    let folder = Folder::new();
    let listener = bind(&folder.path("out"));
    let inner = Proxy::with(&*folder.flag("out"), &[]);
    let upstream = inner.addr().to_string();
    let _outer = listening(&folder.flag("in"), &["--upstream", &upstream]);
    let client = connect(&folder.path("in"));
    let upstream = accept(&listener);
    let mut rng = Rng::for_test();
    let (question, answer) = (rng.bytes(8 * MIB), rng.bytes(MIB));
    thread::scope(|scope| {
        scope.spawn(|| {
            send(&client, &question);
            client.shutdown(Shutdown::Write).expect("a half-close");
        });
        expect(&upstream, &question);
    });
    assert_eq!((&upstream).read(&mut [0]).ok(), Some(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            send(&upstream, &answer);
            upstream.shutdown(Shutdown::Write).expect("a half-close");
        });
        expect(&client, &answer);
    });
    assert_eq!((&client).read(&mut [0]).ok(), Some(0));
    inner.wait_for_rows(0);
}

#[test]
fn unix_a_stale_file_is_replaced() {
    let _test = Test::begin(
        "A proxy that was killed leaves its file behind, and only connect(2) can tell that it is stale.",
    );
    let (folder, echo) = (Folder::new(), Scripted::echo());
    let (flag, upstream) = (folder.flag("in"), echo.addr_text());
    let first = listening(&flag, &["--upstream", &upstream]);
    first.signal(Signal::SIGKILL);
    first.wait();
    assert!(folder.path("in").exists());
    let _second = listening(&flag, &["--upstream", &upstream]);
    echoes(&connect(&folder.path("in")));
}

#[test]
fn unix_a_live_listener_keeps_its_file() {
    let _test = Test::begin("The second proxy fails as it would on a port.");
    let (folder, echo) = (Folder::new(), Scripted::echo());
    let flag = folder.flag("in");
    let _first = listening(&flag, &["--upstream", &echo.addr_text()]);
    for _ in 0..2 {
        let second = refused(&["--listen", &flag]);
        second
            .expect_code(1)
            .expect_one_sentence(&["address already in use", &flag]);
    }
    echoes(&connect(&folder.path("in")));
}

#[test]
fn unix_a_file_that_is_no_socket_stays() {
    let _test = Test::begin("A wrong path must not cost a file.");
    let folder = Folder::new();
    fs::write(folder.path("letter"), "dear reader").expect("a file");
    let end = refused(&["--listen", &folder.flag("letter")]);
    end.expect_code(1).expect_one_sentence(&["no socket"]);
    let content = fs::read(folder.path("letter")).expect("the file");
    assert_eq!(content, b"dear reader");
    let end = refused(&["--listen", &folder.flag("missing/in")]);
    end.expect_code(1)
        .expect_one_sentence(&["its folder does not exist"]);
}

#[test]
fn unix_flags_that_cannot_be_are_told_why() {
    let _test = Test::begin("Bad arguments end with status 2 and a sentence.");
    let long = format!("unix:/{}", "x".repeat(107));
    let table: [(&[&str], &str); 8] = [
        (&["--listen", &long], "107 bytes"),
        (&["--upstream", &long], "107 bytes"),
        (&["--listen", "unix:"], "no path"),
        (&["--upstream", "unix:"], "no path"),
        (
            &["--upstream", "unix:a", "--chain", "localhost:1"],
            "the last hop",
        ),
        (
            &["--upstream", "unix:a", "--listen", "unix:a"],
            "connect to itself",
        ),
        (&["--upstream", "unix:a", "--udp"], "--udp"),
        (&["--listen", "unix:a", "--udp"], "--udp"),
    ];
    for (arguments, words) in table {
        let end = refused(arguments);
        end.expect_code(2);
        assert!(end.stderr.contains(words), "{}", end.stderr);
    }
}

#[test]
fn unix_every_thread_serves_the_path() {
    let _test = Test::begin(
        "One listening socket for all workers: the first one to accept gets the client.",
    );
    let (folder, echo) = (Folder::new(), Scripted::echo());
    let flag = folder.flag("in");
    let options = [
        "--threads",
        "4",
        "--max-connections",
        "40",
        "--upstream",
        &echo.addr_text(),
    ];
    let proxy = listening(&flag, &options);
    for _ in 0..3 {
        let clients: Vec<_> = (0..40).map(|_| connect(&folder.path("in"))).collect();
        clients.iter().for_each(echoes);
        let waiting = connect(&folder.path("in"));
        drop(clients);
        // It waited in the accept queue for a slot, whichever worker gave it back.
        echoes(&waiting);
    }
    assert_eq!(
        proxy.terminate().code(),
        Some(0),
        "the exit code after SIGTERM"
    );
    assert!(!folder.path("in").exists());
}

#[test]
fn unix_an_upstream_that_is_not_there_is_named() {
    let _test = Test::begin(
        "No file, and no listener, are told apart in the log, and the client is reset.",
    );
    let folder = Folder::new();
    let proxy = Proxy::with(&*folder.flag("out"), &[]);
    connect_and_be_closed(proxy.addr());
    let line = proxy.wait_for_stderr("No such file");
    assert!(line.contains(&folder.flag("out")), "{line}");
    drop(bind(&folder.path("out")));
    connect_and_be_closed(proxy.addr());
    let line = proxy.wait_for_stderr("connection refused");
    assert!(line.contains(&folder.flag("out")), "{line}");
    proxy.wait_for_rows(0);
}

#[test]
fn unix_a_side_that_breaks_ends_the_other() {
    let _test = Test::begin("close(2) with unread bytes is the reset of a Unix socket.");
    let folder = Folder::new();
    let listener = bind(&folder.path("out"));
    let proxy = Proxy::with(&*folder.flag("out"), &[]);
    let client = Client::connect(proxy.addr());
    let upstream = accept(&listener);
    client.send(b"never read");
    client.wait_until_read();
    eventually("the bytes are in the upstream's queue", PATIENCE, || {
        proxy.routes().totals["sessions_open"] == 1 && proxy.row_of(&client).bytes_up == 10
    });
    drop(upstream);
    client.expect_reset();
    proxy.wait_for_rows(0);

    let hand = Hand::start();
    let upstream = hand.addr().to_string();
    let _proxy = listening(&folder.flag("in"), &["--upstream", &upstream]);
    let client = connect(&folder.path("in"));
    hand.next().reset();
    expect_closed(&client);
    let client = connect(&folder.path("in"));
    let upstream = hand.next();
    upstream.send(b"never read");
    eventually("the bytes have left", PATIENCE, || {
        upstream.unread_by_peer() == 0
    });
    drop(client);
    let _end = upstream.expect_closed();
}

#[test]
fn unix_clients_count_as_loopback() {
    let _test = Test::begin(
        "The file's permissions say who may connect; for the rules, the client is at 127.0.0.1.",
    );
    let (folder, echo) = (Folder::new(), Scripted::echo());
    let upstream = echo.addr_text();
    let options = ["--upstream", &upstream, "--clients", "10.0.0.0/8"];
    let _closed = listening(&folder.flag("closed"), &options);
    expect_closed(&connect(&folder.path("closed")));
    // A choosing ingress needs no --allow, because other machines do not get here.
    let _open = listening(&folder.flag("open"), &["--ingress", "socks5"]);
    let client = connect(&folder.path("open"));
    let ip = [127, 0, 0, 1];
    let port = echo.addr().port().to_be_bytes();
    send(
        &client,
        &[b"\x05\x01\x00\x05\x01\x00\x01", &ip[..], &port].concat(),
    );
    expect(&client, b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01");
    expect_any(&client, 2);
    echoes(&client);
}

#[track_caller]
fn expect_any(mut stream: &UnixStream, count: usize) {
    stream
        .read_exact(&mut vec![0; count])
        .unwrap_or_else(|error| fail(error.to_string()));
}

#[test]
fn unix_the_proxy_protocol_passes_both_ends() {
    let _test = Test::begin("A balancer may speak to us over a path, and so may we to the target.");
    let folder = Folder::new();
    let listener = bind(&folder.path("out"));
    let options = [
        "--upstream",
        &folder.flag("out"),
        "--accept-proxy",
        "127.0.0.1",
        "--send-proxy",
        "v1",
    ];
    let _proxy = listening(&folder.flag("in"), &options);
    let line = b"PROXY TCP4 203.0.113.7 198.51.100.1 50312 443\r\n";
    let balancer = connect(&folder.path("in"));
    send(&balancer, &[&line[..], b"early"].concat());
    expect(&accept(&listener), &[&line[..], b"early"].concat());

    let options = ["--upstream", &folder.flag("out"), "--send-proxy", "v1"];
    let _proxy = listening(&folder.flag("plain"), &options);
    let client = connect(&folder.path("plain"));
    send(&client, b"early");
    expect(&accept(&listener), b"PROXY UNKNOWN\r\nearly");
}

#[test]
fn unix_the_inspector_shows_the_path() {
    let _test = Test::begin(
        "There is no five-tuple: the path says which socket it is, and the kernel whose process is there.",
    );
    let (folder, hand) = (Folder::new(), Hand::start());
    let upstream = hand.addr().to_string();
    let proxy = listening(
        &folder.flag("in"),
        &["--upstream", &upstream, "--inspect", "0"],
    );
    let _client = connect(&folder.path("in"));
    let _upstream = hand.next();
    let routes = Inspector::of(&proxy).body("/routes.json");
    let routes: serde_json::Value = serde_json::from_str(&routes).expect("JSON");
    let client = &routes["sessions"][0]["client"];
    assert!(
        client["peer"].is_null() && client["local"].is_null(),
        "{client}"
    );
    assert_eq!(
        client["unix"]["path"],
        folder.path("in").to_string_lossy().as_ref()
    );
    assert_eq!(client["unix"]["pid"], std::process::id());
    let description = routes["sessions"][0]["description"].as_str().unwrap_or("");
    assert!(
        description.starts_with("fixed[unix -> 127.0.0.1:"),
        "{description}"
    );

    let _listener = bind(&folder.path("out"));
    let proxy = Proxy::with(&*folder.flag("out"), &[]);
    let client = Client::connect(proxy.addr());
    proxy.wait_for_phases(&["relay"]);
    let row = proxy.row_of(&client);
    assert!(
        row.description
            .ends_with(&format!("-> {}]", folder.flag("out"))),
        "{}",
        row.description
    );
    let routes = proxy.inspector().body("/routes.json");
    let routes: serde_json::Value = serde_json::from_str(&routes).expect("JSON");
    let upstream = &routes["sessions"][0]["upstream"];
    assert_eq!(
        upstream["unix"]["path"],
        folder.path("out").to_string_lossy().as_ref()
    );
}
