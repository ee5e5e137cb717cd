//! The tunnel against other implementations of its wires, in both roles: the crate `tokio-yamux` in this process, and
//! npm's `multiplex` in Node (`multiplex.js`).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;

use futures::StreamExt as _;
use harness::{Client, Digest, Hand, Program, Rng, Scripted, Test, in_time, proc};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_yamux::{Config, Session, StreamHandle};

use crate::support::MIB;
use crate::tunnel_ends::{client_program, server_on};

/// Streams of a test, and the bytes that each carries both ways: four windows of yamux.
const STREAMS: usize = 12;
const LENGTH: usize = MIB;

/// Checks that everything comes back to clients of our end, and then the end.
///
/// Half of a window, so that no echo waits for credit, and they read at the same time: `tokio-yamux` reads nothing of its link while one of its streams is full, not even the
/// credit for another one, and an echo that waits for credit does not read.
#[track_caller]
fn check_echoes(address: SocketAddr, first: &[u8]) {
    let bytes = [first, &Rng::for_test().bytes(128 * 1024)].concat();
    let (expected, length) = (Digest::of(&bytes), bytes.len());
    let clients: Vec<_> = (0..STREAMS).map(|_| Client::connect(address)).collect();
    let reading: Vec<_> = clients
        .into_iter()
        .map(|client| {
            let sending = client.send_in_background(bytes.clone());
            thread::spawn(move || {
                let received = client.read_exact(length);
                (sending, client, received)
            })
        })
        .collect();
    for thread in reading {
        let (sending, client, received) = thread.join().expect("a client has failed");
        assert_eq!(
            Digest::of(&received),
            expected,
            "length and hash of all that was received"
        );
        sending.join();
        client.half_close();
        client.expect_eof();
    }
}

/// Sends back what a stream of the crate gets, and then its end.
async fn echo(stream: StreamHandle) {
    let (mut input, mut output) = tokio::io::split(stream);
    // It ends with an error if the other end resets the stream.
    if tokio::io::copy(&mut input, &mut output).await.is_ok() {
        let _ = output.shutdown().await;
    }
}

/// Takes one link after the other, and serves its streams.
async fn serve(listener: TcpListener) {
    while let Ok((link, _)) = listener.accept().await {
        let mut session = Session::new_server(link, Config::default());
        while let Some(Ok(stream)) = session.next().await {
            tokio::spawn(echo(stream));
        }
    }
}

/// Sends bytes on a stream and checks that they come back, and then the end.
async fn check_echo(stream: impl AsyncRead + AsyncWrite + Send + 'static, bytes: Vec<u8>) {
    let (mut input, mut output) = tokio::io::split(stream);
    let expected = Digest::of(&bytes);
    let sending = tokio::spawn(async move {
        output.write_all(&bytes).await.expect("it is sent");
        output.shutdown().await.expect("it is ended");
    });
    let mut received = Vec::new();
    let read = input.read_to_end(&mut received);
    read.await.expect("it comes back");
    sending.await.expect("the sender has failed");
    assert_eq!(
        Digest::of(&received),
        expected,
        "length and hash of all that was received"
    );
}

#[test]
fn tunnel_interop_tokio_yamux_serves_the_streams_of_our_client() {
    let _test =
        Test::begin("Window updates with SYN open a stream, FIN ends one direction, RST both.");
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let far = listener.local_addr().unwrap();
    runtime.spawn(serve(listener));
    let ours = client_program(far, &[]).serve();
    ours.wait_for_stderr("the link is up");
    let before = proc::fd_count(ours.pid());
    check_echoes(ours.addr(), b"");
    // A client that resets costs no other anything.
    let client = Client::connect(ours.addr());
    client.send(b"x");
    client.expect(b"x");
    client.reset();
    check_echoes(ours.addr(), b"");
    proc::fds_return_to(ours.pid(), before);
    assert!(
        !ours.stderr().contains("the link is down"),
        "{}",
        ours.stderr()
    );
    runtime.shutdown_background();
}

#[test]
fn tunnel_interop_our_server_serves_the_streams_of_tokio_yamux() {
    let _test =
        Test::begin("The crate opens the streams; ours are the windows that it must respect.");
    let upstream = Scripted::echo();
    let ours = server_on("127.0.0.1:0", upstream.addr(), &[]);
    let (address, before) = (ours.addr(), proc::fd_count(ours.pid()));
    let bytes = Rng::for_test().bytes(LENGTH);
    in_time("the streams of tokio-yamux", move || {
        Runtime::new().unwrap().block_on(async {
            let link = TcpStream::connect(address).await.unwrap();
            let mut session = Session::new_client(link, Config::default());
            let mut control = session.control();
            let driver =
                tokio::spawn(async move { while let Some(Ok(_)) = session.next().await {} });
            let mut checks = Vec::new();
            for _ in 0..STREAMS {
                let stream = control.open_stream().await.unwrap();
                checks.push(tokio::spawn(check_echo(stream, bytes.clone())));
            }
            for check in checks {
                check.await.unwrap();
            }
            control.close().await;
            driver.await.unwrap();
        });
    });
    proc::fds_return_to(ours.pid(), before);
}

/// Prepares Node with the library, or says that the test is skipped.
fn node(arguments: &[&str]) -> Option<Program> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let modules = root.join("target/npm/node_modules");
    let path = std::env::var_os("PATH")?;
    let node: Option<PathBuf> = std::env::split_paths(&path)
        .map(|folder| folder.join("node"))
        .find(|file| file.is_file());
    let Some(node) = node.filter(|_| modules.join("multiplex").is_dir()) else {
        eprintln!("skipped: no node, or no `npm install --prefix target/npm multiplex@6.7.0`");
        return None;
    };
    let script = root.join("tests/stage5/multiplex.js");
    let program = Program::new(node).arg("--no-deprecation").arg(script);
    Some(program.args(arguments).env("NODE_PATH", modules))
}

#[test]
fn tunnel_interop_npm_multiplex_serves_the_streams_of_our_client() {
    let _test = Test::begin("Open, data, end and destroy are the frames of the original.");
    let Some(far) = node(&["serve"]) else {
        return;
    };
    let far = far.serve();
    let ours = client_program(far.addr(), &["--wire", "multiplex"]).serve();
    ours.wait_for_stderr("the link is up");
    let before = proc::fd_count(ours.pid());
    check_echoes(ours.addr(), b"e");
    // The answer comes behind our end: halves of a stream end on their own.
    let client = Client::connect(ours.addr());
    client.send(&[b'c'; 100_000]);
    client.half_close();
    client.expect(b"100000");
    client.expect_eof();
    // A channel that the library destroys is a reset here, and one that we reset is destroyed there.
    let destroyed = Client::connect(ours.addr());
    destroyed.send(b"x");
    destroyed.expect_reset();
    let given_up = Client::connect(ours.addr());
    given_up.send(b"e");
    given_up.expect(b"e");
    given_up.reset();
    check_echoes(ours.addr(), b"e");
    proc::fds_return_to(ours.pid(), before);
    assert!(
        !ours.stderr().contains("the link is down"),
        "{}",
        ours.stderr()
    );
}

#[test]
fn tunnel_interop_our_server_serves_the_streams_of_npm_multiplex() {
    let _test = Test::begin("The library opens the channels, and uses their numbers again.");
    let upstream = Scripted::echo();
    let ours = server_on("127.0.0.1:0", upstream.addr(), &["--wire", "multiplex"]);
    let (port, before) = (ours.addr().port().to_string(), proc::fd_count(ours.pid()));
    let sizes = [STREAMS.to_string(), LENGTH.to_string()];
    let Some(echo) = node(&["echo", &port, &sizes[0], &sizes[1]]) else {
        return;
    };
    let finished = echo.run();
    finished.expect_code(0);
    proc::fds_return_to(ours.pid(), before);
}

#[test]
fn tunnel_interop_npm_multiplex_may_destroy_a_channel_and_use_its_number_again() {
    let _test = Test::begin(
        "The number names another stream from now on; a handle of the old one names none.",
    );
    let upstream = Hand::start();
    let ours = server_on("127.0.0.1:0", upstream.addr(), &["--wire", "multiplex"]);
    let port = ours.addr().port().to_string();
    let Some(far) = node(&["destroy", &port]) else {
        return;
    };
    let far = far.spawn();
    let first = upstream.next();
    first.expect(b"gone");
    first.send(b"x");
    first.expect_reset();
    let second = upstream.next();
    second.expect(b"again");
    second.send(b"it works");
    assert!(far.wait().success(), "{}", far.stderr());
    far.expect_stdout(b"it works\n");
}
