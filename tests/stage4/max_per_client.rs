//! `--max-per-client`: how many sessions one address may have, over all threads and through every ingress.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;

use harness::{Client, Connect, PATIENCE, Program, Test, command_line, eventually, proc, scaled};

use crate::http_ingress;
use crate::support::{
    Proxy, connect_and_be_closed, echoes, in_path, program, proxy_and_echo, proxy_and_hand,
};

/// The counter of the clients over the limit.
const OVER_LIMIT: &str = "proxy_refusals_by_reason_total{reason=\"over_limit\"}";

/// Connects from another address of this machine.
#[track_caller]
fn from_elsewhere(proxy: &Proxy) -> Client {
    let local: SocketAddr = "127.0.0.2:0".parse().expect("an address");
    Connect::new().from(local).to(proxy.addr())
}

#[test]
fn per_client_a_further_session_is_closed_at_once_and_another_address_is_served() {
    let _test = Test::begin("Count the sessions of each address, over all threads.");
    for threads in ["1", "4"] {
        let (proxy, echo) = proxy_and_echo(&["--max-per-client", "3", "--threads", threads]);
        let mut three: Vec<Client> = (0..3).map(|_| Client::connect(proxy.addr())).collect();
        three.iter().for_each(echoes);
        for _ in 0..20 {
            connect_and_be_closed(proxy.addr());
        }
        proxy.wait_for_metric(OVER_LIMIT, 20.0);
        proxy.wait_for_metric("proxy_refusals_total", 20.0);
        assert_eq!(echo.accepts(), 3, "nothing reaches the upstream");
        echoes(&from_elsewhere(&proxy));
        proxy.wait_for_rows(3);
        three.pop();
        proxy.wait_for_rows(2);
        let next = Client::connect(proxy.addr());
        echoes(&next);
        connect_and_be_closed(proxy.addr());
        three.iter().for_each(echoes);
        assert!(proxy.stderr().contains("--max-per-client is reached"));
    }
}

#[test]
fn per_client_each_protocol_says_it_in_its_words() {
    let _test = Test::begin("A client learns why it is closed, if its protocol can say it.");
    let limit = ["--max-per-client", "1"];
    let table: [(&str, &[u8]); 3] = [
        ("socks5", &[5, 0xff]),
        ("http", b"HTTP/1.1 429 Too Many Requests\r\n"),
        ("hop", &[1, 7, 37]),
    ];
    for (ingress, words) in table {
        let proxy = Proxy::choosing(ingress, &limit);
        let first = Client::connect(proxy.addr());
        proxy.wait_for_rows(1);
        let further = Client::connect(proxy.addr());
        further.expect(words);
        let _ = further.read_to_end();
        proxy.wait_for_metric(OVER_LIMIT, 1.0);
        drop(first);
        proxy.wait_for_rows(0);
    }
    let proxy = Proxy::choosing("http", &limit);
    let _first = Client::connect(proxy.addr());
    proxy.wait_for_rows(1);
    let Some(curl) = in_path("curl") else {
        return;
    };
    let address = format!("http://{}", proxy.addr());
    let options = ["-s", "--noproxy", "", "-x", &address, "http://localhost/"];
    let output = std::process::Command::new(curl).args(options).output();
    let told = String::from_utf8(output.expect("curl runs").stdout).expect("text");
    assert_eq!(
        told,
        "429 Too Many Requests: your address has as many connections as this proxy allows it\n"
    );
}

#[test]
fn per_client_a_refused_client_and_a_stalled_one_count_as_long_as_they_are_here() {
    let _test = Test::begin("A session counts from accept to close, whatever it is doing.");
    let proxy = Proxy::choosing("http", &["--max-per-client", "2"]);
    let stalled = Client::connect(proxy.addr());
    stalled.send(b"CONNECT");
    let denied = Client::connect(proxy.addr());
    denied.send(http_ingress::connect_to("169.254.169.254:80").as_bytes());
    let _ = denied.read_to_end();
    let further = Client::connect(proxy.addr());
    further.expect(b"HTTP/1.1 429 ");
    drop((denied, stalled, further));
    proxy.wait_for_rows(0);
    let next = Client::connect(proxy.addr());
    next.send(http_ingress::connect_to("169.254.169.254:80").as_bytes());
    next.expect(b"HTTP/1.1 403 ");
}

#[test]
fn per_client_a_storm_from_one_address_leaves_room_for_the_others() {
    let _test = Test::begin("One address must not fill the table: the others' clients are served.");
    let arguments = ["--max-per-client", "5", "--max-connections", "20"];
    let (proxy, _echo) = proxy_and_echo(&arguments);
    proxy.wait_for_rows(0);
    let before = proc::fd_count(proxy.pid());
    let five: Vec<Client> = (0..5).map(|_| Client::connect(proxy.addr())).collect();
    five.iter().for_each(echoes);
    for number in 0..500 {
        connect_and_be_closed(proxy.addr());
        if number % 100 == 0 {
            echoes(&from_elsewhere(&proxy));
        }
    }
    proxy.wait_for_metric(OVER_LIMIT, 500.0);
    let lines = proxy.stderr().lines().count();
    assert!(lines < 400, "{lines} lines for 500 clients");
    drop(five);
    proxy.wait_for_rows(0);
    let what = format!("at most {before} descriptors are open, as before");
    eventually(&what, PATIENCE, || proc::fd_count(proxy.pid()) <= before);
    echoes(&Client::connect(proxy.addr()));
}

#[test]
fn per_client_the_client_of_a_header_counts_and_not_the_peer_that_sends_it() {
    let _test = Test::begin("Behind a load balancer, every client comes from its address.");
    let arguments = ["--max-per-client", "1", "--accept-proxy", "127.0.0.1"];
    let (proxy, hand) = proxy_and_hand(&arguments);
    let come = |client: &str| {
        let peer = Client::connect(proxy.addr());
        peer.send(format!("PROXY TCP4 {client} 127.0.0.1 1024 80\r\n").as_bytes());
        peer
    };
    let kept = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|client| {
        let peer = come(client);
        let upstream = hand.next();
        (peer, upstream)
    });
    come("192.0.2.2").expect_closed();
    proxy.wait_for_metric(OVER_LIMIT, 1.0);
    drop(kept);
    proxy.wait_for_rows(0);
    let again = come("192.0.2.2");
    again.send(b"served");
    hand.next().expect(b"served");
}

/// Connects to a Unix socket, sends `bytes`, and returns what is said before the end.
#[track_caller]
fn ask_unix(path: &Path, bytes: &[u8]) -> String {
    let mut client = UnixStream::connect(path).expect("it listens");
    let limit = Some(scaled(PATIENCE));
    client.set_read_timeout(limit).expect("a time limit");
    // A client over the limit may be closed already.
    let _ = client.write_all(bytes);
    let mut told = Vec::new();
    let _ = client.read_to_end(&mut told);
    String::from_utf8_lossy(&told).into_owned()
}

#[test]
fn per_client_programs_at_a_unix_socket_are_one_client() {
    let _test = Test::begin("A Unix socket has no address that could tell its clients apart.");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("proxy.sock");
    let listen = format!("unix:{}", path.display());
    let arguments = ["--ingress", "http", "--max-per-client", "1", "--listen"];
    let program = Program::new(program()).args(arguments).arg(&listen);
    let proxy = program.spawn();
    proxy.expect_stdout(format!("listening on {listen}\n").as_bytes());
    let first = UnixStream::connect(&path).expect("it listens");
    assert!(ask_unix(&path, b"").starts_with("HTTP/1.1 429 "));
    drop(first);
    let request = http_ingress::connect_to("169.254.169.254:80");
    eventually("the next client is served", PATIENCE, || {
        ask_unix(&path, request.as_bytes()).starts_with("HTTP/1.1 403 ")
    });
}

#[test]
fn per_client_the_limit_is_a_number_from_one_on() {
    let _test = Test::begin("A limit of no session would be a proxy for no client.");
    let wrong: [(&[&str], &str); 3] = [
        (&["--max-per-client", "0"], "--max-per-client"),
        (&["--max-per-client", "-1"], "error: "),
        (&["--max-per-client", "many"], "--max-per-client"),
    ];
    command_line::refuses(&Program::new(program()), &wrong);
    let flags = [("--max-per-client", "no limit")];
    command_line::help_of_flags(&Program::new(program()), &flags);
}
