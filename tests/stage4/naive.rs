//! The document's proxy passes both milestones; its faults are shown in `naive/faults.rs`.

#[path = "naive/faults.rs"]
mod faults;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use harness::proc::{fd_count, fds_return_to};
use harness::{
    Client, Deadline, PATIENCE, Peer, Program, Rng, Scripted, Server, Test, Upstream, ensure,
    eventually,
};
use stage1_server::{ListenOptions, listen, local_addr};
use stage4_proxy::naive::MAX_SOCKS;

/// Time for an event that would happen at once if it happened at all.
const QUIET: Duration = Duration::from_millis(400);
/// As many bytes as the proxy receives at once.
const BUFF_SIZE: usize = 16 * 1024;

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
            // It fails when the test is over.
            drop(arrive.send(peer));
        });
        Hand { scripted, arrivals }
    }

    fn next(&self) -> Peer {
        let arrival = Deadline::patience().receive(&self.arrivals);
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
    let _test = Test::begin("curl gets the same bytes through the proxy as directly.");
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
fn naive_the_newest_row_answers_for_a_number_that_came_back() {
    let _test = Test::begin("Search the route table from the back: see newest() in naive.rs.");
    let upstream = Hand::start();
    let proxy = proxy_to(&upstream.scripted.addr_text());
    // As with any browser: the file server closes first, and the client a little later.
    let (first, its_upstream) = session(&proxy, &upstream);
    close_and_wait(&proxy, its_upstream);
    let (second, second_upstream) = session(&proxy, &upstream);
    close_and_wait(&proxy, first);
    let (third, third_upstream) = session(&proxy, &upstream);
    ensure(
        row(&proxy, 0)[0] == row(&proxy, 2)[0],
        "the first client's number came back",
    );
    for (client, arrived) in [(second, second_upstream), (third, third_upstream)] {
        client.send(b"question");
        arrived.expect(b"question");
        arrived.send(b"answer");
        client.expect(b"answer");
    }
}

#[test]
fn naive_a_message_that_fills_the_buffer_is_received_once() {
    let _test = Test::begin(
        "One event, one receive: the sockets block, so a second receive waits for bytes, and every client waits with it.",
    );
    let upstream = Hand::start();
    let proxy = proxy_to(&upstream.scripted.addr_text());
    let (silent, its_upstream) = session(&proxy, &upstream);
    let (client, arrived) = session(&proxy, &upstream);
    let message = Rng::for_test().bytes(BUFF_SIZE);
    for (from, to) in [(&silent, &its_upstream), (&its_upstream, &silent)] {
        // All of it is there before the proxy receives, and nothing comes behind it.
        proxy.stop();
        from.send(&message);
        proxy.cont();
        to.expect(&message);
        client.send(b"question");
        arrived.expect(b"question");
        arrived.send(b"answer");
        client.expect(b"answer");
    }
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
    let _test = Test::begin("No peer may end the loop.");
    let upstream = Hand::start();
    let proxy = proxy_to(&upstream.scripted.addr_text());
    let before = fd_count(proxy.pid());

    let (client, its_upstream) = session(&proxy, &upstream);
    client.reset();
    drop(its_upstream);
    fds_return_to(proxy.pid(), before);

    let (client, its_upstream) = session(&proxy, &upstream);
    its_upstream.reset();
    drop(client.try_send(b"too late"));
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

/// Connects clients until their numbers reach the end of the arrays; the numbers are even or odd, which `is_shifted` changes.
fn fill_the_arrays(is_shifted: bool) {
    // It accepts nothing, so that the test needs no descriptor for each connection.
    let any_port = "127.0.0.1:0".parse().expect("an address");
    let upstream = listen(any_port, &ListenOptions::default()).expect("a free port");
    let upstream = local_addr(&upstream).map(|address| (address, upstream));
    let (address, _upstream) = upstream.expect("a real port");
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--upstream",
        &address.to_string(),
    ];
    let program = Program::new(env!("CARGO_BIN_EXE_naive-proxy")).args(arguments);
    let proxy = program.open_files(2 * MAX_SOCKS as u64).serve();
    let first = Client::connect(proxy.addr());
    let _ = row(&proxy, 0);
    if is_shifted {
        // The next client gets its number, and all others one that is higher by one than without this.
        close_and_wait(&proxy, first);
    }
    let clients: Vec<_> = (0..=MAX_SOCKS / 2)
        .map(|_| Client::connect(proxy.addr()))
        .collect();
    clients[MAX_SOCKS / 2].expect_closed();
    // Those that have a row keep it; without the check the program ends, and with it all of them.
    clients[0].expect_silence(QUIET);
    proxy.expect_alive();
}

#[test]
fn naive_a_number_beyond_the_arrays_closes_its_client_only() {
    let _test = Test::begin(
        "A descriptor number is an index: check_room has to see both sockets of a row before it is added.",
    );
    for is_shifted in [false, true] {
        fill_the_arrays(is_shifted);
    }
}
