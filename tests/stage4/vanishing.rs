//! Exercise 4.7: peers that vanish give back their places. A machine that loses its power or its network sends nothing.

use std::io::Write as _;
use std::time::Duration;

use harness::{Client, Hand, Peer, Rng, Test, eventually, eventually_equal, sockets};

use crate::support::{MIB, Proxy, proxy_and_hand, session, talk};

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
    let _test =
        Test::begin("Nothing unsent: probes tell. Unacknowledged bytes: no ACK for them tells.");
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

/// Twice the keepalive of the next test, and time for a busy machine.
const IN_TIME: Duration = Duration::from_secs(2 * 2 + 2);
/// Five times the keepalive of the test after it.
const A_LONG_PAUSE: Duration = Duration::from_secs(5);

/// Has one end send a block again and again until the other, which reads nothing, has closed its window.
#[track_caller]
fn close_window(sender: &Peer, reader: &Peer, block: &[u8]) -> usize {
    let sent = sender.send_until_blocked(block, Duration::from_millis(300), 64 * MIB);
    let probes = Some(sockets::ZERO_WINDOW_PROBE);
    eventually_equal("timer of the socket", &probes, || timer_towards(reader));
    sent
}

/// Waits until the proxy has given a peer up, in time; the peer at the other end is reset.
#[track_caller]
fn is_given_up(gone: &Peer, other: &Peer) {
    eventually("its socket is closed in time", IN_TIME, || {
        timer_towards(gone).is_none()
    });
    other.expect_reset();
}

#[test]
fn vanished_with_unsent_bytes_it_is_given_up_within_twice_the_keepalive() {
    let _test = Test::begin(
        "The kernel repeats the bytes for 15 minutes: look yourself whether they are acknowledged.",
    );
    let (proxy, hand) = proxy_and_hand(&["--keepalive", "2s"]);
    let [idle, asked, paused, busy] = std::array::from_fn(|_| used_session(&proxy, &hand));
    close_window(&paused.1, &paused.0, &[7; MIB]);
    for (client, _) in [&idle, &asked, &paused, &busy] {
        client.vanish();
    }
    asked.1.send(b"are you there?");
    // One write after the other finds room in the send buffer, although no byte arrives.
    let is_told = || busy.1.stream().as_ref().write_all(b".").is_err();
    eventually("the sender is reset in time", IN_TIME, is_told);
    for (gone, other) in [&idle, &asked, &paused] {
        is_given_up(gone, other);
    }
}

#[test]
fn vanished_is_not_who_pauses_for_long() {
    let _test = Test::begin("A reader that pauses acknowledges each probe of its closed window.");
    let (proxy, hand) = proxy_and_hand(&["--keepalive", "1s"]);
    let [down, up] = std::array::from_fn(|_| used_session(&proxy, &hand));
    let block = Rng::for_test().bytes(MIB);
    let sent_down = close_window(&down.1, &down.0, &block);
    let sent_up = close_window(&up.0, &up.1, &block);
    down.1.expect_silence(A_LONG_PAUSE);
    for (sender, reader, sent) in [(down.1, down.0, sent_down), (up.0, up.1, sent_up)] {
        sender.half_close();
        let received = reader.read_to_end();
        assert_eq!(received.len(), sent, "bytes of the reader");
        let is_intact = |part: &[u8]| part == &block[..part.len()];
        assert!(received.chunks(MIB).all(is_intact), "a byte is wrong");
    }
}
