//! Exercise 4.12 through the library: the head of a request to an HTTP proxy, and what the target gets of it.

use harness::{Rng, Test, ensure, expect_bytes, expect_value};
use stage4_proxy::connect_error::ConnectError;
use stage4_proxy::ingress::Http;

use crate::handshakes::Talk;

/// The ingress, for clients without authentication.
fn http() -> Http {
    Http::default()
}

/// Shows the ingress a whole request.
fn ask(request: &str) -> Talk {
    Talk::of(&http(), &[request.as_bytes()])
}

/// A request with a URL and these fields, each with its line end.
fn request(method: &str, url: &str, fields: &str) -> String {
    format!("{method} {url} HTTP/1.1\r\n{fields}\r\n")
}

/// The lines of the head that the target gets.
#[track_caller]
fn passed_on(talk: &Talk) -> Vec<String> {
    let text = String::from_utf8_lossy(&talk.forward).into_owned();
    let head = text.split_once("\r\n\r\n").map(|(head, _)| head);
    let Some(head) = head else {
        harness::fail(format!("The target gets no whole head, but {text:?}."));
    };
    head.split("\r\n").map(str::to_owned).collect()
}

/// The values of a field in the head that the target gets.
#[track_caller]
fn values(talk: &Talk, name: &str) -> Vec<String> {
    let lines = passed_on(talk).into_iter();
    let fields = lines.filter_map(|line| {
        let (field, value) = line.split_once(": ")?;
        field.eq_ignore_ascii_case(name).then(|| value.to_owned())
    });
    fields.collect()
}

#[test]
fn e4_12_a_url_becomes_a_path() {
    let _test = Test::begin(
        "A proxy is asked with a whole URL. The target gets the path, as if the client had come directly.",
    );
    let table = [
        ("http://example.org/a/b", "/a/b", "example.org:80"),
        ("http://example.org/a?b=c/d", "/a?b=c/d", "example.org:80"),
        ("http://example.org", "/", "example.org:80"),
        ("http://example.org?q", "/?q", "example.org:80"),
        ("http://example.org/a#part", "/a", "example.org:80"),
        ("HTTP://example.org:8080/", "/", "example.org:8080"),
        ("http://example.org:/x", "/x", "example.org:80"),
        ("http://[2001:db8::1]/", "/", "[2001:db8::1]:80"),
        ("http://[2001:db8::1]:81/", "/", "[2001:db8::1]:81"),
        ("http://192.0.2.1/http://x/", "/http://x/", "192.0.2.1:80"),
    ];
    for (url, path, target) in table {
        let talk = ask(&request("GET", url, ""));
        assert_eq!(talk.target.as_deref(), Some(target), "the target of {url}");
        let first = &passed_on(&talk)[0];
        assert_eq!(first, &format!("GET {path} HTTP/1.1"), "of {url}");
    }
}

#[test]
fn e4_12_options_of_a_whole_server_have_a_star() {
    let _test =
        Test::begin("OPTIONS without a path means the server itself: RFC 9112 section 3.2.4.");
    let talk = ask(&request("OPTIONS", "http://example.org:81", ""));
    assert_eq!(
        passed_on(&talk)[0],
        "OPTIONS * HTTP/1.1",
        "a URL without a path, asked with OPTIONS"
    );
    let talk = ask(&request("OPTIONS", "http://example.org/a", ""));
    assert_eq!(
        passed_on(&talk)[0],
        "OPTIONS /a HTTP/1.1",
        "a URL with a path, asked with OPTIONS"
    );
}

#[test]
fn e4_12_the_host_is_that_of_the_url() {
    let _test =
        Test::begin("A proxy must ignore the Host that it has received: RFC 9112 section 3.2.2.");
    for (url, host) in [
        ("http://example.org/", "example.org"),
        ("http://example.org:8080/", "example.org:8080"),
    ] {
        for fields in ["Host: elsewhere\r\n", "hOST: elsewhere\r\n", ""] {
            let talk = ask(&request("GET", url, fields));
            assert_eq!(values(&talk, "Host"), [host], "with {fields:?}");
        }
    }
}

#[test]
fn e4_12_only_the_last_request_of_a_connection_asks_the_target_to_close() {
    let _test = Test::begin(
        "The target's connection is kept for the client's next request; `is_last` says that there is none.",
    );
    let url = "http://example.org/";
    let old = format!("GET {url} HTTP/1.0\r\n\r\n");
    for (request, expected) in [
        (request("GET", url, ""), None),
        (request("GET", url, "Connection: keep-alive\r\n"), None),
        (request("GET", url, "Connection: close\r\n"), Some("close")),
        (old, Some("close")),
    ] {
        let talk = Talk::of(&http().keeping_targets(), &[request.as_bytes()]);
        let seen = values(&talk, "Connection");
        ensure(
            seen == Vec::from_iter(expected),
            format!(
                "For {request:?}, Connection must be {expected:?} to the target, and is {seen:?}."
            ),
        );
    }
}

#[test]
fn e4_12_fields_for_one_connection_go_no_further() {
    let _test = Test::begin(
        "Connection lists more fields that concern this connection only: RFC 9110 section 7.6.1.",
    );
    let fields = "Cookie: a=b\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\n\
                  Keep-Alive: timeout=5\r\nTE: trailers\r\nUpgrade: h2c\r\nConnection: close, X-Mine\r\n\
                  X-Mine: 1\r\nX-Other: 2\r\nconnection: x-two\r\nX-Two: 3\r\n";
    let talk = ask(&request("GET", "http://example.org/", fields));
    for name in [
        "Proxy-Connection",
        "Proxy-Authorization",
        "Keep-Alive",
        "TE",
        "Upgrade",
        "X-Mine",
        "X-Two",
    ] {
        let seen = values(&talk, name);
        assert!(seen.is_empty(), "{name} is for the proxy only: {seen:?}");
    }
    assert_eq!(
        values(&talk, "Cookie"),
        ["a=b"],
        "the values of the field Cookie"
    );
    assert_eq!(
        values(&talk, "X-Other"),
        ["2"],
        "the values of the field X-Other"
    );
    let why = "the target is asked to close after its response, and only once";
    assert_eq!(values(&talk, "Connection"), ["close"], "{why}");
    assert_eq!(
        values(&talk, "Via"),
        ["1.1 stage4-proxy"],
        "the values of the field Via"
    );
}

#[test]
fn e4_12_the_version_is_the_client_s() {
    let _test = Test::begin(
        "A target answers HTTP/1.1 with chunks, which a client of HTTP/1.0 cannot read: pass its version on.",
    );
    for version in ["1.0", "1.1"] {
        let talk = ask(&format!("GET http://example.org/ HTTP/{version}\r\n\r\n"));
        expect_value(
            format!("The first line that the target gets of a client of HTTP/{version}"),
            &format!("GET / HTTP/{version}"),
            &passed_on(&talk)[0],
            "the version is that of the proxy.",
        );
        expect_value(
            format!("Via, for a client of HTTP/{version}"),
            &vec![format!("{version} stage4-proxy")],
            &values(&talk, "Via"),
            "Via names the version in which the request came (RFC 9110 section 7.6.3).",
        );
    }
}

#[test]
fn e4_12_max_forwards_counts_for_two_methods() {
    let _test = Test::begin(
        "Max-Forwards is about TRACE and OPTIONS only: RFC 9110 section 7.6.2. Elsewhere it is a field like any other.",
    );
    let fields = "Max-Forwards: 5\r\n";
    for (method, expected) in [
        ("GET", "5"),
        ("POST", "5"),
        ("OPTIONS", "4"),
        ("TRACE", "4"),
    ] {
        let talk = ask(&request(method, "http://example.org/", fields));
        expect_value(
            format!("Max-Forwards that the target gets for {method}, where the client has sent 5,"),
            &vec![expected.to_owned()],
            &values(&talk, "Max-Forwards"),
            "the client's field is left out without `hops`, or it stays beside the new one with them.",
        );
    }
}

#[test]
fn e4_12_a_value_is_bytes_and_not_text() {
    let _test = Test::begin(
        "A value may have bytes above 127 that are not UTF-8 (RFC 9110 section 5.5): copy the bytes.",
    );
    let field = b"X-Name: caf\xe9\r\n";
    let request = [b"GET http://example.org/ HTTP/1.1\r\n", &field[..], b"\r\n"].concat();
    let talk = Talk::of(&http(), &[&request]);
    let is_there = talk.forward.windows(field.len()).any(|part| part == field);
    ensure(
        is_there,
        format!(
            "The client has sent \"{}\", but the target gets \"{}\". A likely cause: the value has become a String on its way, \
             where each byte that is not UTF-8 becomes U+FFFD.",
            field.escape_ascii(),
            talk.forward.escape_ascii()
        ),
    );
}

#[test]
fn e4_12_the_length_of_a_body_cannot_be_taken_away() {
    let _test = Test::begin(
        "Without its length, the target would take the body for another request: that is smuggling.",
    );
    let fields = "Connection: content-length\r\nContent-Length: 5\r\n";
    let talk = ask(&(request("POST", "http://example.org/", fields) + "hello"));
    assert_eq!(
        values(&talk, "Content-Length"),
        ["5"],
        "the values of the field Content-Length"
    );
    ensure(
        talk.forward.ends_with(b"\r\n\r\nhello"),
        "The body follows its head, byte by byte as it came.",
    );
}

#[test]
fn e4_12_the_head_of_a_tunnel_is_the_proxy_s() {
    let _test = Test::begin(
        "CONNECT: the target gets nothing of the head, and all that is behind it, whatever it looks like.",
    );
    let mut rng = Rng::for_test();
    let payload = [b"GET / HTTP/1.1\r\n\r\n", &rng.nonce(20)[..]].concat();
    let head = request("CONNECT", "example.org:443", "Host: example.org:443\r\n");
    let all = [head.as_bytes(), &payload].concat();
    for cut in 0..=all.len() {
        let talk = Talk::of(&http(), &[&all[..cut], &all[cut..]]);
        assert_eq!(
            talk.target.as_deref(),
            Some("example.org:443"),
            "the target of the request"
        );
        expect_bytes("The head that the target gets", b"", &talk.forward);
        let what = format!("The rest, which is for the target (cut at {cut}),");
        expect_bytes(&what, &payload, talk.rest());
        expect_bytes("The reply before the target is connected", b"", &talk.reply);
    }
}

#[test]
fn e4_12_the_reply_that_opens_a_tunnel_has_no_body() {
    let _test = Test::begin("What follows the empty line is the target's: RFC 9110 section 9.3.6.");
    let mut talk = ask(&request("CONNECT", "example.org:443", ""));
    let reply = String::from_utf8_lossy(&talk.connected(None)).into_owned();
    ensure(
        reply.starts_with("HTTP/1.1 200 ") && reply.ends_with("\r\n\r\n"),
        format!("{reply:?} is no head with the status 200."),
    );
    let lower = reply.to_ascii_lowercase();
    for field in ["content-length", "transfer-encoding"] {
        ensure(
            !lower.contains(field),
            format!("{reply:?} must not have {field}, because it has no body."),
        );
    }
    let mut talk = ask(&request("GET", "http://example.org/", ""));
    let reply = talk.connected(None);
    expect_bytes(
        "The reply to a GET, which is the target's own,",
        b"",
        &reply,
    );
}

#[test]
fn e4_12_a_head_may_be_cut_anywhere() {
    let _test = Test::begin("The empty line may come in two reads, or in four.");
    let head = request("GET", "http://example.org/a", "Cookie: a=b\r\n");
    let whole = ask(&head);
    for cut in 1..head.len() {
        let (first, second) = head.as_bytes().split_at(cut);
        let mut talk = Talk::of(&http(), &[first]);
        ensure(
            !talk.is_over(),
            format!("{cut} bytes are only the beginning of a head: wait for the rest."),
        );
        talk.hear(second);
        expect_bytes(
            "The head that the target gets",
            &whole.forward,
            &talk.forward,
        );
    }
}

#[test]
fn e4_12_what_cannot_be_passed_on_is_told_in_http() {
    let _test = Test::begin("A client of HTTP understands a status and a sentence.");
    let table = [
        (request("GET", "/", "Host: example.org\r\n"), 400),
        (request("GET", "example.org", ""), 400),
        (request("GET", "https://example.org/", ""), 501),
        (request("GET", "/http://example.org/", ""), 400),
        (request("GET", "http:///x", ""), 400),
        (request("GET", "http://example.org:0/", ""), 400),
        (request("GET", "http://[fe80::1%25eth0]/", ""), 400),
        (request("CONNECT", "example.org", ""), 400),
        (request("CONNECT", "http://example.org/", ""), 400),
        (
            "GET http://example.org/ HTTP/1.1\nA: b\r\n\r\n".to_owned(),
            400,
        ),
    ];
    for (request, code) in table {
        let talk = ask(&request);
        ensure(
            talk.refused,
            format!("{request:?} names no target that can be reached."),
        );
        let reply = String::from_utf8_lossy(&talk.reply).into_owned();
        let expected = format!("HTTP/1.1 {code} ");
        ensure(
            reply.starts_with(&expected),
            format!("The reply to {request:?} is {code}, not {reply:?}."),
        );
    }
    let reply = ask(&request("CONNECT", "example.org:1", "")).failed(&ConnectError::Refused);
    let reply = String::from_utf8_lossy(&reply).into_owned();
    ensure(
        reply.starts_with("HTTP/1.1 502 ") && reply.contains("connection refused"),
        format!("A target that cannot be reached is a 502 with its reason, not {reply:?}."),
    );
}
