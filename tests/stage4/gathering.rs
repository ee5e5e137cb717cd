//! Exercise 4.7: a long transfer waits for more bytes at a time, and its last bytes all the same arrive at once.

use std::fs;
use std::thread;

use harness::{Client, Peer, Rng, Test, ensure, eventually_equal};

use crate::support::{MIB, Proxy, proxy_and_hand, session, talk};

/// Returns how many timers the proxy has: one while it looks at a direction that gathers.
fn timers(proxy: &Proxy) -> usize {
    let fds = fs::read_dir(format!("/proc/{}/fd", proxy.pid()));
    let links = fds.into_iter().flatten().flatten();
    let links = links.filter_map(|fd| fs::read_link(fd.path()).ok());
    links
        .filter(|link| link.ends_with("anon_inode:[timerfd]"))
        .count()
}

/// Sends bytes to the client and returns whether a timer was seen meanwhile.
///
/// The upstream closes nothing, so that all bytes have to come although nothing follows them.
#[track_caller]
fn transfer(proxy: &Proxy, client: &Client, upstream: &Peer, bytes: &[u8]) -> bool {
    let sending = upstream.send_in_background(bytes.to_vec());
    let mut seen = false;
    thread::scope(|scope| {
        let reading = scope.spawn(|| client.read_exact(bytes.len()));
        while !reading.is_finished() {
            seen |= timers(proxy) > 0;
        }
        let came = reading.join().expect("all bytes come");
        ensure(came == bytes, "The client got other bytes than were sent.");
    });
    sending.join();
    seen
}

#[test]
fn e47_the_last_bytes_of_a_long_transfer_wait_for_no_others() {
    let _test = Test::begin(
        "A sender that waits for an answer sends no more: whoever waits for more bytes has to look.",
    );
    let (proxy, hand) = proxy_and_hand(&["--threads", "1"]);
    let (client, upstream) = session(&proxy, &hand);
    let bytes = Rng::for_test().bytes(32 * MIB);
    // A proxy that copies need not gather at all.
    let gathered = (0..8).any(|_| transfer(&proxy, &client, &upstream, &bytes));
    eprintln!("a direction has gathered: {gathered}");
    talk(&client, &upstream);
    eventually_equal("timers after the transfer", &0, || timers(&proxy));
}

#[test]
fn e47_an_answer_to_a_question_waits_for_nothing() {
    let _test =
        Test::begin("A client that asks again and again would wait at the end of each answer.");
    let (proxy, hand) = proxy_and_hand(&["--threads", "1"]);
    let (client, upstream) = session(&proxy, &hand);
    let bytes = Rng::for_test().bytes(32 * MIB);
    for _ in 0..4 {
        client.send(b"?");
        upstream.expect(b"?");
        ensure(
            !transfer(&proxy, &client, &upstream, &bytes),
            "The proxy has a timer, so that it gathers, although the client speaks.",
        );
    }
}
