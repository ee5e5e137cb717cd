//! Exercise 4.5, the ends of streams: a FIN is passed on after the last byte, and only in its own direction.

use std::time::Duration;

use harness::{
    Client, Connect, Digest, End, Hand, Peer, Rng, Scripted, Test, expect_bytes, expect_value, proc,
};

use crate::support::{
    HALF_A_SECOND, KIB, MIB, Proxy, echoes, proxy_and_echo, proxy_and_hand, session, talk, unread,
    wait_until_still,
};

/// One side ends its direction; the other answers with 1 MiB after a while, and ends too.
#[track_caller]
fn an_answer_after_the_end(proxy: &Proxy, first: &Peer, second: &Peer) {
    let mut rng = Rng::for_test();
    let (question, answer) = (rng.nonce(50), rng.bytes(MIB));
    first.send(&question);
    first.half_close();
    second.expect(&question);
    second.expect_eof();
    first.expect_silence(Duration::from_millis(200));
    let sending = second.send_in_background(answer.clone());
    first.expect(&answer);
    sending.join();
    second.half_close();
    first.expect_eof();
    proxy.wait_for_rows(0);
}

#[test]
fn e45_the_client_ends_first_and_still_gets_its_answer() {
    let _test = Test::begin("A read of 0 ends one direction; the other goes on.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    an_answer_after_the_end(&proxy, &client, &upstream);
}

#[test]
fn e45_the_upstream_ends_first_and_still_gets_the_rest() {
    let _test = Test::begin("The same rule for the other side: one function and a direction.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    an_answer_after_the_end(&proxy, &upstream, &client);
}

#[test]
fn e45_a_conversation_in_one_go() {
    let _test = Test::begin("Question and FIN may come together: both are to be passed on.");
    let (proxy, _echo) = proxy_and_echo(&[]);
    for _ in 0..20 {
        let nonce = Rng::for_test().nonce(3000);
        let client = Client::connect(proxy.addr());
        client.send(&nonce);
        client.half_close();
        expect_bytes("The answer", &nonce, &client.read_to_end());
    }
    proxy.wait_for_rows(0);
}

#[test]
fn e45_an_empty_conversation() {
    let _test = Test::begin("A stream may end without a byte.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    client.half_close();
    upstream.expect_eof();
    upstream.half_close();
    client.expect_eof();
    proxy.wait_for_rows(0);
    let (client, upstream) = session(&proxy, &hand);
    upstream.close();
    client.expect_eof();
}

/// One side sends 4 MiB and closes at once; the other begins to read when all of it has been sent.
#[track_caller]
fn all_of_it_and_then_the_end(proxy: &Proxy, from: Peer, to: &Peer) {
    let bytes = Rng::for_test().bytes(4 * MIB);
    from.send(&bytes);
    from.close();
    harness::eventually(
        "the slow reader has something to read",
        harness::PATIENCE,
        || unread(to) > 0,
    );
    wait_until_still(proxy);
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND / 2);
    let drained = to.drain();
    expect_value(
        "What the slow reader got (bytes, end)",
        &(Digest::of(&bytes), End::Eof),
        &(drained.digest, drained.end),
        "the end of the other side has overtaken the bytes before it, or was not passed on.",
    );
}

#[test]
fn e45_an_upstream_that_closes_at_once_and_a_slow_client() {
    let _test = Test::begin("EPOLLHUP does not mean that nothing is left to read: drain first.");
    let hand = Hand::with(Scripted::options("upstream").send_buffer(8 * MIB));
    let proxy = Proxy::to(hand.addr());
    let client = Connect::new().receive_buffer(16 * KIB).to(proxy.addr());
    all_of_it_and_then_the_end(&proxy, hand.next(), &client);
    client.close();
    proxy.wait_for_rows(0);
}

#[test]
fn e45_a_client_that_closes_at_once_and_a_slow_upstream() {
    let _test = Test::begin(
        "The client has closed, its bytes are still there: the upstream gets all of them.",
    );
    let hand = Hand::with(Scripted::options("upstream").receive_buffer(16 * KIB));
    let proxy = Proxy::to(hand.addr());
    let client = Connect::new().send_buffer(8 * MIB).to(proxy.addr());
    let upstream = hand.next();
    all_of_it_and_then_the_end(&proxy, client, &upstream);
    upstream.close();
    proxy.wait_for_rows(0);
}

#[test]
fn e45_bytes_and_end_that_come_in_one_event() {
    let _test = Test::begin("One event may announce bytes and the end: read until 0, not once.");
    let (proxy, hand) = proxy_and_hand(&[]);
    for length in [1, 32 * KIB, 32 * KIB + 1, 60_000] {
        let (client, upstream) = session(&proxy, &hand);
        talk(&client, &upstream);
        let bytes = Rng::for_test().bytes(length);
        proxy.stop();
        upstream.send(&bytes);
        upstream.close();
        proxy.cont();
        assert!(client.read_to_end() == bytes, "{length} bytes");
    }
}

#[test]
fn e45_an_end_stays_an_end() {
    let _test =
        Test::begin("After one direction has ended, the other may go on for as long as it likes.");
    let (proxy, hand) = proxy_and_hand(&[]);
    let (client, upstream) = session(&proxy, &hand);
    client.half_close();
    upstream.expect_eof();
    for _ in 0..10 {
        let nonce = Rng::for_test().nonce(100);
        upstream.send(&nonce);
        client.expect(&nonce);
    }
    proc::assert_cpu_idle(proxy.pid(), HALF_A_SECOND);
    upstream.close();
    client.expect_eof();
}

#[test]
fn e45_others_are_not_concerned() {
    let _test = Test::begin("An end is the end of one session only.");
    let (proxy, _echo) = proxy_and_echo(&[]);
    let other = Client::connect(proxy.addr());
    echoes(&other);
    for _ in 0..20 {
        let client = Client::connect(proxy.addr());
        echoes(&client);
        client.half_close();
        client.expect_eof();
        echoes(&other);
    }
    proxy.wait_for_rows(1);
}
