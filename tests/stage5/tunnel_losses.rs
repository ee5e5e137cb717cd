//! A link is lost while bytes wait behind it: each side that has sent some of them sees an error, and never an end that
//! looks as if all had arrived.

use std::io::ErrorKind;
use std::time::Duration;

use harness::{Client, End, Hand, Peer, Signal, Test};

use crate::support::MIB;
use crate::tunnel_ends::{Tunnel, WIRES};

/// Starts a tunnel to an upstream by hand, and opens a stream over it.
#[track_caller]
fn tunnel_and_hand(wire: &str) -> (Tunnel, Hand, Client, Peer) {
    let upstream = Hand::start();
    let tunnel = Tunnel::to(upstream.addr(), &["--wire", wire]);
    let client = tunnel.connect();
    client.send(b"hello");
    let peer = upstream.next();
    peer.expect(b"hello");
    (tunnel, upstream, client, peer)
}

/// Sends until every buffer on the way to the reader is full, the link's included if the reader stalls it.
#[track_caller]
fn fill(sender: &Peer) {
    sender.send_until_blocked(&[7; 64 * 1024], Duration::from_millis(300), 64 * MIB);
}

/// Checks that a side that has sent all it could learns that some of it is lost, although it has read the end of its peer.
#[track_caller]
fn expect_no_further_byte(sender: &Peer) {
    let error = sender.try_send(&[7; MIB]).expect_err("the link is lost");
    let lost = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(lost.contains(&error.kind()), "{error}");
}

#[test]
fn tunnel_loss_a_client_whose_bytes_wait_for_the_link_is_reset() {
    let _test = Test::begin(
        "The program at the far end is stopped, so that nothing is carried; then it is killed.",
    );
    for wire in WIRES {
        let (tunnel, _upstream, sender, _peer) = tunnel_and_hand(wire);
        tunnel.server.stop();
        fill(&sender);
        // All of its bytes are accepted by the kernel, and its end as well: only the reset says that they are lost.
        let asker = tunnel.connect();
        asker.send(b"is anyone there?");
        asker.half_close();
        tunnel.server.signal(Signal::SIGKILL);
        sender.expect_reset();
        asker.expect_reset();
        tunnel.client.wait_for_stderr("the link is down");
    }
}

#[test]
fn tunnel_loss_a_client_whose_bytes_wait_for_the_upstream_is_reset() {
    let _test = Test::begin("The upstream reads nothing; then the server's end is killed.");
    for wire in WIRES {
        let (tunnel, _upstream, client, _peer) = tunnel_and_hand(wire);
        fill(&client);
        tunnel.server.signal(Signal::SIGKILL);
        client.expect_reset();
    }
}

#[test]
fn tunnel_loss_an_answer_that_is_complete_hides_no_bytes_that_are_lost() {
    let _test = Test::begin(
        "The client has read the upstream's end and still sends: its next byte has to fail.",
    );
    for wire in WIRES {
        let (tunnel, _upstream, client, peer) = tunnel_and_hand(wire);
        peer.send(b"answer");
        peer.half_close();
        client.expect(b"answer");
        client.expect_eof();
        fill(&client);
        tunnel.server.signal(Signal::SIGKILL);
        expect_no_further_byte(&client);
    }
}

#[test]
fn tunnel_loss_an_upstream_whose_bytes_wait_for_the_client_is_reset() {
    let _test = Test::begin("The client reads nothing; then its end of the tunnel is killed.");
    for wire in WIRES {
        let (tunnel, _upstream, _client, peer) = tunnel_and_hand(wire);
        fill(&peer);
        tunnel.client.signal(Signal::SIGKILL);
        peer.expect_reset();
    }
}

#[test]
fn tunnel_loss_a_part_of_an_answer_does_not_end_like_a_whole_one() {
    let _test = Test::begin("The client reads late, and the server's end is killed meanwhile.");
    for wire in WIRES {
        let (tunnel, _upstream, client, peer) = tunnel_and_hand(wire);
        fill(&peer);
        tunnel.server.signal(Signal::SIGKILL);
        tunnel.server.wait();
        // A link that this reader stalls is not read to its end before.
        assert_eq!(client.drain().end, End::Reset);
    }
}
