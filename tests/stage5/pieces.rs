//! Peers that write a message in two pieces, as many programs do: the head, then the body.
//!
//! A socket without `TCP_NODELAY` holds the second piece back until the first one is acknowledged, and a kernel
//! that expects its program to answer soon waits up to 40 ms before it acknowledges. On a connection that is kept
//! this would happen to every message.

use std::time::{Duration, Instant};

use harness::{Client, Test, fail};

use crate::support::{Mux, Site, Then, get, ok, reply};

/// How many messages are exchanged; the kernel acknowledges the first few at once in any case (`TCP_QUICKACK`, `tcp(7)`).
const MESSAGES: usize = 40;
/// Shorter than a delayed acknowledgement, and far longer than the work takes.
const LIMIT: Duration = Duration::from_millis(25);

#[test]
fn e55_an_upstream_that_writes_its_head_first_is_not_kept_waiting() {
    let _test = Test::begin(
        "Acknowledge the first piece of a response at once, or the second piece is delayed.",
    );
    let site = Site::start(|peer, _| {
        peer.stream().set_nodelay(false).expect("an option");
        let response = ok(b"a body of its own segment");
        let (head, body) = response.split_at(response.len() - 25);
        peer.send(head);
        peer.send(body);
        Then::Next
    });
    let mux = Mux::start(site.addr(), &[]);
    exchange(&mux.client(), |client| client.send(&get("/")));
}

#[test]
fn e55_a_client_that_writes_its_head_first_is_not_kept_waiting() {
    let _test = Test::begin(
        "Acknowledge the first piece of a request at once, or the second piece is delayed.",
    );
    let site = Site::echo();
    let mux = Mux::start(site.addr(), &[]);
    let client = mux.client();
    client.stream().set_nodelay(false).expect("an option");
    exchange(&client, |client| {
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n");
        client.send(b"body");
    });
}

fn exchange(client: &Client, send: impl Fn(&Client)) {
    let mut times: Vec<_> = (0..MESSAGES).map(|_| time(client, &send)).collect();
    times.sort_unstable();
    // A busy machine makes some of them slow; delayed acknowledgements make nearly all of them so.
    let median = times[MESSAGES / 2];
    if median > LIMIT {
        fail(format!(
            "Half of {MESSAGES} messages took {median:?} or more each, as if they waited for a delayed acknowledgement."
        ));
    }
}

fn time(client: &Client, send: impl Fn(&Client)) -> Duration {
    let begin = Instant::now();
    send(client);
    assert_eq!(
        reply(client).status(),
        "200",
        "the status of the response to the client"
    );
    begin.elapsed()
}
