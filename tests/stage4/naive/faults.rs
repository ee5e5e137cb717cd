//! The faults of the document's proxy, shown: the book breaks it with these.
//!
//! A failure here means that a fault was mended, so that `naive.rs` is no longer the document's proxy.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use harness::{Client, PATIENCE, Rng, Scripted, Test, ensure};
use nix::sys::socket::{Backlog, listen};
use stage4_proxy::naive::MAX_SOCKS;

use super::{Hand, QUIET, close_and_wait, proxy_to, row, session};

/// How often a test tries to see the proxy frozen: one round is enough unless the machine is busy.
const ROUNDS: usize = 10;

#[test]
fn naive_fault_a_slow_reader_freezes_everyone() {
    let _test = Test::begin(
        "send_message() blocks until everything is sent, and no other client is served meanwhile.",
    );
    let upstream = Hand::start();
    let proxy = proxy_to(&upstream.scripted.addr_text());
    let (slow, slow_upstream) = session(&proxy, &upstream);
    let (other, other_upstream) = session(&proxy, &upstream);
    let mut rng = Rng::for_test();
    let chunk = rng.bytes(64 * 1024);
    let mut poured: Vec<u8> = Vec::new();
    let mut question;
    let mut rounds = 0..ROUNDS;

    // Frozen: the proxy takes no more for the slow reader, and the other client's question does not arrive.
    loop {
        ensure(rounds.next().is_some(), "no slow reader froze the proxy");
        let sent = slow_upstream.send_until_blocked(&chunk, QUIET, 64 << 20);
        poured.extend(chunk.iter().cycle().take(sent));
        question = rng.nonce(32);
        other.send(&question);
        if !hears_something(other_upstream.stream()) {
            break;
        }
        other_upstream.expect(&question);
    }

    // The slow client reads, and with that the other client is served.
    ensure(
        slow.read_exact(poured.len()) == poured,
        "the slow reader gets every byte",
    );
    other_upstream.expect(&question);
    other_upstream.send(b"the answer");
    other.expect(b"the answer");
}

#[test]
fn naive_fault_a_cancelled_download_reaches_the_next_client() {
    let _test = Test::begin(
        "The old row still says where the upstream's bytes go, and that number has a new owner.",
    );
    let upstream = Hand::start();
    let proxy = proxy_to(&upstream.scripted.addr_text());
    let nonce = Rng::for_test().nonce(64);
    let (cancelled, download) = session(&proxy, &upstream);
    close_and_wait(&proxy, cancelled);
    let (next, _its_upstream) = session(&proxy, &upstream);
    ensure(
        row(&proxy, 0)[0] == row(&proxy, 1)[0],
        "both rows name the same client number",
    );
    download.send(&nonce);
    next.expect(&nonce);
}

#[test]
fn naive_fault_a_client_writes_to_another_client() {
    let _test = Test::begin(
        "The upstream side closed first; its number went to a new client, the old row kept it.",
    );
    let upstream = Hand::start();
    let proxy = proxy_to(&upstream.scripted.addr_text());
    let nonce = Rng::for_test().nonce(64);
    let (first, its_upstream) = session(&proxy, &upstream);
    close_and_wait(&proxy, its_upstream);
    let (second, second_upstream) = session(&proxy, &upstream);
    ensure(
        row(&proxy, 0)[1] == row(&proxy, 1)[0],
        "the upstream's number is now a client's",
    );
    first.send(&nonce);
    second.expect(&nonce);
    second_upstream.expect_silence(QUIET);
}

#[test]
fn naive_fault_a_question_goes_up_in_anothers_name_and_the_other_gets_the_answer() {
    let _test = Test::begin(
        "The number of a closed upstream socket went to another client's upstream socket.",
    );
    let upstream = Hand::start();
    let proxy = proxy_to(&upstream.scripted.addr_text());
    let mut rng = Rng::for_test();
    let (question, answer) = (rng.nonce(64), rng.nonce(64));
    let (left_early, _kept) = session(&proxy, &upstream);
    let (asking, its_upstream) = session(&proxy, &upstream);
    close_and_wait(&proxy, left_early);
    close_and_wait(&proxy, its_upstream);
    let (next, next_upstream) = session(&proxy, &upstream);
    ensure(
        row(&proxy, 1)[1] == row(&proxy, 2)[1],
        "both rows name the same upstream number",
    );

    asking.send(&question);
    next_upstream.expect(&question);
    next_upstream.send(&answer);
    next.expect(&answer);
    asking.expect_silence(QUIET);
}

#[test]
fn naive_fault_no_end_is_passed_on() {
    let _test = Test::begin("Closing one side closes one socket; the other side is never told.");
    let upstream = Hand::start();
    let proxy = proxy_to(&upstream.scripted.addr_text());
    let (left, its_upstream) = session(&proxy, &upstream);
    let (kept, leaving) = session(&proxy, &upstream);
    close_and_wait(&proxy, left);
    close_and_wait(&proxy, leaving);
    its_upstream.expect_silence(QUIET);
    kept.expect_silence(QUIET);
}

#[test]
fn naive_fault_the_end_of_a_question_loses_the_answer() {
    let _test = Test::begin(
        "A client that has sent its question and a FIN has not left: it waits for the answer.",
    );
    let upstream = Hand::start();
    let proxy = proxy_to(&upstream.scripted.addr_text());
    let (client, its_upstream) = session(&proxy, &upstream);
    client.send(b"question");
    client.half_close();
    its_upstream.expect(b"question");
    client.expect_eof();
    its_upstream.send(b"the answer that is lost");
    its_upstream.wait_until_read();
    proxy.expect_alive();
}

#[test]
fn naive_fault_a_slow_connect_freezes_everyone() {
    let _test = Test::begin("connect_upstream() blocks inside the loop.");
    let upstream = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listen(&upstream, Backlog::new(0).expect("0 is a backlog")).expect("a queue of one");
    let proxy = proxy_to(&upstream.local_addr().expect("an address").to_string());
    let client = Client::connect(proxy.addr());
    let (mut arrived, _) = upstream.accept().expect("its upstream connection");
    let mut rng = Rng::for_test();

    // Newcomers fill the accept queue of an upstream that accepts no more; then the proxy waits for room.
    let mut newcomers = Vec::new();
    let question = loop {
        ensure(newcomers.len() < ROUNDS, "no connect froze the proxy");
        newcomers.push(Client::connect(proxy.addr()));
        let question = rng.nonce(32);
        client.send(&question);
        if !hears_something(&arrived) {
            break question;
        }
        assert_eq!(hear(&mut arrived), question);
    };

    drop(upstream); // the connect ends now, in an error, and the loop goes on
    assert_eq!(hear(&mut arrived), question);
}

#[test]
fn naive_fault_the_table_fills_up_for_good() {
    let _test = Test::begin(
        "Rows are never freed; beyond MAX_SOCKS a client is closed at once, the others go on.",
    );
    let upstream = Scripted::start("upstream", |peer| {
        // The first one is an echo, which ends with its test in whichever way; the others close at once.
        if peer.number() == 0 {
            let mut stream: &TcpStream = peer.stream();
            drop(std::io::copy(&mut &**peer.stream(), &mut stream));
        }
    });
    let proxy = proxy_to(&upstream.addr_text());
    let first = Client::connect(proxy.addr());
    upstream.wait_for_accepts(1);
    for _ in 1..MAX_SOCKS {
        Client::connect(proxy.addr()).close();
    }
    Client::connect(proxy.addr()).expect_closed();
    proxy.wait_for_stderr("the route table is full");
    upstream.wait_for_accepts(MAX_SOCKS);
    first.send(b"ping");
    first.expect(b"ping");
}

/// Returns whether bytes arrive that would arrive at once if the proxy were not frozen; they stay unread.
fn hears_something(stream: &TcpStream) -> bool {
    let quiet = harness::scaled(QUIET);
    stream.set_read_timeout(Some(quiet)).expect("a time limit");
    stream.peek(&mut [0]).is_ok()
}

fn hear(stream: &mut TcpStream) -> Vec<u8> {
    let patience = harness::scaled(PATIENCE);
    stream
        .set_read_timeout(Some(patience))
        .expect("a time limit");
    let mut heard = vec![0; 32];
    stream.read_exact(&mut heard).expect("a question");
    heard
}
