//! Heads whose body could end at two places, and fields that go no further.

use super::*;

fn with<T>(text: &str, then: impl FnOnce(&[Header<'_>]) -> T) -> T {
    let mut room = [httparse::EMPTY_HEADER; 16];
    match httparse::parse_headers(text.as_bytes(), &mut room) {
        Ok(httparse::Status::Complete((_, fields))) => then(fields),
        other => panic!("{text:?}: {other:?}"),
    }
}

fn body_of(text: &str, minor: u8) -> Result<Option<Body>, Flaw> {
    with(&format!("{text}\r\n"), |fields| {
        body(fields, minor, Blanks::Refused)
    })
}

#[test]
fn the_fields_announce_one_body() {
    let chunks = Some(Body::chunked(Blanks::Refused));
    for (text, minor, expected) in [
        ("A: b\r\n", 1, None),
        ("Content-Length: 0\r\n", 1, Some(Body::Length(0))),
        ("content-LENGTH: 007\r\n", 0, Some(Body::Length(7))),
        (
            "Content-Length: 18446744073709551615\r\n",
            1,
            Some(Body::Length(u64::MAX)),
        ),
        ("Transfer-Encoding: chunked\r\n", 1, chunks),
        ("transfer-encoding:  CHUNKED \r\n", 1, chunks),
    ] {
        assert_eq!(body_of(text, minor), Ok(expected), "{text:?}");
    }
}

#[test]
fn fields_that_two_parsers_could_read_differently_are_flaws() {
    for (text, word) in [
        ("Content-Length: 5\r\nContent-Length: 5\r\n", "twice"),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", "twice"),
        ("Content-Length: 5, 5\r\n", "number"),
        ("Content-Length: +5\r\n", "number"),
        ("Content-Length: -5\r\n", "number"),
        ("Content-Length: 0x5\r\n", "number"),
        ("Content-Length: 5 5\r\n", "number"),
        ("Content-Length: 5.0\r\n", "number"),
        ("Content-Length:\r\n", "number"),
        ("Content-Length: 18446744073709551616\r\n", "number"),
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "both",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "both",
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "twice",
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "twice",
        ),
        ("Transfer-Encoding: chunked, identity\r\n", "last"),
        ("Transfer-Encoding: identity\r\n", "last"),
        ("Transfer-Encoding: xchunked\r\n", "last"),
        ("Transfer-Encoding: chunked;a=b\r\n", "last"),
        ("Transfer-Encoding: \"chunked\"\r\n", "last"),
        ("Transfer-Encoding:\r\n", "last"),
        ("Transfer-Encoding: ,\r\n", "last"),
    ] {
        match body_of(text, 1) {
            Err(flaw @ Flaw::Ambiguous(_)) => assert!(flaw.reason().contains(word), "{text:?}"),
            other => panic!("{text:?}: {other:?}"),
        }
    }
    for coded in ["gzip, chunked", "chunked, chunked", ", chunked"] {
        let text = format!("Transfer-Encoding: {coded}\r\n");
        assert_eq!(body_of(&text, 1), Err(Flaw::UnknownCoding), "{text:?}");
    }
    let old = body_of("Transfer-Encoding: chunked\r\n", 0);
    assert!(matches!(old, Err(Flaw::Ambiguous(_))), "{old:?}");
}

#[test]
fn the_fields_of_one_connection_are_known_or_named() {
    let text = "Connection: X-Mine , content-length\r\nconnection: close\r\nx-mine: 1\r\nContent-Length: 3\r\n\
                X-Other: 2\r\nProxy-Authenticate: Basic\r\nte: trailers\r\nTrailer: A\r\n\r\n";
    with(text, |fields| {
        let stay = |field: &&Header<'_>| !is_for_one_connection(field, fields);
        let names: Vec<_> = fields.iter().filter(stay).map(|field| field.name).collect();
        assert_eq!(names, ["Content-Length", "X-Other", "Trailer"]);
        for (option, has_it) in [("close", true), ("x-mine", true), ("x", false)] {
            assert_eq!(has_connection_option(fields, option), has_it, "{option}");
        }
    });
}
