//! Exercises 5.4 and 5.5 through the library: the fields of a head, and the end of a body.

use harness::Test;
use stage5_mux::queue::framing::{
    EndOfInput, Ending, Framing, InvalidResponse, Keep, Persistence, Refusal, Requests, Responses,
    Status,
};
use stage5_mux::queue::http1::{Http1, Http1Responses};

fn http1() -> Http1 {
    Http1::new("upstream.test".to_owned(), 64 * 1024, 1024 * 1024)
}

/// Returns a request without a body as the upstream gets it, and whether its client's connection is kept.
#[track_caller]
fn rewritten(request: &str) -> (String, bool) {
    let mut out = Vec::new();
    let taken = http1().requests().take(request.as_bytes(), &mut out);
    let taken = taken.unwrap_or_else(|refusal| panic!("{request:?} is refused: {refusal}"));
    let Status::Complete(summary) = taken.status else {
        panic!("{request:?} is {:?}", taken.status)
    };
    (String::from_utf8(out).expect("text"), summary.persistent)
}

/// Reads a request with these field lines.
fn with_fields(fields: &str) -> Result<(), Refusal> {
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    let taken = http1().requests().take(head.as_bytes(), &mut Vec::new());
    taken.map(|_| ())
}

// ---- exercise 5.4: the fields of a head ----

#[test]
fn e54_what_concerns_one_connection_ends_here() {
    let _test = Test::begin("Connection names the fields that belong to this connection only.");
    let (request, persistent) = rewritten(
        "GET /a HTTP/1.1\r\nHost: x\r\nX-First: 1\r\nX-Own: 2\r\nConnection: x-own ,X-OTHER, keep-alive\r\n\
         x-other: 3\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Connection: close\r\nX-Last: 4\r\n\r\n",
    );
    let expected =
        "GET /a HTTP/1.1\r\nHost: x\r\nX-First: 1\r\nX-Last: 4\r\nVia: 1.1 stage5-mux\r\n\r\n";
    assert_eq!(request, expected, "the request that the upstream gets");
    assert!(persistent, "no option says close");
    let (request, _) = rewritten(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Own: 1\r\nConnection: , ,x-own\r\n\r\n",
    );
    assert!(!request.contains("X-Own"), "{request:?}");
    let (request, _) =
        rewritten("GET / HTTP/1.1\r\nHost: x\r\nConnection: own\r\nX-Own: 1\r\n\r\n");
    assert!(
        request.contains("X-Own: 1\r\n"),
        "another name: {request:?}"
    );
}

#[test]
fn e54_an_offer_to_upgrade_ends_here_and_the_request_does_not() {
    let _test = Test::begin("A server may ignore an Upgrade; only WebSocket needs the tunnel.");
    for fields in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n",
        "Upgrade: TLS/1.0\r\nConnection: x, upgrade\r\n",
        "Upgrade: websocket\r\n",
        "Upgrade: websocket\r\nConnection: keep-alive\r\n",
    ] {
        let (request, persistent) =
            rewritten(&format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n"));
        let expected = "GET / HTTP/1.1\r\nHost: x\r\nVia: 1.1 stage5-mux\r\n\r\n";
        assert_eq!(
            (request.as_str(), persistent),
            (expected, true),
            "{fields:?}"
        );
    }
    for fields in [
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n",
        "Upgrade: h2c, websocket\r\nConnection: x\r\nConnection: upgrade\r\n",
    ] {
        let refused = matches!(with_fields(fields), Err(Refusal::NotPossible(_)));
        assert!(refused, "{fields:?}: {:?}", with_fields(fields));
    }
}

#[test]
fn e54_whether_a_client_s_connection_goes_on() {
    let _test = Test::begin(
        "HTTP/1.1 keeps the connection unless told to close, HTTP/1.0 closes unless told to keep.",
    );
    for (version, fields, goes_on) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "connection: Close\r\n", false),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: x\r\nConnection:close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.1", "X-Connection: close\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let head = format!("GET / HTTP/{version}\r\nHost: x\r\n{fields}\r\n");
        let (request, persistent) = rewritten(&head);
        assert_eq!(persistent, goes_on, "{head:?}");
        assert!(
            !request.to_lowercase().contains("\nconnection:"),
            "{request:?}"
        );
    }
}

#[test]
fn e54_a_length_is_one_plain_number() {
    let _test = Test::begin("Refuse every length that another parser could read differently.");
    let bad = |fields: &str| {
        let refused = matches!(with_fields(fields), Err(Refusal::BadRequest(_)));
        assert!(refused, "{fields:?}: {:?}", with_fields(fields));
    };
    for good in ["0", "6", "18446744073709551615"] {
        assert_eq!(
            with_fields(&format!("Content-Length: {good}\r\n")),
            Ok(()),
            "a length of digits only"
        );
    }
    let huge = with_fields("Content-Length: 18446744073709551616\r\n");
    assert_eq!(huge, Err(Refusal::TooLarge), "more than 64 bits");
    for value in ["", "+6", "-6", "6 6", "6,6", "6, 6", "0x6", "6.0", "six"] {
        bad(&format!("Content-Length: {value}\r\n"));
    }
    bad("Content-Length: 6\r\nContent-Length: 6\r\n");
    bad("Content-Length: 6\r\ncontent-length: 7\r\n");
}

#[test]
fn e54_chunked_stands_once_and_alone() {
    let _test = Test::begin("Only a body whose last coding is chunked has an end.");
    let coding = |value: &str| with_fields(&format!("Transfer-Encoding: {value}\r\n"));
    for good in ["chunked", "Chunked"] {
        assert_eq!(coding(good), Ok(()), "{good:?} is chunked, once and alone");
    }
    for unknown in ["gzip, chunked", "chunked, chunked", "gzip,chunked"] {
        let refused = matches!(coding(unknown), Err(Refusal::NotPossible(_)));
        assert!(refused, "{unknown:?}: {:?}", coding(unknown));
    }
    for bad in [
        "",
        "identity",
        "chunked, gzip",
        "xchunked",
        "chunked;a",
        "chunked,",
    ] {
        let refused = matches!(coding(bad), Err(Refusal::BadRequest(_)));
        assert!(refused, "{bad:?}: {:?}", coding(bad));
    }
    for fields in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let refused = matches!(with_fields(fields), Err(Refusal::BadRequest(_)));
        assert!(refused, "{fields:?}");
    }
}

// ---- exercise 5.5: the end of a body ----

fn responses_to(method: &str) -> Http1Responses {
    let framing = http1();
    let head = format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n");
    let taken = framing
        .requests()
        .take(head.as_bytes(), &mut Vec::new())
        .expect("a request");
    let Status::Complete(summary) = taken.status else {
        panic!("a request without a body is complete")
    };
    framing.responses(summary)
}

/// Feeds a response byte by byte; once it is complete, returns its length and the connections that are kept.
fn end_of(method: &str, bytes: &[u8]) -> Result<Option<(usize, Keep)>, InvalidResponse> {
    let mut reader = responses_to(method);
    let (mut used, mut out) = (0, Vec::new());
    for count in 1..=bytes.len() {
        let passage = reader.take(&bytes[used..count], Persistence::Keep, &mut out)?;
        used += passage.used;
        if let Some(keep) = passage.end {
            return Ok(Some((used, keep)));
        }
    }
    Ok(None)
}

#[test]
fn e55_how_long_a_response_is() {
    let _test = Test::begin(
        "In this order: HEAD, 204 and 304, chunks, a length, the end of the connection.",
    );
    let chunked = "Transfer-Encoding: chunked\r\n";
    let five = "Content-Length: 5\r\n";
    let none = Some(0);
    for (method, code, fields, body, ends_at) in [
        ("GET", 200, five, "hello", Some(5)),
        ("GET", 404, five, "hello", Some(5)),
        ("GET", 200, "Content-Length: 0\r\n", "", none),
        ("HEAD", 200, five, "", none),
        ("HEAD", 200, chunked, "", none),
        ("HEAD", 200, "", "", none),
        ("GET", 204, "", "", none),
        ("GET", 204, five, "", none),
        ("GET", 304, five, "", none),
        ("GET", 304, chunked, "", none),
        ("GET", 200, chunked, "5\r\nhello\r\n0\r\n\r\n", Some(15)),
        ("GET", 205, chunked, "0\r\n\r\n", Some(5)),
        ("GET", 200, "", "hello", None),
    ] {
        let head = format!("HTTP/1.1 {code} X\r\n{fields}\r\n");
        let bytes = [head.as_bytes(), body.as_bytes(), b"HTTP/1.1 200 OK"].concat();
        let end = end_of(method, &bytes).expect("a response");
        let expected = ends_at.map(|length| head.len() + length);
        assert_eq!(end.map(|(used, _)| used), expected, "{method} {head:?}");
    }
}

#[test]
fn e55_what_has_no_length_ends_with_the_connection_and_only_cleanly() {
    let _test = Test::begin("A FIN delimits the body; a reset does not.");
    let mut reader = responses_to("GET");
    let taken = reader.take(
        b"HTTP/1.1 200 OK\r\n\r\nall of it",
        Persistence::Keep,
        &mut Vec::new(),
    );
    assert_eq!(
        taken.map(|passage| passage.end),
        Ok(None),
        "a response without a length goes on"
    );
    assert_eq!(
        reader.end_of_input(EndOfInput::Fin),
        Ending::Complete,
        "the end of the connection is its end"
    );
    assert_eq!(
        reader.end_of_input(EndOfInput::Error),
        Ending::Hidden,
        "a connection that breaks is no end"
    );
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn e55_chunks_end_where_they_say() {
    let _test =
        Test::begin("Chunks: size, data, size, data, a size of 0, trailers, an empty line.");
    for body in [
        "0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
        "5\r\n0\r\n\r\n\r\n0\r\n\r\n",
        "00a\r\n0123456789\r\n000\r\n\r\n",
        "A;name=value\r\n0123456789\r\n0;last\r\n\r\n",
        "1 ;x=\"a;b\"\r\n!\r\n0\r\n\r\n",
        "1\r\n!\r\n0\r\nChecksum: 1\r\nX:\r\n\r\n",
        "1\r\n\r\r\n0\r\n\r\n",
    ] {
        let bytes = format!("{CHUNKED}{body}HTTP/1.1 200 OK\r\n");
        let end = end_of("GET", bytes.as_bytes()).expect("a response");
        let (used, keep) = end.unwrap_or_else(|| panic!("{body:?} has no end"));
        assert_eq!(used, CHUNKED.len() + body.len(), "{body:?}");
        let expected = Keep {
            upstream: true,
            client: true,
        };
        assert_eq!(keep, expected, "{body:?}");
    }
}

#[test]
fn e55_chunks_that_two_parsers_could_read_differently_are_refused() {
    let _test = Test::begin(
        "Two parsers read the chunks, ours and the upstream's: refuse what they could read differently.",
    );
    for body in [
        "\r\n",
        "g\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\n",
        " 1\r\n",
        "1\n",
        "1\r!",
        "1;a\n",
        "1\r\n!!",
        "1\r\n!\n",
        "1\r\n!\r!",
        "0\r\n\n",
        "0\r\n a: b\r\n",
        "0\r\n: b\r\n",
        "0\r\na: b\n",
        "0\r\n\r!",
        "1000000000000000\r\n",
    ] {
        let bytes = format!("{CHUNKED}{body}");
        let end = end_of("GET", bytes.as_bytes());
        assert!(end.is_err(), "{body:?}: {end:?}");
    }
    let endless = format!("{CHUNKED}1;{}\r\n", "x".repeat(2000));
    assert!(end_of("GET", endless.as_bytes()).is_err(), "a bound");
    let endless = format!("{CHUNKED}0\r\n{}", "a: b\r\n".repeat(10_000));
    assert!(end_of("GET", endless.as_bytes()).is_err(), "a bound");
}
