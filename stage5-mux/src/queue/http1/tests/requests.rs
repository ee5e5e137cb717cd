//! Requests: what the upstream gets, and what it never sees.

use proptest::prelude::*;

use crate::queue::framing::{Framing as _, Refusal, Requests as _, Status, Summary};
use crate::queue::http1::Http1;
use crate::queue::http1::details::Details;

const MAX_HEAD: usize = 1024;
const MAX_BODY: usize = 64;

fn framing() -> Http1 {
    Http1::new("upstream:3000".to_owned(), MAX_HEAD, MAX_BODY)
}

type Found = Vec<(String, Summary<Details>)>;

/// Feeds `input` in pieces; what is too large streams, and the pieces are put together again.
fn read(input: &[u8], cuts: &[usize]) -> Result<Found, Refusal> {
    let mut reader = framing().requests();
    let (mut kept, mut found, mut request) = (Vec::new(), Vec::new(), Vec::new());
    let mut begin = 0;
    for &bound in cuts.iter().chain([&input.len()]) {
        kept.extend_from_slice(&input[begin..bound]);
        begin = bound;
        loop {
            let taken = reader.take(&kept, &mut request)?;
            kept.drain(..taken.used);
            match taken.status {
                Status::Partial => break,
                Status::Full(_) => reader.stream(&mut request),
                Status::Complete(summary) => {
                    let request = std::mem::take(&mut request);
                    found.push((String::from_utf8_lossy(&request).into_owned(), summary));
                }
            }
        }
    }
    match reader.end_of_input(&kept, &mut request)? {
        None => Ok(found),
        Some(_) => panic!("no request ends with the input"),
    }
}

fn one(input: &str) -> (String, Summary<Details>) {
    let mut found =
        read(input.as_bytes(), &[]).unwrap_or_else(|error| panic!("{input:?}: {error}"));
    assert_eq!(found.len(), 1, "{input:?}");
    found.remove(0)
}

const REWRITTEN: [(&str, &str); 21] = [
    (
        "GET /a?b HTTP/1.1\r\nHost: x:1\r\nA:  b \r\n\r\n",
        "GET /a?b HTTP/1.1\r\nHost: x:1\r\nA: b\r\nVia: 1.1 stage5-mux\r\n\r\n",
    ),
    (
        "\r\nGET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: upstream:3000\r\nVia: 1.0 stage5-mux\r\n\r\n",
    ),
    (
        "GET http://Other:80/p?q HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /p?q HTTP/1.1\r\nHost: Other:80\r\nVia: 1.1 stage5-mux\r\n\r\n",
    ),
    (
        "OPTIONS * HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: [::1]:8080\r\nVia: 1.1 stage5-mux\r\n\r\n",
    ),
    (
        "GET http://x HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nVia: 1.1 stage5-mux\r\n\r\n",
    ),
    (
        "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]\r\nVia: 1.1 stage5-mux\r\n\r\n",
    ),
    (
        "OPTIONS http://x HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\nVia: 1.1 stage5-mux\r\n\r\n",
    ),
    (
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close, X-Mine, Host\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\nX-Other: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX-Other: 2\r\nVia: 1.1 stage5-mux\r\n\r\n",
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: x\r\nVia: 1.1 stage5-mux\r\nContent-Length: 5\r\n\r\nhello",
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nVia: 1.1 stage5-mux\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: x\r\nVia: 1.1 stage5-mux\r\nContent-Length: 5\r\n\r\nabcde",
    ),
    (
        "GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: upstream:3000\r\nVia: 1.0 stage5-mux\r\n\r\n",
    ),
    (
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nVia: 1.1 stage5-mux\r\n\r\n",
    ),
    (
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: TLS/1.0\r\nHTTP2-Settings: AAMA\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nVia: 1.1 stage5-mux\r\n\r\n",
    ),
    (
        "GET /a HTTP/1.7\r\nHost: x\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nVia: 1.7 stage5-mux\r\n\r\n",
    ),
    (
        "GET HTTPS://Other/p HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /p HTTP/1.1\r\nHost: Other\r\nVia: 1.1 stage5-mux\r\n\r\n",
    ),
    (
        "GET https://x HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nVia: 1.0 stage5-mux\r\n\r\n",
    ),
    (
        "OPTIONS http://x?a/b HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS /?a/b HTTP/1.1\r\nHost: x\r\nVia: 1.1 stage5-mux\r\n\r\n",
    ),
    (
        "TRACE / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 10\r\nConnection: max-forwards\r\nA: b\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: x\r\nA: b\r\nMax-Forwards: 9\r\nVia: 1.1 stage5-mux\r\n\r\n",
    ),
    (
        "GET / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\nVia: 1.1 stage5-mux\r\n\r\n",
    ),
    (
        "GET / HTTP/1.1\r\nHost:\r\nVia: 1.0 a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: upstream:3000\r\nVia: 1.0 a\r\nVia: 1.1 stage5-mux\r\n\r\n",
    ),
];

#[test]
fn a_request_is_rewritten_for_the_shared_connection() {
    for (input, expected) in REWRITTEN {
        assert_eq!(one(input).0, expected);
    }
}

#[test]
fn requests_are_the_same_however_they_are_cut() {
    let second = "GET /second HTTP/1.1\r\nHost: x\r\n\r\n";
    for (first, _) in REWRITTEN {
        let input = format!("{first}{second}").into_bytes();
        let whole = read(&input, &[]).unwrap();
        assert_eq!(whole.len(), 2, "{first:?}");
        for cut in 0..=input.len() {
            assert_eq!(
                read(&input, &[cut]).unwrap(),
                whole,
                "{first:?} cut at {cut}"
            );
        }
        let every: Vec<usize> = (1..input.len()).collect();
        assert_eq!(
            read(&input, &every).unwrap(),
            whole,
            "{first:?} byte by byte"
        );
    }
}

#[test]
fn what_is_ambiguous_never_becomes_a_request() {
    let head = |fields: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n0\r\n\r\n");
    let bad = [
        head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        head("Content-Length: 5\r\nContent-Length: 5\r\n"),
        head("Content-Length: 5\r\nContent-Length: 6\r\n"),
        head("Content-Length: 5, 5\r\n"),
        head("Content-Length: +5\r\n"),
        head("Content-Length : 5\r\n"),
        head(" Content-Length: 5\r\n"),
        head("A: b\r\n c\r\n"),
        head("A: b\n"),
        head("A: b\rC: d\r\n"),
        head("A: \0\r\n"),
        head("A\r\n"),
        head("Transfer-Encoding: chunked, identity\r\n"),
        head("Transfer-Encoding: identity\r\n"),
        head("Transfer-Encoding : chunked\r\n"),
        head("Transfer-Encoding: \x0bchunked\r\n"),
        head("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
        head("Host: y\r\n"),
        "POST / HTTP/1.1\r\n\r\n".to_owned(),
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: h:8a\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: :80\r\n\r\n".to_owned(),
        "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET https://u:p@h/ HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET http:// HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET https:///a HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET https://:443/ HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET https:/h/ HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET http://h#a HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET https://h/ HTTP/1.1\r\n\r\n".to_owned(),
        "OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: 1, 2\r\n\r\n".to_owned(),
        "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET * HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET  / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET /\r\nHost: h\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\n\n".to_owned(),
        "GE\u{1} / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: h\r\n".to_owned(),
        head("Transfer-Encoding: chunked\r\nX: 1\r\n").replace("\r\n0\r\n", "\r\n5 \r\n"),
    ];
    for input in bad {
        let got = read(input.as_bytes(), &[]);
        assert!(
            matches!(got, Err(Refusal::BadRequest(_))),
            "{input:?}: {got:?}"
        );
        for cut in 0..=input.len() {
            assert_eq!(
                read(input.as_bytes(), &[cut]),
                got,
                "{input:?} cut at {cut}"
            );
        }
    }
}

#[test]
fn every_other_refusal_has_its_reason() {
    let large = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(MAX_HEAD));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a:\r\n".repeat(129));
    let get = "GET / HTTP/1.1\r\nHost: x\r\n";
    let table = [
        (large, Refusal::HeadTooLarge),
        (many, Refusal::TooManyFields),
        (
            "OPTIONS /a HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n".to_owned(),
            Refusal::LastHop,
        ),
        (
            "GET / HTTP/2.0\r\nHost: x\r\n\r\n".to_owned(),
            Refusal::UnknownVersion,
        ),
        (
            "GET / XYZ\r\nHost: x\r\n\r\n".to_owned(),
            Refusal::BadRequest("the head is not valid"),
        ),
        (
            format!("{get}Expect: more\r\n\r\n"),
            Refusal::UnknownExpectation,
        ),
        (
            format!("{get}Content-Length: 99999999999999999999\r\n\r\n"),
            Refusal::TooLarge,
        ),
    ];
    for (input, expected) in table {
        assert_eq!(read(input.as_bytes(), &[]), Err(expected), "{input:?}");
    }
    for input in [
        "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n".to_owned(),
        format!("{get}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        format!("{get}Transfer-Encoding: gzip, chunked\r\n\r\n"),
    ] {
        let got = read(input.as_bytes(), &[]);
        assert!(
            matches!(got, Err(Refusal::NotPossible(_))),
            "{input:?}: {got:?}"
        );
    }
}

#[test]
fn persistence_follows_version_and_connection() {
    for (input, persistent) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", true),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            false,
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: a\r\nConnection: b, Close\r\n\r\n",
            false,
        ),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
    ] {
        assert_eq!(one(input).1.persistent, persistent, "{input:?}");
    }
    for (method, repeatable) in [("GET", true), ("PUT", true), ("POST", false), ("X", false)] {
        let input = format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(one(&input).1.repeatable, repeatable, "{method}");
    }
}

#[test]
fn a_body_that_is_too_large_streams() {
    let body = "z".repeat(MAX_BODY * 3 + 1);
    let head = "POST / HTTP/1.1\r\nHost: x\r\n";
    let plain = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let chunked = format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    for cut in 0..=plain.len() {
        let found = read(plain.as_bytes(), &[cut]).unwrap();
        let head = format!(
            "{head}Via: 1.1 stage5-mux\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        assert_eq!(found[0].0, format!("{head}{body}"));
    }
    for cut in 0..=chunked.len() {
        let found = read(chunked.as_bytes(), &[cut]).unwrap();
        let (start, rest) = found[0].0.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            start,
            format!("{head}Via: 1.1 stage5-mux\r\nTransfer-Encoding: chunked")
        );
        assert!(rest.starts_with("40\r\nzzz") && rest.ends_with("z\r\n0\r\n\r\n"));
        assert_eq!(
            rest.bytes().filter(|&byte| byte == b'z').count(),
            body.len()
        );
    }
}

#[test]
fn permission_to_send_a_body_is_given_once_and_not_too_early() {
    let head = |length| {
        format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut reader = framing().requests();
    let mut request = Vec::new();
    let taken = reader.take(head(5).as_bytes(), &mut request).unwrap();
    assert_eq!(taken.status, Status::Partial);
    assert_eq!(
        reader.take_interim(),
        Some(&b"HTTP/1.1 100 Continue\r\n\r\n"[..])
    );
    assert_eq!(reader.take_interim(), None);

    let mut reader = framing().requests();
    let taken = reader
        .take(head(MAX_BODY + 1).as_bytes(), &mut request)
        .unwrap();
    assert!(
        matches!(taken.status, Status::Full(_)),
        "the permission is deferred"
    );
    reader.stream(&mut request);
    assert!(reader.take_interim().is_some());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_cuts_change_nothing(
        input in proptest::collection::vec(prop_oneof![
            Just(b"\r\n".to_vec()), Just(b"\n".to_vec()), Just(b"GET / HTTP/1.1\r\n".to_vec()),
            Just(b"Host: a\r\n".to_vec()), Just(b"Content-Length: 3\r\n".to_vec()),
            Just(b"Transfer-Encoding: chunked\r\n".to_vec()), Just(b"3\r\nabc\r\n".to_vec()),
            Just(b"0\r\n\r\n".to_vec()), proptest::collection::vec(any::<u8>(), 0..8),
        ], 0..12),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let input = input.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(read(&input, &cuts), read(&input, &[]));
    }
}
