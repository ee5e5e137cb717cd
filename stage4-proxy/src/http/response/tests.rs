//! Responses as a table, cut at every byte, and arbitrary bytes in any pieces.

use super::*;

use proptest::prelude::*;

const GET: Asked = Asked {
    head_only: false,
    minor: 1,
    persistent: true,
};
const HEAD: Asked = Asked {
    head_only: true,
    ..GET
};
const LAST: Asked = Asked {
    persistent: false,
    ..GET
};
const OLD: Asked = Asked {
    minor: 0,
    persistent: false,
    ..GET
};

/// Reads `input` in pieces that end at `cuts`; returns the reader and what the client gets.
fn read(asked: Asked, input: &[u8], cuts: &[usize]) -> Result<(Response, Vec<u8>), Invalid> {
    let mut response = Response::new(asked);
    let mut out = Vec::new();
    let mut begin = 0;
    for &cut in cuts.iter().chain([&input.len()]) {
        if response.is_over() {
            break;
        }
        let piece = &input[begin..cut];
        let sight = response.look(piece)?;
        out.extend_from_slice(&sight.before);
        out.extend_from_slice(&piece[sight.verbatim]);
        begin = cut;
    }
    Ok((response, out))
}

/// What the client gets of a response, whether it is complete, and whether the client's connection is kept.
#[track_caller]
fn check(asked: Asked, input: &str, expected: &str, is_over: bool, keeps: bool) {
    for cut in 0..=input.len() {
        let (response, out) = read(asked, input.as_bytes(), &[cut]).unwrap();
        assert_eq!(String::from_utf8_lossy(&out), expected, "cut at {cut}");
        assert_eq!(response.is_over(), is_over, "{input:?}");
        assert_eq!(response.keeps_client(), keeps, "{input:?}");
    }
}

#[test]
fn a_response_ends_where_its_head_says() {
    let via = "Via: 1.1 stage4-proxy\r\n";
    let ok = "HTTP/1.1 200 OK\r\n";
    for (asked, head, body) in [
        (GET, "Content-Length: 2\r\n", "ok"),
        (GET, "Content-Length: 0\r\n", ""),
        (
            GET,
            "Transfer-Encoding: chunked\r\n",
            "1\r\nx\r\n0\r\nA: b\r\n\r\n",
        ),
        (HEAD, "Content-Length: 2\r\n", ""),
        (HEAD, "Transfer-Encoding: chunked\r\n", ""),
        (HEAD, "", ""),
    ] {
        let input = format!("{ok}{head}\r\n{body}surplus");
        let expected = format!("{ok}{head}{via}\r\n{body}");
        check(asked, &input, &expected, true, true);
        let close = format!("{ok}{head}{via}Connection: close\r\n\r\n{body}");
        let last = Asked {
            persistent: false,
            ..asked
        };
        check(last, &input, &close, true, false);
    }
    let input = format!("{ok}\r\nuntil the end");
    let expected = format!("{ok}{via}Connection: close\r\n\r\nuntil the end");
    check(GET, &input, &expected, false, false);
}

#[test]
fn some_codes_have_no_body_whatever_their_fields_say() {
    let via = "Via: 1.1 stage4-proxy\r\n\r\n";
    for (head, length, expected) in [
        ("204 No Content", "Content-Length: 9\r\n", ""),
        ("204 No Content", "Transfer-Encoding: chunked\r\n", ""),
        (
            "304 Not Modified",
            "Content-Length: 9\r\n",
            "Content-Length: 9\r\n",
        ),
    ] {
        let input = format!("HTTP/1.1 {head}\r\n{length}\r\nHTTP/1.1 200 stale\r\n\r\n");
        let expected = format!("HTTP/1.1 {head}\r\n{expected}{via}");
        check(GET, &input, &expected, true, true);
    }
}

#[test]
fn interim_responses_pass_unless_the_client_does_not_know_them() {
    let interim = "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n";
    let last = "HTTP/1.1 204 No Content\r\n\r\n";
    let input = format!("{interim}{last}");
    let via = "Via: 1.1 stage4-proxy\r\n";
    let expected = format!(
        "HTTP/1.1 100 Continue\r\n{via}\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n{via}\r\n\
         HTTP/1.1 204 No Content\r\n{via}\r\n"
    );
    check(GET, &input, &expected, true, true);
    let old = format!("HTTP/1.1 204 No Content\r\n{via}Connection: close\r\n\r\n");
    check(OLD, &input, &old, true, false);
    let (response, _) = read(GET, interim.as_bytes(), &[]).unwrap();
    assert!(!response.has_begun(), "a refusal may still follow");
}

#[test]
fn a_head_is_rewritten_for_the_connection_to_the_client() {
    let input = "HTTP/1.0 200 Fine\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nX-Other: 2\r\n\
                 Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n";
    let expected =
        "HTTP/1.1 200 Fine\r\nX-Other: 2\r\nContent-Length: 0\r\nVia: 1.0 stage4-proxy\r\n\r\n";
    check(GET, input, expected, true, true);
    let later = "HTTP/1.7 299 \r\nContent-Length: 0\r\n\r\n";
    let expected = "HTTP/1.1 299 \r\nContent-Length: 0\r\nVia: 1.1 stage4-proxy\r\n\r\n";
    check(GET, later, expected, true, true);
}

#[test]
fn what_is_no_response_is_invalid() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(129));
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(MAX_HEAD));
    let table = [
        (GET, "220 ready\r\n\r\n", "head is not valid"),
        (GET, "HTTP/2.0 200 OK\r\n\r\n", "head is not valid"),
        (GET, "HTTP/1.1 200 OK\n\n", "LF"),
        (
            GET,
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "head is not valid",
        ),
        (GET, "HTTP/1.1 099 No\r\n\r\n", "status code"),
        (GET, "HTTP/1.1 101 Switching Protocols\r\n\r\n", "switches"),
        (
            GET,
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "twice",
        ),
        (
            GET,
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "both",
        ),
        (
            GET,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "chunked",
        ),
        (
            GET,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n",
            "hexadecimal",
        ),
        (
            GET,
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.0",
        ),
        (
            OLD,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.0",
        ),
        (GET, &many, "128 fields"),
        (GET, &long, "too large"),
    ];
    for (asked, input, word) in table {
        let Invalid(why) = read(asked, input.as_bytes(), &[]).unwrap_err();
        assert!(why.contains(word), "{input:?}: {why}");
    }
}

#[test]
fn only_a_body_without_a_length_ends_with_the_connection() {
    for (input, may_end) in [
        ("", false),
        ("HTTP/1.1 200 OK\r\n", false),
        ("HTTP/1.1 100 Continue\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", false),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            false,
        ),
    ] {
        let (response, _) = read(LAST, input.as_bytes(), &[]).unwrap();
        assert_eq!(response.may_end(), may_end, "{input:?}");
    }
}

/// Bytes of which many are responses.
fn likely() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 100 \r\n",
        "HTTP/1.0 304 \r\n",
        "\r\n",
        "\r\n",
        "\n",
        "0\r\n",
        "1\r\nx\r\n",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: a\r\n",
        "A: b\r\n",
        "abc",
        " ",
    ];
    let piece = prop::sample::select(pieces.to_vec());
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        input in prop_oneof![likely(), any::<Vec<u8>>()],
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        asked in prop::sample::select(vec![GET, HEAD, LAST, OLD]),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        let facts = |result: Result<(Response, Vec<u8>), Invalid>| {
            result.map(|(response, out)| (out, response.is_over(), response.keeps_client(), response.may_end()))
        };
        let whole = facts(read(asked, &input, &[]));
        prop_assert_eq!(facts(read(asked, &input, &cuts)), whole);
    }

    #[test]
    fn the_client_gets_one_complete_head(input in likely()) {
        if let Ok((response, out)) = read(LAST, &input, &[]) {
            let text = String::from_utf8_lossy(&out).into_owned();
            let ends = text.matches("Connection: close\r\n\r\n").count();
            prop_assert_eq!(ends, usize::from(response.has_begun()), "{:?}", text);
        }
    }
}
