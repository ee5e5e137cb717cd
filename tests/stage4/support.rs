//! Shared by the tests of stage 4: sessions through a proxy, and how they end.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(crate) use crate::proxy::{Proxy, Row, wait_until_still};
use harness::{
    Client, Connect, Hand, PATIENCE, Peer, Scripted, Server, Upstream, eventually, fail, sockets,
};
use tempfile::TempDir;

/// A window in which a waiting program uses no CPU.
pub(crate) const HALF_A_SECOND: Duration = Duration::from_millis(500);

/// One KiB and one MiB, in bytes.
pub(crate) const KIB: usize = 1024;
pub(crate) const MIB: usize = 1024 * 1024;

/// The program under test.
pub(crate) fn program() -> PathBuf {
    harness::bin!("stage4-proxy")
}

/// Connects a client that the proxy closes, with a reset or not, as soon as it likes: even before it is here.
#[track_caller]
pub(crate) fn connect_and_be_closed(proxy: SocketAddr) {
    let _either = Client::connect(proxy).expect_closed();
}

/// Checks that the other end is closed for a peer that has read the end of its stream: further bytes are answered by a
/// reset.
#[track_caller]
pub(crate) fn expect_reset_after_eof(peer: &Peer) {
    let what = format!("further bytes of {} are answered by a reset", peer.name());
    eventually(&what, PATIENCE, || peer.try_send(b"?").is_err());
}

/// Checks that `bytes` cannot all be sent, because the connection is reset meanwhile.
#[track_caller]
pub(crate) fn expect_reset_while_sending(sent: &std::io::Result<()>) {
    let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    match sent {
        Err(error) if kinds.contains(&error.kind()) => {}
        Err(error) => fail(format!("The sender was not reset, its error is: {error}.")),
        Ok(()) => fail("Everything was sent, although the other end does not read."),
    }
}

/// Starts a proxy to an upstream that is played by hand.
#[track_caller]
pub(crate) fn proxy_and_hand(arguments: &[&str]) -> (Proxy, Hand) {
    let hand = Hand::start();
    (Proxy::with(hand.addr(), arguments), hand)
}

/// Starts a proxy to an echo.
#[track_caller]
pub(crate) fn proxy_and_echo(arguments: &[&str]) -> (Proxy, Scripted) {
    let echo = Scripted::echo();
    (Proxy::with(echo.addr(), arguments), echo)
}

/// Opens a session and returns both its ends.
#[track_caller]
pub(crate) fn session(proxy: &Proxy, hand: &Hand) -> (Client, Peer) {
    let client = Client::connect(proxy.addr());
    let upstream = hand.next();
    (client, upstream)
}

/// Returns how many bytes the kernel takes for a client of these options that does not read, on this machine.
///
/// With small segments it is little, because a send buffer has room for a number of them (`tcp(7)`).
#[track_caller]
pub(crate) fn kernel_room(slow: &Connect) -> usize {
    let hand = Hand::start();
    let _reader = slow.to(hand.addr());
    let quiet = Duration::from_millis(200);
    hand.next()
        .send_until_blocked(&[0; 30_000], quiet, 16 << 20)
}

/// Checks that two ends are connected: a nonce each way.
#[track_caller]
pub(crate) fn talk(client: &Client, upstream: &Peer) {
    let mut rng = harness::Rng::for_test();
    let (question, answer) = (rng.nonce(24), rng.nonce(24));
    client.send(&question);
    upstream.expect(&question);
    upstream.send(&answer);
    client.expect(&answer);
}

/// Sends 8 MiB up and a FIN, then 1 MiB down and the end: a half-close is no end.
#[track_caller]
pub(crate) fn a_request_and_a_half_close(client: &Client, upstream: Peer) {
    let mut rng = harness::Rng::for_test();
    let (question, answer) = (rng.bytes(8 * MIB), rng.bytes(MIB));
    let sending = client.send_in_background(question.clone());
    upstream.expect(&question);
    sending.join();
    client.half_close();
    upstream.expect_eof();
    let sending = upstream.send_in_background(answer.clone());
    client.expect(&answer);
    sending.join();
    upstream.close();
    client.expect_eof();
}

/// Checks that a client is served by an echo.
#[track_caller]
pub(crate) fn echoes(client: &Client) {
    let nonce = harness::Rng::for_test().nonce(24);
    client.send(&nonce);
    client.expect(&nonce);
}

/// Returns how many bytes have arrived at a peer that it has not read.
pub(crate) fn unread(peer: &Peer) -> u64 {
    sockets::find(peer.local(), peer.remote()).map_or(0, |row| row.unread)
}

/// Returns how many sockets listen on an IPv4 address.
pub(crate) fn listeners(address: SocketAddr) -> usize {
    let IpAddr::V4(ip) = address.ip() else {
        return 0;
    };
    // The kernel prints the four bytes as one number in the machine's own order; state 0A is LISTEN.
    let ip = u32::from_ne_bytes(ip.octets());
    let row = format!(" {ip:08X}:{:04X} 00000000:0000 0A ", address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    table.matches(&row).count()
}

/// Finds a program in PATH; says that the test is skipped if it is not installed.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        eprintln!("skipped: {name} is not installed");
    }
    found
}

/// Fetches a URL with curl, and returns what it printed.
#[track_caller]
pub(crate) fn curl(program: &Path, options: &[&str], url: &str) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(["--silent", "--show-error", "--max-time", "30"]);
    let output = command.args(options).arg(url).output();
    let output = output.unwrap_or_else(|error| fail(format!("curl: {error}")));
    harness::ensure(
        output.status.success(),
        String::from_utf8_lossy(&output.stderr),
    );
    output.stdout
}

/// A web server with one page.
#[derive(Debug)]
pub(crate) struct Page {
    server: Server,
    _folder: TempDir,
}

/// What the page says.
pub(crate) const PAGE: &[u8] = b"<p>a page</p>\n";

impl Page {
    /// Starts the server.
    #[track_caller]
    pub(crate) fn serve() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("index.html"), PAGE).expect("a file in it");
        Self {
            server: Upstream::python(folder.path()),
            _folder: folder,
        }
    }

    /// Returns the server's port.
    pub(crate) fn port(&self) -> u16 {
        self.server.addr().port()
    }

    /// Returns the page's URL, with a name for its host.
    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}/", self.port())
    }
}
