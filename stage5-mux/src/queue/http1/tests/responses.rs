//! Responses: what the client gets, and where they end.

use crate::queue::framing::{
    EndOfInput, Ending, Framing as _, InvalidResponse, Keep, Persistence, Responses as _, Summary,
};
use crate::queue::http1::Http1;
use crate::queue::http1::details::{Details, Version};
use crate::queue::http1::head::TOO_MANY_FIELDS;

/// What a client asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    head_only: bool,
    version: Version,
    persistent: bool,
}

const GET: Asked = Asked {
    head_only: false,
    version: Version::Http11,
    persistent: true,
};
const HEAD: Asked = Asked {
    head_only: true,
    ..GET
};
const OLD: Asked = Asked {
    version: Version::Http10,
    ..GET
};

#[derive(Debug, Eq, PartialEq)]
struct Got {
    out: String,
    used: usize,
    end: Option<Keep>,
    ending: Ending,
}

/// Feeds `input` in pieces, what was not taken again with the next one.
fn read(asked: Asked, input: &[u8], cuts: &[usize]) -> Result<Got, InvalidResponse> {
    let summary = Summary {
        repeatable: true,
        persistent: asked.persistent,
        details: Details {
            head_only: asked.head_only,
            version: asked.version,
        },
    };
    let mut reader = Http1::new("upstream".to_owned(), 1024, 64).responses(summary);
    let (mut out, mut used, mut end) = (Vec::new(), 0, None);
    for &bound in cuts.iter().chain([&input.len()]) {
        if end.is_none() {
            let piece = &input[used..bound];
            let passage = reader.take(piece, Persistence::Keep, &mut out)?;
            out.extend_from_slice(&piece[passage.verbatim]);
            used += passage.used;
            end = passage.end;
        }
    }
    Ok(Got {
        out: String::from_utf8_lossy(&out).into_owned(),
        used,
        end,
        ending: reader.end_of_input(EndOfInput::Fin),
    })
}

const fn keep(upstream: bool, client: bool) -> Option<Keep> {
    Some(Keep { upstream, client })
}

#[rustfmt::skip]
const TABLE: [(Asked, &str, &str, Option<Keep>); 23] = [
    (GET, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello", keep(true, true)),
    (GET, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", keep(true, true)),
    (GET, "HTTP/1.0 200 Fine\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok", keep(false, true)),
    (GET, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", keep(true, true)),
    (GET, "HTTP/1.1 200 OK\r\nConnection: close, A\r\nA: b\r\nKeep-Alive: x\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", keep(false, true)),
    (GET, "HTTP/1.1 200 OK\r\nConnection: Content-Length\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", keep(true, true)),
    (GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nT: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nT: 1\r\n\r\n", keep(true, true)),
    (GET, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n", keep(true, true)),
    (GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", keep(true, true)),
    (GET, "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", keep(true, true)),
    (GET, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", keep(true, true)),
    (GET, "HTTP/1.1 100 Continue\r\n\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", keep(true, true)),
    (GET, "HTTP/1.1 103 Early Hints\r\nLink: x\r\nConnection: A\r\nA: b\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", keep(true, true)),
    (HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", keep(true, true)),
    (HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", keep(true, true)),
    (HEAD, "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", keep(true, true)),
    (OLD, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", keep(true, true)),
    (OLD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n2;x\r\nok\r\n1\r\n!\r\n0\r\nT: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok!", keep(true, false)),
    (OLD, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 204 No\r\nConnection: keep-alive\r\n\r\n", keep(true, true)),
    (Asked { persistent: false, ..GET }, "HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n", keep(true, false)),
    (Asked { head_only: true, ..OLD }, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", keep(true, true)),
    (GET, "HTTP/1.1 404 N\u{f6}\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 404 N\u{f6}\r\nContent-Length: 0\r\n\r\n", keep(true, true)),
    (GET, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nVia: 1.1 a\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nVia: 1.1 a\r\n\r\n", keep(true, true)),
];

#[test]
fn a_response_ends_where_it_ends_however_it_is_cut() {
    let second = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond";
    for (asked, input, expected, end) in TABLE {
        let whole = [input.as_bytes(), second].concat();
        for cut in 0..=whole.len() {
            let got = read(asked, &whole, &[cut]).unwrap();
            assert_eq!(got.out, expected, "{input:?} cut at {cut}");
            assert_eq!(
                (got.used, got.end),
                (input.len(), end),
                "{input:?} cut at {cut}"
            );
        }
        let every: Vec<usize> = (1..whole.len()).collect();
        let got = read(asked, &whole, &every).unwrap();
        assert_eq!(
            (got.out.as_str(), got.used),
            (expected, input.len()),
            "{input:?} byte by byte"
        );
    }
}

#[test]
fn what_has_no_length_ends_with_the_connection() {
    let input = b"HTTP/1.1 200 OK\r\n\r\nall there is";
    for cut in 0..=input.len() {
        let got = read(GET, input, &[cut]).unwrap();
        assert_eq!(
            got.out,
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall there is"
        );
        assert_eq!((got.end, got.ending), (None, Ending::Complete));
    }
}

#[test]
fn a_client_that_cannot_see_that_bytes_are_missing_is_reset() {
    let part = |asked, input: &str| read(asked, input.as_bytes(), &[]).unwrap().ending;
    assert_eq!(
        part(GET, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhe"),
        Ending::Truncated
    );
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhe";
    assert_eq!(part(GET, chunked), Ending::Truncated);
    assert_eq!(part(OLD, chunked), Ending::Hidden);
    assert_eq!(part(GET, "HTTP/1.1 200 OK\r\n"), Ending::Truncated);
}

#[test]
fn what_is_no_response_is_an_error_however_it_is_cut() {
    let large = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "a".repeat(1024));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a:\r\n".repeat(129));
    let refused = read(GET, many.as_bytes(), &[]);
    assert_eq!(refused, Err(InvalidResponse(TOO_MANY_FIELDS)));
    for input in [
        "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 000 Odd\r\n\r\n",
        "HTTP/1.1 099 Odd\r\n\r\n",
        "HTTP/1.1 600 Odd\r\n\r\n",
        "HTTP/1.1 999 Odd\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        &large,
    ] {
        for cut in 0..=input.len() {
            let got = read(GET, input.as_bytes(), &[cut]);
            assert!(got.is_err(), "{input:?} cut at {cut}: {got:?}");
        }
    }
}

#[test]
fn every_reply_of_our_own_is_a_response() {
    use crate::queue::framing::Refusal;
    let all = [
        Refusal::BadRequest("a"),
        Refusal::TooSlow,
        Refusal::TooLarge,
        Refusal::UnknownExpectation,
        Refusal::HeadTooLarge,
        Refusal::TooManyFields,
        Refusal::LastHop,
        Refusal::NotPossible("b"),
        Refusal::BadGateway("c"),
        Refusal::QueueFull,
        Refusal::UpstreamTimeout,
        Refusal::UnknownVersion,
    ];
    for refusal in all {
        let mut reply = Vec::new();
        Http1::refuse(refusal, None, Persistence::Close, &mut reply);
        let got = read(GET, &reply, &[]).unwrap();
        assert_eq!(
            (got.used, got.end),
            (reply.len(), keep(false, true)),
            "{refusal}"
        );
        let retry = got.out.contains("Retry-After: ");
        assert_eq!(retry, refusal == Refusal::QueueFull, "{}", got.out);
    }
}
