//! Why a queue is needed: without one, a response on a shared connection cannot be assigned to a client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use harness::{Client, Gate, Scripted, Test};

use crate::support::{Mux, Site, ask, get, ok};

/// A multiplexer without a queue, for two clients: the bytes of both go into one upstream connection, and a response
/// goes to the client that has sent last, because no byte of it names a client.
fn naive_multiplexer(upstream: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let mut shared = TcpStream::connect(upstream).expect("the upstream");
        let mut chunk = [0; 4096];
        let mut last = None;
        for client in listener.incoming().take(2) {
            let mut client = client.expect("a client");
            let count = client.read(&mut chunk).expect("a request");
            shared.write_all(&chunk[..count]).expect("room");
            if let Some(earlier) = last.replace(client) {
                // It keeps the earlier client's connection open, because a response for it may arrive.
                std::mem::forget(earlier);
            }
        }
        while let (Ok(count @ 1..), Some(client)) = (shared.read(&mut chunk), &mut last) {
            if client.write_all(&chunk[..count]).is_err() {
                return;
            }
        }
    });
    address
}

#[test]
fn e53_without_a_queue_a_response_reaches_the_wrong_client() {
    let _test = Test::begin(
        "HTTP/1.1 has no ids: only the order tells which request a response belongs to.",
    );
    let asked = Gate::new("the second request has arrived");
    let waiting = asked.clone();
    let slow = Scripted::start("upstream", move |peer| {
        let first = peer.read_until(b"\r\n\r\n");
        drop(peer.read_until(b"\r\n\r\n"));
        waiting.open();
        // It answers the first request only.
        let secret = if first.starts_with(b"GET /alice ") {
            "for alice"
        } else {
            "for bob"
        };
        peer.send(&ok(secret.as_bytes()));
        peer.drain();
    });
    let naive = naive_multiplexer(slow.addr());
    let alice = Client::connect(naive);
    alice.send(&get("/alice"));
    alice.wait_until_read();
    let bob = Client::connect(naive);
    bob.send(&get("/bob"));
    asked.wait();
    let reply = crate::support::reply(&bob);
    assert_eq!(
        reply.text(),
        "for alice",
        "bob reads the response for alice"
    );
}

#[test]
fn e55_with_the_queue_each_response_reaches_its_client() {
    let _test = Test::begin("With one request in flight, the next response can only belong to it.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    let (alice, bob) = (mux.client(), mux.client());
    alice.send(&get("/alice"));
    assert_eq!(
        ask(&bob, &get("/bob")).text(),
        "/bob ",
        "the body of the response to /bob"
    );
    assert_eq!(
        crate::support::reply(&alice).text(),
        "/alice ",
        "the body of the response to /alice"
    );
    assert_eq!(site.accepts(), 1, "connections that the site has accepted");
}
