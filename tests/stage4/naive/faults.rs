//! The faults of the document's proxy, shown: the book breaks it with these.
//!
//! A failure here says that a fault is gone, so that `naive.rs` is no longer the document's proxy.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use harness::deadline::holds_by;
use harness::{Client, Deadline, PATIENCE, Rng, Scripted, Test, ensure, eventually, sockets};
use socket2::{Domain, Socket, Type};
use stage4_proxy::naive::MAX_SOCKS;

use super::{Hand, QUIET, close_and_wait, proxy_to, row, session};

const SYN_SENT: u8 = 2;

#[test]
fn naive_fault_a_slow_reader_freezes_everyone() {
    let _test = Test::begin(
        "send_message() waits until everything is sent, and nobody else is served meanwhile.",
    );
    let upstream = Hand::start();
    let proxy = proxy_to(&upstream.scripted.addr_text());
    let (slow, slow_upstream) = session(&proxy, &upstream);
    let (other, other_upstream) = session(&proxy, &upstream);
    let mut rng = Rng::for_test();
    let chunk = rng.bytes(64 * 1024);
    let mut poured = Vec::new();
    let mut question;

    // Frozen: nobody takes more for the slow reader, and the other client's question stays unread.
    loop {
        let sent = slow_upstream.send_until_blocked(&chunk, QUIET, 64 << 20);
        poured.extend(chunk.iter().cycle().take(sent));
        question = rng.nonce(32);
        other.send(&question);
        if !holds_by(Deadline::after(QUIET), &mut || other.unread_by_peer() == 0) {
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
    let (stranger, strangers_upstream) = session(&proxy, &upstream);
    ensure(
        row(&proxy, 1)[1] == row(&proxy, 2)[1],
        "both rows name the same upstream number",
    );

    asking.send(&question);
    strangers_upstream.expect(&question);
    strangers_upstream.send(&answer);
    stranger.expect(&answer);
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
        "A client that has said everything has not gone: it still waits for the answer.",
    );
    let upstream = Hand::start();
    let proxy = proxy_to(&upstream.scripted.addr_text());
    let (client, its_upstream) = session(&proxy, &upstream);
    client.send(b"question");
    client.half_close();
    its_upstream.expect(b"question");
    client.expect_eof();
    its_upstream.send(b"the answer that nobody gets");
    its_upstream.wait_until_read();
    proxy.expect_alive();
}

#[test]
fn naive_fault_a_slow_connect_freezes_everyone() {
    let _test = Test::begin("connect_upstream() waits inside the loop.");
    let (upstream, address) = upstream_that_takes_one();
    let proxy = proxy_to(&address.to_string());
    let client = Client::connect(proxy.addr());
    let mut arrived: TcpStream = upstream
        .accept()
        .expect("the client's upstream connection")
        .0
        .into();
    let _fillers = fill_queue(address);
    let _newcomer = Client::connect(proxy.addr());
    let proxy_connects = || connecting_to(address) == FILLERS;
    eventually("the proxy waits in connect(2)", PATIENCE, proxy_connects);

    let question = Rng::for_test().nonce(32);
    client.send(&question);
    let read = holds_by(Deadline::after(QUIET), &mut || client.unread_by_peer() == 0);
    ensure(
        !read,
        "a client with a working connection is not served while the proxy connects",
    );

    drop(upstream); // the connect ends now, in an error, and the loop goes on
    let mut seen = [0; 32];
    arrived
        .set_read_timeout(Some(harness::scaled(PATIENCE)))
        .expect("a time limit");
    arrived
        .read_exact(&mut seen)
        .expect("the question, after the connect");
    assert_eq!(seen.as_slice(), question);
}

#[test]
fn naive_fault_the_table_fills_up_for_good() {
    let _test = Test::begin(
        "Rows are never freed; beyond MAX_SOCKS a client is closed at once, the others go on.",
    );
    let upstream = Scripted::start("upstream", |peer| {
        while peer.number() == 0 {
            peer.send(&peer.read_exact(4));
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

/// More than the queue of [`upstream_that_takes_one`] holds; all but one of them stay in `connect(2)`.
const FILLERS: usize = 3;

fn upstream_that_takes_one() -> (Socket, SocketAddr) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    listener
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .expect("a free port");
    listener.listen(0).expect("a listener");
    let address = listener
        .local_addr()
        .expect("an address")
        .as_socket()
        .expect("an IPv4 address");
    (listener, address)
}

fn fill_queue(address: SocketAddr) -> Vec<Socket> {
    let fillers: Vec<_> = (0..FILLERS)
        .map(|_| {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            filler.set_nonblocking(true).expect("a non-blocking socket");
            drop(filler.connect(&address.into())); // EINPROGRESS
            filler
        })
        .collect();
    eventually("the accept queue is full", PATIENCE, || {
        connecting_to(address) == FILLERS - 1
    });
    fillers
}

/// Counts the connections to an address that still wait for an answer to their SYN.
fn connecting_to(address: SocketAddr) -> usize {
    let waits = |row: &sockets::SocketRow| row.remote == address && row.state == SYN_SENT;
    sockets::rows().iter().filter(|row| waits(row)).count()
}
