//! Fields that cannot be trusted.

use super::*;
use crate::queue::framing::Refusal;

fn fields(text: &'static str) -> Result<Fields<'static>, Flaw> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    match httparse::parse_headers(text.as_bytes(), &mut headers) {
        Ok(httparse::Status::Complete((_, headers))) => Fields::collect(headers),
        other => panic!("{text:?}: {other:?}"),
    }
}

#[test]
fn contradictions_and_repetitions_are_errors() {
    for text in [
        "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "Content-Length: 5, 5\r\n\r\n",
        "Content-Length: +5\r\n\r\n",
        "Content-Length: -5\r\n\r\n",
        "Content-Length: 0x5\r\n\r\n",
        "Content-Length: 5 5\r\n\r\n",
        "Content-Length:\r\n\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n",
        "Transfer-Encoding: identity\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n",
        "Transfer-Encoding:\r\n\r\n",
        "Host: a\r\nHost: a\r\n\r\n",
    ] {
        assert!(matches!(fields(text), Err(Flaw::Bad(_))), "{text:?}");
    }
    let coded = fields("Transfer-Encoding: gzip, chunked\r\n\r\n");
    assert_eq!(coded.err(), Some(Flaw::UnknownCoding));
    let large = fields("Content-Length: 99999999999999999999\r\n\r\n");
    assert_eq!(large.err(), Some(Flaw::TooLarge));
}

#[test]
fn what_the_fields_say_is_collected() {
    let all = "CONNECTION: Keep-Alive, close ,x-own\r\ncontent-length: 007\r\nHOST: h\r\nexpect: e\r\n\r\n";
    let got = fields(all).unwrap();
    assert_eq!(got.content_length, Some(7));
    assert_eq!((got.host, got.expect), (Some(&b"h"[..]), Some(&b"e"[..])));
    assert!(got.close && got.keep_alive && got.nominates && !got.chunked);
    assert!(
        fields("Transfer-Encoding: Chunked\r\n\r\n")
            .unwrap()
            .chunked
    );
}

#[test]
fn only_a_named_websocket_asks_for_a_tunnel() {
    for (text, asks) in [
        ("Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", true),
        (
            "Connection: x, uPGRADE\r\nupgrade: h2c, WebSocket/13\r\n\r\n",
            true,
        ),
        (
            "Upgrade: a\r\nUpgrade: websocket\r\nUpgrade: b\r\nConnection: upgrade\r\n\r\n",
            true,
        ),
        ("Upgrade: websocket\r\n\r\n", false),
        ("Upgrade: websocket\r\nConnection: close\r\n\r\n", false),
        (
            "Upgrade: websocket2, h2c/websocket\r\nConnection: upgrade\r\n\r\n",
            false,
        ),
        ("Upgrade:\r\nConnection: upgrade\r\n\r\n", false),
        ("Connection: upgrade, websocket\r\n\r\n", false),
    ] {
        let fields = fields(text).unwrap();
        assert_eq!(fields.asks_for_websocket, asks, "{text:?}");
    }
}

#[test]
fn the_sentences_name_the_number_of_fields() {
    let number = format!(" {MAX_FIELDS} ");
    for sentence in [TOO_MANY_FIELDS, &Refusal::TooManyFields.to_string()] {
        assert!(sentence.contains(&number), "{sentence:?}");
    }
}
