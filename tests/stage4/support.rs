//! Shared by the tests of stage 4: sessions through a proxy, and how they end.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use crate::proxy::{Proxy, Row, wait_until_still};
use harness::{Client, Connect, Hand, PATIENCE, Peer, Scripted, eventually, fail, sockets};

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
    match Connect::new().try_to(proxy) {
        Ok(client) => drop(client.expect_closed()),
        // getpeername(2) fails with ENOTCONN if the connection was reset meanwhile.
        Err(error)
            if [ErrorKind::ConnectionReset, ErrorKind::NotConnected].contains(&error.kind()) => {}
        Err(error) => fail(format!("A client cannot connect to {proxy}: {error}.")),
    }
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
