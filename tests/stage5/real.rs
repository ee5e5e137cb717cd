//! Real upstreams: a client gets the same response through the queue and directly.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;

use harness::{Client, Rng, Test, Upstream};

use crate::support::Mux;

/// Sends one request on a new connection; returns the status line, the fields and the body of the response.
fn answer(address: SocketAddr, request: &str) -> (String, BTreeMap<String, String>, Vec<u8>) {
    let client = Client::connect(address);
    client.send(request.as_bytes());
    let bytes = client.read_to_end();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.expect("the end of a head") + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default();
    let status = line.split_once(' ').map(|(_, rest)| rest.to_owned());
    let fields = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        // `Connection` differs for each connection, and `Date` for each second.
        .filter(|(name, _)| name != "connection" && name != "date")
        .collect();
    (status.unwrap_or_default(), fields, bytes[end..].to_vec())
}

fn compare_with_python(protocol: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.txt"), "content of a").expect("a file");
    fs::write(folder.path().join("empty"), "").expect("a file");
    let large = Rng::for_test().bytes(3_000_000);
    fs::write(folder.path().join("large.bin"), large).expect("a file");
    fs::create_dir(folder.path().join("sub")).expect("a folder");
    let python = Upstream::python_speaking(folder.path(), protocol);
    let mux = Mux::start(python.addr(), &[]);
    let since = "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n";
    let requests = [
        ("GET", "/", ""),
        ("GET", "/a.txt", ""),
        ("GET", "/empty", ""),
        ("GET", "/large.bin", ""),
        ("GET", "/sub", ""),
        ("GET", "/sub/", ""),
        ("GET", "/missing", ""),
        ("GET", "/a.txt", since),
        ("GET", "/a.txt?query=1", "Accept: */*\r\nX-Odd:\r\n"),
        ("HEAD", "/a.txt", ""),
        ("HEAD", "/large.bin", ""),
        ("HEAD", "/missing", ""),
        ("POST", "/", "Content-Length: 0\r\n"),
        ("DELETE", "/a.txt", ""),
    ];
    for (method, path, fields) in requests {
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
        let direct = answer(python.addr(), &request);
        let through = answer(mux.addr(), &request);
        assert_eq!(through.0, direct.0, "{method} {path}: status");
        assert_eq!(through.1, direct.1, "{method} {path}: fields");
        assert!(through.2 == direct.2, "{method} {path}: body");
    }
}

#[test]
fn e55_python_with_http_1_1_answers_the_same_through_the_queue() {
    let _test =
        Test::begin("A client must not see a difference between the queue and the upstream.");
    compare_with_python("HTTP/1.1");
}

#[test]
fn e55_python_with_http_1_0_closes_each_time_and_answers_the_same() {
    let _test =
        Test::begin("The upstream's close ends its connection; the next request opens one.");
    compare_with_python("HTTP/1.0");
}

#[test]
fn e55_clients_keep_their_connections_in_front_of_http_1_0() {
    let _test = Test::begin("Each connection has a persistence of its own.");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.txt"), "content of a").expect("a file");
    let python = Upstream::python(folder.path());
    let mux = Mux::start(python.addr(), &[]);
    let clients: Vec<_> = (0..4).map(|_| mux.client()).collect();
    for _ in 0..5 {
        for client in &clients {
            client.send(&crate::support::get("/a.txt"));
        }
        for client in &clients {
            assert_eq!(
                crate::support::reply(client).text(),
                "content of a",
                "the page, from Python"
            );
        }
    }
}
