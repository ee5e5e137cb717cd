//! Exercise 5.11: what the loss of a link means for each of its streams, and how a link is found to be lost.

use std::net::SocketAddr;
use std::time::Duration;

use harness::wire::yamux::{ACK, FIN, Frame, Kind, SYN};
use harness::{Client, Connect, Hand, PATIENCE, Peer, Server, Test, eventually, sockets};
use stage5_mux::tunnel::stream::{Fate, Inbound, Outbound};

use crate::support::MIB;
use crate::tunnel_ends::client_program;
use crate::windows::{is_stuck, pour};

/// A client's end, with the far end of its link.
struct Tunnel {
    client: Server,
    far_end: Hand,
}

impl Tunnel {
    #[track_caller]
    fn start(arguments: &[&str]) -> (Self, Peer) {
        let far_end = Hand::start();
        let client = client_program(far_end.addr(), arguments).serve();
        let link = far_end.next();
        client.wait_for_stderr("the link is up");
        (Self { client, far_end }, link)
    }

    /// Connects a client that sends a line; returns it when the line is at the far end.
    #[track_caller]
    fn client(&self, link: &Peer, stream: u32) -> Client {
        let client = Connect::new().to(self.client.addr());
        client.send(b"ask\n");
        let open = Frame::read(link);
        assert_eq!((open.stream, open.flags), (stream, SYN), "{open:?}");
        let line = Frame::read(link);
        assert_eq!(line.stream, stream, "the stream of the first bytes");
        harness::expect_bytes("The payload of the first frame", b"ask\n", &line.payload);
        link.send(&Frame::credit(stream, ACK, 0).bytes());
        client
    }
}

/// Passes bytes to the program and closes the link when it has read them.
#[track_caller]
fn send_and_close(link: Peer, frames: &[Frame]) {
    let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
    link.send(&bytes);
    link.wait_until_read();
    link.close();
}

#[test]
fn e5_11_each_state_of_a_stream_has_its_fate() {
    let _test =
        Test::begin("Two questions: is something of the peer missing, and is something of ours?");
    let table = [
        (Inbound::Receiving, Outbound::Sending, Fate::Truncated),
        (Inbound::Receiving, Outbound::Finishing, Fate::Truncated),
        (Inbound::Receiving, Outbound::Finished, Fate::Truncated),
        (Inbound::Ended, Outbound::Sending, Fate::Unsent),
        (Inbound::Ended, Outbound::Finishing, Fate::Unsent),
        (Inbound::Ended, Outbound::Finished, Fate::Complete),
    ];
    for (inbound, outbound, fate) in table {
        let seen = Fate::on_lost_link(inbound, outbound);
        assert_eq!(seen, fate, "{inbound:?} and {outbound:?}");
    }
}

#[test]
fn e5_11_an_answer_that_is_cut_off_does_not_look_complete() {
    let _test =
        Test::begin("A link that closes in the middle of a stream is no end of that stream.");
    let (tunnel, link) = Tunnel::start(&[]);
    let client = tunnel.client(&link, 1);
    send_and_close(link, &[Frame::data(1, b"half of an ans")]);
    client.expect_reset();
}

#[test]
fn e5_11_an_answer_that_is_complete_is_delivered_after_the_link() {
    let _test = Test::begin("Both directions had ended: the loss of the link takes nothing away.");
    let (tunnel, link) = Tunnel::start(&[]);
    let slow = Connect::new().receive_buffer(64 * 1024);
    let slow = slow.to(tunnel.client.addr());
    slow.half_close();
    let open = Frame::read(&link);
    assert_eq!((open.stream, open.flags), (1, SYN), "{open:?}");
    let end = Frame::read(&link);
    assert!(end.has(FIN) && end.stream == 1, "{end:?}");
    // More than the kernel takes: the rest waits in the program, within its window.
    let ends = (tunnel.client.addr(), slow.local());
    let (sent, _) = pour(&link, 16 * MIB, |sent| {
        is_stuck(&link) && in_kernel(ends.0, ends.1) < sent
    });
    send_and_close(link, &[Frame::credit(1, FIN, 0)]);
    tunnel.client.wait_for_stderr("the link is down");
    assert_eq!(slow.read_to_end().len(), sent, "bytes of the answer");
}

/// Returns how many bytes wait in the kernel on their way from one end of a connection to the other.
fn in_kernel(from: SocketAddr, to: SocketAddr) -> usize {
    let unsent = sockets::find(from, to).map_or(0, |row| row.unsent);
    let unread = sockets::find(to, from).map_or(0, |row| row.unread);
    usize::try_from(unsent + unread).expect("bytes")
}

#[test]
fn e5_11_a_client_whose_bytes_are_lost_sees_an_error() {
    let _test =
        Test::begin("It has the whole answer; but what it goes on to send arrives nowhere.");
    let (tunnel, link) = Tunnel::start(&[]);
    let client = tunnel.client(&link, 1);
    send_and_close(
        link,
        &[Frame::data(1, b"answer\n"), Frame::credit(1, FIN, 0)],
    );
    client.expect(b"answer\n");
    client.expect_eof();
    eventually("the client's next bytes are refused", PATIENCE, || {
        client.try_send(b"and more\n").is_err()
    });
}

#[test]
fn e5_11_the_next_link_has_streams_of_its_own() {
    let _test =
        Test::begin("The listener stays; a new link counts its streams from the beginning.");
    let (tunnel, link) = Tunnel::start(&[]);
    let first = tunnel.client(&link, 1);
    let second = tunnel.client(&link, 3);
    link.close();
    first.expect_reset();
    second.expect_reset();
    let link = tunnel.far_end.next();
    tunnel.client.wait_for_stderr("the link is up");
    let third = tunnel.client(&link, 1);
    link.send(&Frame::data(1, b"of the new link\n").bytes());
    third.expect(b"of the new link\n");
}

#[test]
fn e5_11_a_silent_peer_is_asked_once_and_then_given_up() {
    let _test = Test::begin("Half of the time for a ping, the other half for its answer.");
    let (tunnel, link) = Tunnel::start(&["--keepalive", "2s"]);
    let client = tunnel.client(&link, 1);
    for _ in 0..2 {
        let ping = Frame::read(&link);
        assert_eq!(
            (ping.kind, ping.flags, ping.stream),
            (Kind::Ping, SYN, 0),
            "{ping:?}"
        );
        link.send(&Frame::pong(ping.length).bytes());
    }
    // The peer was there. Now it says nothing any more.
    let ping = Frame::read(&link);
    assert_eq!((ping.kind, ping.flags), (Kind::Ping, SYN), "{ping:?}");
    link.expect_silence(Duration::from_millis(300));
    link.expect_closed();
    client.expect_reset();
    tunnel.client.wait_for_stderr("timed out");
}
