//! Exercise 4.7: peers that vanish give back their places. A machine that loses its power or its network sends nothing.

use harness::{Client, Hand, Peer, Test, eventually_equal, sockets};

use crate::support::{Proxy, proxy_and_hand, session, talk};

/// Returns the kernel's timer of the proxy's socket towards a peer.
fn timer_towards(peer: &Peer) -> Option<u8> {
    sockets::find(peer.remote(), peer.local()).map(|row| row.timer)
}

/// Opens a session over which a byte has gone both ways.
#[track_caller]
fn used_session(proxy: &Proxy, hand: &Hand) -> (Client, Peer) {
    let (client, upstream) = session(proxy, hand);
    talk(&client, &upstream);
    (client, upstream)
}

#[test]
fn e47_both_sockets_of_a_session_are_probed() {
    let _test = Test::begin("SO_KEEPALIVE on both sides: a vanished peer sends not even a FIN.");
    for (arguments, timer) in [
        (&[][..], sockets::KEEPALIVE),
        (&["--keepalive", "1h"], sockets::KEEPALIVE),
        (&["--keepalive", "off"], 0),
    ] {
        let (proxy, hand) = proxy_and_hand(arguments);
        let (client, upstream) = used_session(&proxy, &hand);
        for peer in [&client, &upstream] {
            eventually_equal("timer of the socket", &Some(timer), || timer_towards(peer));
        }
    }
}

#[test]
fn e47_a_peer_that_vanishes_gives_its_place_back() {
    let _test = Test::begin("Nothing unsent: probes tell. Unacknowledged bytes: TCP_USER_TIMEOUT.");
    let arguments = ["--keepalive", "1s", "--max-connections", "5"];
    let (proxy, hand) = proxy_and_hand(&arguments);
    let sessions: Vec<_> = (0..5).map(|_| used_session(&proxy, &hand)).collect();
    let waiting = Client::connect(proxy.addr());
    sessions[0].0.vanish();
    sessions[1].1.vanish();
    // The proxy passes these bytes on, and the kernel gets no acknowledgement for them.
    sessions[2].0.vanish();
    sessions[2].1.send(b"are you there?");
    sessions[3].1.vanish();
    sessions[3].0.send(b"are you there?");
    for (gone, other) in [
        (&sessions[0].0, &sessions[0].1),
        (&sessions[1].1, &sessions[1].0),
        (&sessions[2].0, &sessions[2].1),
        (&sessions[3].1, &sessions[3].0),
    ] {
        other.expect_reset();
        eventually_equal("its socket", &None, || timer_towards(gone));
    }
    let its_upstream = hand.next();
    talk(&waiting, &its_upstream);
    talk(&sessions[4].0, &sessions[4].1);
}
