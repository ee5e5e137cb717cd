//! The headers on the streams of a tunnel, by hand: cut anywhere, not valid, too slow.

use harness::{Client, Hand, Test};

use crate::ways::{Ways, announced, client_of, connect_to, server_at, socks_address, socks_reply};

/// A link by hand, with the yamux frames of one stream.
fn frame(kind: u8, flags: u8, length: u32, payload: &[u8]) -> Vec<u8> {
    let length = length.to_be_bytes();
    [&[0, kind, 0, flags, 0, 0, 0, 1], &length[..], payload].concat()
}

/// Sends the first bytes of a stream by hand.
#[track_caller]
fn first_bytes(link: &Client, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("a short payload");
    link.send(&[frame(1, 1, 0, b""), frame(0, 0, length, bytes)].concat());
}

/// Reads frames until one has payload, and returns it.
#[track_caller]
fn payload(link: &Client) -> Vec<u8> {
    loop {
        let head = link.read_exact(12);
        let length = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        if head[1] == 0 && length > 0 {
            return link.read_exact(length as usize);
        }
    }
}

#[test]
fn tunnel_ways_a_header_that_is_none_is_refused_with_a_sentence() {
    let _test = Test::begin("Status 6, a reason, and the end of that stream: the link lives.");
    let server = server_at("127.0.0.1:0", &[]);
    for (header, words) in [
        (&b"GET / HTTP/1.1\r\n"[..], "version"),
        (&[1, 9, 0, 0], "type of the address"),
        (&[1, 1, 127, 0, 0, 1, 0, 0], "port is 0"),
    ] {
        let link = Client::connect(server.addr());
        first_bytes(&link, header);
        let reply = payload(&link);
        assert_eq!(reply[..2], [1, 6], "{reply:?}");
        let text = String::from_utf8_lossy(&reply[3..]).into_owned();
        assert!(text.contains(words), "{text}");
        // FIN behind the reply, and the link still answers a ping.
        assert_eq!(link.read_exact(12)[..8], frame(1, 4, 0, b"")[..8]);
        link.send(&[0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9]);
        link.expect(&[0, 2, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9]);
    }
}

#[test]
fn tunnel_ways_a_header_that_trickles_does_not_keep_its_stream_forever() {
    let _test = Test::begin("A byte now and then buys no time.");
    let server = server_at("127.0.0.1:0", &["--handshake-timeout", "500ms"]);
    let link = Client::connect(server.addr());
    first_bytes(&link, &[1]);
    let reply = payload(&link);
    assert_eq!(reply[..2], [1, 6], "{reply:?}");
    let text = String::from_utf8_lossy(&reply[3..]).into_owned();
    assert!(text.contains("not complete in time"), "{text}");
    // The same for a client of the tunnel that does not finish its handshake.
    let ways = Ways::start(&["socks5", "http"], &["--handshake-timeout", "500ms"], &[]);
    let client = Client::connect(ways.at(0));
    client.send(&[5, 1]);
    client.expect(&[5, 255]);
    client.expect_eof();
    let client = Client::connect(ways.at(1));
    client.send(b"GET http://x/ HT");
    let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
}

#[test]
fn tunnel_ways_a_response_header_may_come_byte_by_byte_with_the_targets_bytes_behind_it() {
    let _test = Test::begin("One frame is not one message.");
    let hand = Hand::start();
    let client = client_of(hand.addr(), &["socks5", "http"], &[]);
    let at = announced(&client, 2);
    let link = hand.next();
    let request = socks_address(([192, 0, 2, 1], 80).into());
    let asking = Client::connect(at[0]);
    asking.send(&[&[5, 1, 0], &request[..]].concat());
    asking.expect(&[5, 0]);
    let header = payload(&link);
    assert_eq!(header, [&[1], &request[3..]].concat());
    for byte in *b"\x01\x00\x00hello" {
        link.send(&frame(0, 0, 1, &[byte]));
    }
    assert_eq!(
        socks_reply(&asking),
        0,
        "the code of the reply to the client"
    );
    asking.expect(b"hello");
    // A text that could change what a terminal shows goes nowhere, and the status decides.
    let asking = Client::connect(at[1]);
    asking.send(connect_to("192.0.2.1:80").as_bytes());
    let second = payload(&link);
    assert_eq!(second, header);
    let refusal = b"\x01\x05\x06\x1b[31m!";
    let mut refusing = frame(0, 0, 9, refusal);
    refusing[7] = 3;
    link.send(&refusing);
    let reply = String::from_utf8_lossy(&asking.read_to_end()).into_owned();
    assert!(reply.starts_with("HTTP/1.1 403 "), "{reply}");
    drop((asking, link));
    client.terminate();
    assert!(!client.stderr().contains('\x1b'));
}
