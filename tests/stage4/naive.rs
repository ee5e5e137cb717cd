//! The document's proxy: it passes both milestones, and each of its faults is shown, on purpose.
//!
//! The faults are facts that the book builds on. A test of this file that fails because a fault is gone
//! says that `naive.rs` is no longer the document's proxy.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use harness::deadline::holds_by;
use harness::proc::{fd_count, fds_return_to};
use harness::{
    Client, Deadline, PATIENCE, Peer, Rng, Scripted, Server, Test, Upstream, ensure, eventually,
    sockets,
};
use socket2::{Domain, Socket, Type};
use stage4_proxy::naive::MAX_SOCKS;

/// How long something is given that would happen at once if it happened at all.
const QUIET: Duration = Duration::from_millis(400);
const SYN_SENT: u8 = 2;

/// Starts the naive proxy; `COURSE_BIN` must not replace it, because its faults are the subject.
fn proxy_to(upstream: &str) -> Server {
    let arguments = ["--listen", "127.0.0.1:0", "--upstream", upstream];
    Server::start(env!("CARGO_BIN_EXE_naive-proxy"), &arguments)
}

/// An upstream server whose connections the test plays itself, in the order of their arrival.
struct Hand {
    scripted: Scripted,
    arrivals: Receiver<Peer>,
}

impl Hand {
    fn start() -> Self {
        let (arrive, arrivals) = mpsc::channel();
        let scripted = Scripted::start("upstream", move |peer| {
            // A test that is over no longer wants its connections.
            drop(arrive.send(peer));
        });
        Hand { scripted, arrivals }
    }

    fn next(&self) -> Peer {
        let arrival = self.arrivals.recv_timeout(harness::scaled(PATIENCE));
        arrival.unwrap_or_else(|_| harness::fail("the proxy did not connect to the upstream"))
    }
}

/// Connects a client and returns it with its upstream connection.
fn session(proxy: &Server, upstream: &Hand) -> (Client, Peer) {
    let client = Client::connect(proxy.addr());
    let arrived = upstream.next();
    (client, arrived)
}

/// Closes a connection and waits until the proxy has closed its own end of it, and nothing else.
fn close_and_wait(proxy: &Server, peer: Peer) {
    let before = fd_count(proxy.pid());
    peer.close();
    eventually("the proxy closes its end", PATIENCE, || {
        fd_count(proxy.pid()) + 1 == before
    });
}

/// Returns the two numbers of a row as the proxy's log has them.
fn row(proxy: &Server, number: usize) -> [u32; 2] {
    let line = proxy.wait_for_stderr(&format!("row {number}: ["));
    let (_, numbers) = line.split_once(": [").expect("the start of a row");
    let (conn_sock, upstream_sock) = numbers
        .trim_end_matches(']')
        .split_once(", ")
        .expect("two numbers");
    [conn_sock, upstream_sock].map(|text| text.parse().expect("a number"))
}

#[test]
fn naive_milestone_1_a_client_is_one_row_one_upstream_accept_and_no_bytes() {
    let _test = Test::begin(
        "accept_connection() connects to the upstream at once and writes both numbers into a row.",
    );
    let upstream = Hand::start();
    let proxy = proxy_to(&upstream.scripted.addr_text());
    let before = fd_count(proxy.pid());
    let (client, arrived) = session(&proxy, &upstream);
    let [conn_sock, upstream_sock] = row(&proxy, 0);
    ensure(
        conn_sock != upstream_sock,
        "the row holds two different sockets",
    );
    ensure(
        fd_count(proxy.pid()) == before + 2,
        "the proxy opened exactly two sockets",
    );
    arrived.expect_silence(QUIET);
    client.expect_silence(QUIET);
    ensure(
        upstream.scripted.accepts() == 1,
        "the upstream accepted exactly one connection",
    );
}

#[test]
fn naive_milestone_2_two_clients_each_get_the_file_they_asked_for() {
    let _test = Test::begin(
        "handle_client() and handle_upstream() relay along the row that the socket is in.",
    );
    let folder = folder_of_files();
    let upstream = Upstream::python(folder.path());
    let proxy = proxy_to(&upstream.addr_text());
    for _ in 0..5 {
        std::thread::scope(|scope| {
            for path in ["/one.txt", "/two.bin", "/"] {
                let (direct, through) = (upstream.addr(), proxy.addr());
                scope
                    .spawn(move || assert_eq!(fetch(through, path), fetch(direct, path), "{path}"));
            }
        });
    }
    proxy.expect_alive();
}

#[test]
fn naive_milestone_2_with_curl() {
    let _test = Test::begin("What curl gets through the proxy equals what it gets directly.");
    if Command::new("curl").arg("--version").output().is_err() {
        return; // the test before this one shows the same without curl
    }
    let folder = folder_of_files();
    let upstream = Upstream::python(folder.path());
    let proxy = proxy_to(&upstream.addr_text());
    for path in ["/one.txt", "/two.bin", "/", "/missing"] {
        ensure(
            curl(proxy.addr(), path) == curl(upstream.addr(), path),
            format!("{path} differs"),
        );
    }
    proxy.expect_alive();
}

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

#[test]
fn naive_an_upstream_that_refuses_costs_one_client_and_not_the_proxy() {
    let _test = Test::begin("When connect_upstream() fails, close the client and go on.");
    let upstream = Hand::start();
    let address = upstream.scripted.addr_text();
    drop(upstream);
    let proxy = proxy_to(&address);
    for _ in 0..3 {
        Client::connect(proxy.addr()).expect_closed();
    }
    proxy.expect_alive();
}

#[test]
fn naive_resets_on_either_side_do_not_end_the_proxy() {
    let _test = Test::begin("What a peer does never ends the loop.");
    let upstream = Hand::start();
    let proxy = proxy_to(&upstream.scripted.addr_text());
    let before = fd_count(proxy.pid());

    let (client, its_upstream) = session(&proxy, &upstream);
    client.reset();
    drop(its_upstream);
    fds_return_to(proxy.pid(), before);

    let (client, its_upstream) = session(&proxy, &upstream);
    its_upstream.reset();
    drop(client.try_send(b"to nobody"));
    drop(client);
    fds_return_to(proxy.pid(), before);

    let (client, its_upstream) = session(&proxy, &upstream);
    client.send(b"still there");
    its_upstream.expect(b"still there");
    ensure(
        proxy.terminate().code() == Some(0),
        "SIGTERM is a clean end",
    );
}

fn folder_of_files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rng = Rng::for_test();
    std::fs::write(folder.path().join("one.txt"), rng.bytes(200)).expect("a small file");
    std::fs::write(folder.path().join("two.bin"), rng.bytes(300_000)).expect("a large file");
    folder
}

fn fetch(server: SocketAddr, path: &str) -> Vec<u8> {
    let client = reqwest::blocking::Client::builder()
        .no_proxy()
        .timeout(harness::scaled(PATIENCE));
    let request = client
        .build()
        .expect("a client")
        .get(format!("http://{server}{path}"));
    request
        .send()
        .expect("an answer")
        .bytes()
        .expect("a body")
        .to_vec()
}

fn curl(server: SocketAddr, path: &str) -> Vec<u8> {
    let words = [
        "-sS",
        "--noproxy",
        "*",
        "--max-time",
        "10",
        "-w",
        "%{http_code}",
    ];
    let url = format!("http://{server}{path}");
    let finished = Command::new("curl").args(words).arg(url).output();
    let finished = finished.expect("curl runs");
    let errors = String::from_utf8_lossy(&finished.stderr);
    ensure(finished.status.success(), format!("curl says {errors}"));
    finished.stdout
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
