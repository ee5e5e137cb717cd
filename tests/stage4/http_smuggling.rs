//! Requests that two parsers could read in two ways: refused, and nothing behind them is read as a request.

use harness::{Hand, Test};

use crate::http_ingress::{ask, get};
use crate::support::Proxy;

/// Fields, and a body behind them, that a proxy must not pass on.
const AMBIGUOUS: &[(&str, &str, &str)] = &[
    // fields, body, status
    (
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "0\r\n\r\n",
        "400",
    ),
    (
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "0\r\n\r\n",
        "400",
    ),
    ("Content-Length: 5\r\nContent-Length: 5", "hello", "400"),
    ("Content-Length: 5\r\nContent-Length: 0", "hello", "400"),
    ("Content-Length: 5, 5", "hello", "400"),
    ("Content-Length: +5", "hello", "400"),
    ("Content-Length: 5a", "hello", "400"),
    ("Content-Length: 0x5", "hello", "400"),
    ("Content-Length: -1", "hello", "400"),
    ("Content-Length:", "hello", "400"),
    ("Content-Length: 99999999999999999999", "hello", "400"),
    ("Content-Length : 5", "hello", "400"),
    ("Content-Length: 5\n", "hello", "400"),
    (
        "Content-Length: 5\nTransfer-Encoding: chunked",
        "0\r\n\r\n",
        "400",
    ),
    ("X: y\r\n Content-Length: 5", "hello", "400"),
    ("X: y\r\n\tz", "", "400"),
    ("X: y\rContent-Length: 5", "hello", "400"),
    ("X: y\0z", "", "400"),
    ("Transfer-Encoding: chunked, identity", "0\r\n\r\n", "400"),
    ("Transfer-Encoding: identity", "", "400"),
    ("Transfer-Encoding: xchunked", "0\r\n\r\n", "400"),
    ("Transfer-Encoding:\x0bchunked", "0\r\n\r\n", "400"),
    ("Transfer-Encoding: \"chunked\"", "0\r\n\r\n", "400"),
    (
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "0\r\n\r\n",
        "400",
    ),
    ("Transfer-Encoding : chunked", "0\r\n\r\n", "400"),
    ("Transfer-Encoding: gzip, chunked", "0\r\n\r\n", "501"),
    ("Transfer-Encoding: chunked, chunked", "0\r\n\r\n", "501"),
    ("Transfer-Encoding: chunked", "0\n\n", "400"),
    ("Transfer-Encoding: chunked", "0 \r\n\r\n", "400"),
    ("Transfer-Encoding: chunked", "0x0\r\n\r\n", "400"),
    ("Transfer-Encoding: chunked", "5\r\nhello0\r\n\r\n", "400"),
    (
        "Transfer-Encoding: chunked",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "400",
    ),
    ("Transfer-Encoding: chunked", "10000000000000000\r\n", "400"),
    (
        "Transfer-Encoding: chunked",
        "0\r\nA: b\r\n c\r\n\r\n",
        "400",
    ),
    ("Host: b.example", "", "400"),
];

#[test]
fn http_requests_that_could_be_read_in_two_ways_are_refused() {
    let _test = Test::begin(
        "If the target might see another end than the proxy, the rest would be a request of its own.",
    );
    let (proxy, target) = (Proxy::choosing("http", &[]), Hand::start());
    let smuggled = get(format!("http://{}/smuggled", target.addr()));
    for (fields, body, code) in AMBIGUOUS {
        let url = format!("http://{}/", target.addr());
        let request = format!("POST {url} HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n\r\n{body}");
        let client = ask(&proxy, format!("{request}{smuggled}"));
        let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        let begin = format!("HTTP/1.1 {code} ");
        assert!(reply.starts_with(&begin), "{fields:?} {body:?}: {reply}");
        assert_eq!(reply.matches("HTTP/1.1 ").count(), 1, "{fields:?}: {reply}");
    }
    // Of all of them, none has reached the target: its first connection is that of a good request.
    let _client = ask(&proxy, get(format!("http://{}/good", target.addr())));
    let head = target.next().read_until(b"\r\n\r\n");
    assert!(head.starts_with(b"GET /good "), "{}", head.escape_ascii());
}

#[test]
fn http_lines_and_versions_that_could_be_read_in_two_ways_are_refused() {
    let _test = Test::begin("Whole heads: bare line feeds, an HTTP/1.0 with chunks, two targets.");
    let (proxy, target) = (Proxy::choosing("http", &[]), Hand::start());
    let url = format!("http://{}/", target.addr());
    let table = [
        format!("GET {url} HTTP/1.1\nHost: x\n\n"),
        format!("GET {url} HTTP/1.1\r\nHost: x\n\r\n"),
        format!("GET {url} HTTP/1.1\r\n\n"),
        format!("GET {url} HTTP/1.1\r\nHost: x\r\n\n"),
        format!("POST {url} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("GET {url} {url} HTTP/1.1\r\n\r\n"),
        format!("GET  {url} HTTP/1.1\r\n\r\n"),
        format!("GET {url}\r\n\r\n"),
        format!(" GET {url} HTTP/1.1\r\n\r\n"),
        format!("GET {url} HTTP/1.1\r\n: empty\r\n\r\n"),
        format!("GET {url} HTTP/1.1\r\nno colon\r\n\r\n"),
        format!("G\u{e9}T {url} HTTP/1.1\r\n\r\n"),
        "GET http://user@127.0.0.1:80/ HTTP/1.1\r\n\r\n".to_owned(),
    ];
    for request in table {
        let client = ask(&proxy, &request);
        let reply = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        assert!(reply.starts_with("HTTP/1.1 400 "), "{request:?}: {reply}");
    }
    let _client = ask(&proxy, get(format!("{url}good")));
    let head = target.next().read_until(b"\r\n\r\n");
    assert!(head.starts_with(b"GET /good "), "{}", head.escape_ascii());
}
