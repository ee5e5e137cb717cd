//! Why a queue: without one, responses on a shared connection belong to nobody in particular.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use harness::{Client, Gate, Scripted, Test};

use crate::support::{Mux, Site, ask, get, ok};

/// A multiplexer as the source document draws it: everybody's bytes go into one upstream connection, and whatever
/// comes back goes to whoever has spoken last, because nothing in the bytes says better. For two clients.
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
                // It keeps the earlier client's connection open and waits for an answer to send there.
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
    let _test = Test::begin("HTTP/1.1 has no ids: only the order says whose response it is.");
    let asked = Gate::new("the second request has come");
    let waiting = asked.clone();
    let slow = Scripted::start("upstream", move |peer| {
        let first = peer.read_until(b"\r\n\r\n");
        drop(peer.read_until(b"\r\n\r\n"));
        waiting.open();
        // The answer to the first request, and to that one only.
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
        "bob reads what was meant for alice"
    );
}

#[test]
fn e55_with_the_queue_each_response_reaches_its_client() {
    let _test =
        Test::begin("One request in flight: then the next response can only be its response.");
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    let (alice, bob) = (mux.client(), mux.client());
    alice.send(&get("/alice"));
    assert_eq!(ask(&bob, &get("/bob")).text(), "/bob ");
    assert_eq!(crate::support::reply(&alice).text(), "/alice ");
    assert_eq!(site.accepts(), 1);
}
