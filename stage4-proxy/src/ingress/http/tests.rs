//! The handshake is driven as a session drives it: whole heads, pieces of them, and failures.

use std::io;

use proptest::prelude::*;

use super::*;
use crate::access::Denial;
use crate::connect_error::ConnectError;
use crate::ingress::Verdict;
use crate::ingress::conversation::Conversation;

/// The target that a head leads to, and what the target gets before the client's further bytes.
fn accepted(head: &str) -> (String, String) {
    let step = HttpHandshake::default().advance(head.as_bytes());
    let Verdict::Connect(target) = step.verdict else {
        panic!("{head:?} is refused: {step:?}");
    };
    assert_eq!(step.consumed, head.len(), "{head:?}");
    (target.to_string(), String::from_utf8(step.forward).unwrap())
}

/// The reply to a head that leads nowhere, and the reason for the log.
fn refused(head: &str) -> (String, String) {
    let step = HttpHandshake::default().advance(head.as_bytes());
    let Verdict::Refuse(why) = step.verdict else {
        panic!("{head:?} is not refused: {step:?}");
    };
    (String::from_utf8(step.reply).unwrap(), why)
}

#[test]
fn connect_leads_to_a_tunnel() {
    let table = [
        ("example.org:443", "example.org:443"),
        ("192.0.2.1:80", "192.0.2.1:80"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443"),
    ];
    for (asked, target) in table {
        let head = format!("CONNECT {asked} HTTP/1.1\r\nHost: {asked}\r\n\r\n");
        assert_eq!(accepted(&head), (target.to_owned(), String::new()));
    }
}

#[test]
fn a_url_becomes_a_path_and_a_host() {
    let table = [
        // URL, target, path, Host
        (
            "http://example.org/a?b=c",
            "example.org:80",
            "/a?b=c",
            "example.org",
        ),
        ("http://example.org", "example.org:80", "/", "example.org"),
        (
            "http://example.org:/",
            "example.org:80",
            "/",
            "example.org:",
        ),
        (
            "HTTP://example.org:8080/",
            "example.org:8080",
            "/",
            "example.org:8080",
        ),
        ("http://[::1]/", "[::1]:80", "/", "[::1]"),
        ("http://[::1]:81/x", "[::1]:81", "/x", "[::1]:81"),
        ("http://a.b?q", "a.b:80", "/?q", "a.b"),
        ("http://a.b/c#d", "a.b:80", "/c", "a.b"),
        ("http://a.b/http://c.d/", "a.b:80", "/http://c.d/", "a.b"),
    ];
    for (url, target, path, host) in table {
        let head = format!("GET {url} HTTP/1.1\r\nHost: other.example\r\n\r\n");
        let forward = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nVia: 1.1 stage4-proxy\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(accepted(&head), (target.to_owned(), forward), "{url}");
    }
    let (_, whole_server) = accepted("OPTIONS http://example.org HTTP/1.1\r\n\r\n");
    assert!(
        whole_server.starts_with("OPTIONS * HTTP/1.1\r\n"),
        "{whole_server}"
    );
}

#[test]
fn fields_for_this_connection_go_no_further() {
    let head = "POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, X-Mine, content-length\r\n\
                Proxy-Connection: keep-alive\r\nKeep-Alive: 5\r\nX-Mine: 1\r\nX-Other: 2\r\nTE: trailers\r\n\
                Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nProxy-Authorization: Basic eA==\r\nAuthorization: Basic eQ==\r\nContent-Length: 3\r\n\r\n";
    let (_, forward) = accepted(head);
    let expected = "POST / HTTP/1.1\r\nHost: a.example\r\nX-Other: 2\r\nAuthorization: Basic eQ==\r\n\
                    Content-Length: 3\r\nVia: 1.1 stage4-proxy\r\nConnection: close\r\n\r\n";
    assert_eq!(forward, expected);
}

/// The exchange that a request has begun.
fn exchange(step: Step) -> Box<Exchange> {
    step.exchange.unwrap()
}

#[test]
fn only_the_bytes_of_one_request_go_up() {
    let head = "POST http://a.example/ HTTP/1.1\r\nContent-Length: 5\r\n\r\n";
    let next = "GET http://b.example/ HTTP/1.1\r\n\r\n";
    let table = [
        // what comes with the head, what goes up of it, whether the request is complete, what is kept
        (String::new(), "", false, ""),
        ("he".to_owned(), "he", false, ""),
        (format!("hello{next}"), "hello", true, next),
    ];
    for (body, sent, is_over, kept) in table {
        let input = format!("{head}{body}");
        let step = HttpHandshake::default().advance(input.as_bytes());
        let forward = String::from_utf8(step.forward.clone()).unwrap();
        assert_eq!(forward.split_once("\r\n\r\n").unwrap().1, sent);
        assert_eq!(step.consumed, input.len());
        let mut exchange = exchange(step);
        assert_eq!(exchange.upload.is_over(), is_over);
        assert_eq!(exchange.upload.take_surplus(), kept.as_bytes());
    }
    let tunnel = HttpHandshake::default().advance(b"CONNECT a.example:1 HTTP/1.1\r\n\r\nhello");
    assert!(tunnel.exchange.is_none());
    assert_eq!(tunnel.consumed, 32);
}

#[test]
fn chunks_go_up_as_they_are() {
    let head = "POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = "5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n";
    let step = HttpHandshake::default().advance(format!("{head}{chunks}next").as_bytes());
    let forward = String::from_utf8(step.forward.clone()).unwrap();
    assert!(
        forward.contains("\r\nTransfer-Encoding: chunked\r\n"),
        "{forward}"
    );
    assert!(forward.ends_with(&format!("\r\n\r\n{chunks}")), "{forward}");
    assert_eq!(exchange(step).upload.take_surplus(), b"next");
}

#[test]
fn a_client_is_kept_if_it_speaks_http_1_1_and_does_not_want_to_close() {
    let keeps = |version: &str, fields: &str| {
        let head = format!("GET http://a.example/ HTTP/{version}\r\n{fields}\r\n");
        let mut exchange = exchange(HttpHandshake::default().advance(head.as_bytes()));
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        exchange.response.look(response).unwrap();
        exchange.keeps_client()
    };
    assert!(keeps("1.1", ""));
    assert!(keeps(
        "1.1",
        "Connection: keep-alive\r\nProxy-Connection: keep-alive\r\n"
    ));
    assert!(!keeps("1.1", "Connection: x, CLOSE\r\n"));
    assert!(!keeps("1.0", "Connection: keep-alive\r\n"));
}

#[test]
fn every_request_is_read_anew() {
    let mut handshake = HttpHandshake::default();
    handshake.advance(b"HEAD http://a.example/ HTTP/1.1\r\n\r\n");
    assert!(
        handshake.advance(b"more").verdict.is_more(),
        "the first one is under way"
    );
    handshake.begin_again();
    let nothing = handshake.failed(&Failure::TooSlow);
    assert_eq!(nothing, b"", "nothing was asked");
    let step = handshake.advance(b"CONNECT b.example:443 HTTP/1.1\r\n\r\n");
    assert!(
        matches!(step.verdict, Verdict::Connect(target) if target.to_string() == "b.example:443")
    );
    assert!(handshake.connected(None).starts_with(b"HTTP/1.1 200 "));
}

#[test]
fn hops_of_a_trace_and_of_options_are_counted_down() {
    let head = |method, hops| {
        format!("{method} http://a.example HTTP/1.1\r\nMax-Forwards: {hops}\r\n\r\n")
    };
    let (_, forward) = accepted(&head("OPTIONS", 3));
    assert!(forward.contains("\r\nMax-Forwards: 2\r\n"), "{forward}");
    let (_, forward) = accepted(&head("GET", 0));
    assert!(forward.contains("\r\nMax-Forwards: 0\r\n"), "{forward}");
    let (reply, _) = refused(&head("OPTIONS", 0));
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    let (reply, _) = refused(&head("TRACE", 0));
    assert!(reply.starts_with("HTTP/1.1 501 "), "{reply}");
}

#[test]
fn empty_lines_before_a_request_are_ignored() {
    for lines in ["\r\n", "\r\n\r\n", "\r\n\r\n\r\n"] {
        let head = format!("{lines}CONNECT a.example:1 HTTP/1.1\r\n\r\n");
        assert_eq!(accepted(&head).0, "a.example:1");
    }
}

#[test]
fn an_old_client_s_request_stays_old() {
    let (_, forward) = accepted("GET http://a.example/ HTTP/1.0\r\n\r\n");
    assert!(forward.starts_with("GET / HTTP/1.0\r\n"), "{forward}");
    assert!(forward.contains("Via: 1.0 "), "{forward}");
}

/// Heads that lead nowhere, the status of the reply, and a word of the reason.
const REFUSED: &[(&str, &str, &str)] = &[
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400", "whole URL"),
    ("GET https://a.example/ HTTP/1.1\r\n\r\n", "501", "CONNECT"),
    ("GET ftp://a.example/ HTTP/1.1\r\n\r\n", "501", "http://"),
    (
        "GET http://user@a.example/ HTTP/1.1\r\n\r\n",
        "400",
        "HOST:PORT",
    ),
    ("GET http:///a HTTP/1.1\r\n\r\n", "400", "HOST:PORT"),
    (
        "GET /login?next=http://a.example/ HTTP/1.1\r\n\r\n",
        "400",
        "whole URL",
    ),
    (
        "GET http://a.example::/ HTTP/1.1\r\n\r\n",
        "400",
        "HOST:PORT",
    ),
    (
        "GET http://[fe80::1%eth0]/ HTTP/1.1\r\n\r\n",
        "400",
        "HOST:PORT",
    ),
    ("CONNECT a.example HTTP/1.1\r\n\r\n", "400", "HOST:PORT"),
    ("CONNECT a.example:0 HTTP/1.1\r\n\r\n", "400", "HOST:PORT"),
    (
        "CONNECT http://a.example:80 HTTP/1.1\r\n\r\n",
        "400",
        "HOST:PORT",
    ),
    ("GET http://a.example/ HTTP/2.0\r\n\r\n", "505", "HTTP/1.1"),
    (
        "GET http://a.example/ HTTP/1.1\nHost: a\r\n\r\n",
        "400",
        "LF",
    ),
    (
        "GET http://a.example/ HTTP/1.1\r\nHost : a\r\n\r\n",
        "400",
        "not valid",
    ),
    (
        "POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        "400",
        "chunk",
    ),
    (
        "POST http://a.example/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "400",
        "twice",
    ),
    (
        "POST http://a.example/ HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
        "400",
        "number",
    ),
    (
        "POST http://a.example/ HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        "400",
        "number",
    ),
    (
        "POST http://a.example/ HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "400",
        "number",
    ),
    ("\u{16}\u{3}\u{1}", "400", "none"),
    ("\u{5}\u{1}\u{0}", "400", "none"),
    ("a-method-that-is-longer-than-any-in-use", "400", "none"),
    (
        "A-METHOD-THAT-IS-LONGER-THAN-ANY-IN-USE http://a.example/ HTTP/1.1\r\n\r\n",
        "400",
        "method",
    ),
];

#[test]
fn what_leads_nowhere_is_told_with_a_status_and_a_reason() {
    for (head, code, word) in REFUSED {
        let (reply, why) = refused(head);
        assert!(why.contains(word), "{head:?}: {why}");
        let (start, body) = reply.split_once("\r\n\r\n").unwrap();
        assert!(
            start.starts_with(&format!("HTTP/1.1 {code} ")),
            "{head:?}: {reply}"
        );
        assert!(
            start.contains(&format!("Content-Length: {}\r\n", body.len())),
            "{reply}"
        );
        assert!(body.contains(&why), "{reply}");
    }
    let many = "A: b\r\n".repeat(200);
    let (reply, _) = refused(&format!("GET http://a.example/ HTTP/1.1\r\n{many}\r\n"));
    assert!(reply.starts_with("HTTP/1.1 431 "), "{reply}");
}

#[test]
fn a_head_has_a_bound_whether_it_is_complete_or_not() {
    let head = |length: usize| {
        let begin = "GET http://a.example/ HTTP/1.1\r\nA: ";
        format!("{begin}{}\r\n\r\n", "x".repeat(length - begin.len() - 4))
    };
    assert_eq!(accepted(&head(MAX_HEAD)).0, "a.example:80");
    for input in [
        head(MAX_HEAD + 1),
        head(MAX_HEAD + 1)[..MAX_HEAD].to_owned(),
    ] {
        let step = HttpHandshake::default().advance(input.as_bytes());
        assert!(matches!(step.verdict, Verdict::TooLong), "{step:?}");
    }
}

#[test]
fn every_failure_has_its_status() {
    let errors = [
        (
            ConnectError::Resolve(io::Error::other("no such name")),
            "502",
        ),
        (ConnectError::Denied(Denial::OwnListener), "403"),
        (ConnectError::Refused, "502"),
        (ConnectError::TimedOut, "504"),
        (ConnectError::Unreachable, "502"),
        (
            ConnectError::Other(io::Error::other("no ports left")),
            "502",
        ),
    ];
    let mut handshake = HttpHandshake::default();
    assert_eq!(
        handshake.failed(&Failure::TooSlow),
        b"",
        "nothing was asked"
    );
    handshake.advance(b"GET ");
    let mut status = |failure| String::from_utf8(handshake.failed(&failure)).unwrap();
    for (error, code) in &errors {
        let reply = status(Failure::Unreached(error));
        assert!(reply.starts_with(&format!("HTTP/1.1 {code} ")), "{reply}");
        assert!(reply.ends_with(&format!(": {error}\n")), "{reply}");
    }
    assert!(status(Failure::TooSlow).starts_with("HTTP/1.1 408 "));
    assert!(status(Failure::TooLong).starts_with("HTTP/1.1 431 "));
}

#[test]
fn a_head_request_gets_no_body_even_in_a_failure() {
    let mut handshake = HttpHandshake::default();
    handshake.advance(b"HEAD http://a.example/ HTTP/1.1\r\n\r\n");
    let reply = handshake.failed(&Failure::Unreached(&ConnectError::Refused));
    assert!(reply.starts_with(b"HTTP/1.1 502 ") && reply.ends_with(b"\r\n\r\n"));
}

#[test]
fn only_a_tunnel_is_announced() {
    let mut tunnel = HttpHandshake::default();
    tunnel.advance(b"CONNECT a.example:443 HTTP/1.1\r\n\r\n");
    assert!(tunnel.connected(None).starts_with(b"HTTP/1.1 200 "));
    let mut forward = HttpHandshake::default();
    forward.advance(b"GET http://a.example/ HTTP/1.1\r\n\r\n");
    assert_eq!(forward.connected(None), b"");
}

proptest! {
    #[test]
    fn a_head_may_come_in_any_pieces(
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        rest in proptest::collection::vec(any::<u8>(), 0..50),
    ) {
        let head = b"\r\nCONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n";
        let all = [&head[..], &rest].concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(all.len())).collect();
        cuts.push(all.len());
        cuts.sort_unstable();
        let mut handshake = Conversation::new(Box::<HttpHandshake>::default(), 4096);
        let mut consumed = 0;
        let done = cuts.iter().find_map(|&cut| {
            let step = handshake.advance(&all[consumed..cut.max(consumed)]);
            consumed += step.consumed;
            (!step.verdict.is_more()).then_some(step)
        });
        let step = done.unwrap();
        prop_assert_eq!(consumed, head.len());
        prop_assert!(matches!(step.verdict, Verdict::Connect(target) if target.to_string() == "example.org:443"));
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(input in proptest::collection::vec(any::<u8>(), 0..300)) {
        HttpHandshake::default().advance(&input);
    }

    #[test]
    fn no_field_of_a_client_can_add_a_line(name in "[A-Za-z-]{1,12}", value in "[ -~\t\r\n]{0,40}") {
        let head = format!("GET http://a.example/ HTTP/1.1\r\n{name}: {value}\r\n\r\n");
        let step = HttpHandshake::default().advance(head.as_bytes());
        let forward = String::from_utf8(step.forward).unwrap();
        if let Some(lines) = forward.strip_suffix("\r\n\r\n") {
            prop_assert!(lines.split("\r\n").all(|line| !line.contains(['\r', '\n'])), "{lines:?}");
            prop_assert_eq!(forward.matches("\r\n\r\n").count(), 1);
        }
    }
}
