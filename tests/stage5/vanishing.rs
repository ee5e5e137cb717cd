//! Peers that vanish: a machine that loses its power or its network sends nothing, not even a FIN.

use harness::{Client, Hand, Peer, Scripted, Test, eventually_equal, sockets};

use crate::support::Mux;

/// Returns the kernel's timer of the queue's socket towards a peer.
fn timer_towards(peer: &Peer) -> Option<u8> {
    sockets::find(peer.remote(), peer.local()).map(|row| row.timer)
}

#[test]
fn e53_clients_and_upstream_are_probed() {
    let _test = Test::begin("SO_KEEPALIVE on both sides: a vanished peer sends not even a FIN.");
    for (time, timer) in [("1h", sockets::KEEPALIVE), ("off", 0)] {
        let hand = Hand::start();
        let mux = Mux::start(hand.addr(), &["--framing", "line", "--keepalive", time]);
        let client = mux.client();
        client.send(b"who?\n");
        let upstream = hand.next();
        upstream.expect(b"who?\n");
        upstream.send(b"me\n");
        client.expect(b"me\n");
        for peer in [&client, &upstream] {
            eventually_equal("timer of the socket", &Some(timer), || timer_towards(peer));
        }
    }
}

/// Lets a client ask one line of an upstream that echoes.
#[track_caller]
fn is_served(client: &Client) {
    client.send(b"who?\n");
    client.expect(b"who?\n");
}

#[test]
fn e56_a_client_that_vanishes_gives_its_place_back() {
    let _test = Test::begin("A line has no time limit: only the kernel can tell who is left.");
    let echo = Scripted::echo();
    let arguments = [
        "--framing",
        "line",
        "--keepalive",
        "1s",
        "--max-connections",
        "2",
    ];
    let mux = Mux::start(echo.addr(), &arguments);
    let (first, second) = (mux.client(), mux.client());
    is_served(&first);
    is_served(&second);
    let waiting = mux.client();
    first.vanish();
    is_served(&waiting);
    is_served(&second);
}
