//! The bytes of one request, and those behind it.

use super::*;

use crate::http::body::Blanks;
use crate::http::response::Asked;

#[test]
fn bytes_behind_the_body_are_kept_for_the_next_request() {
    let chunked = Body::chunked(Blanks::Refused);
    for (body, input, length) in [
        (Body::Length(5), &b"hello GET /"[..], 5),
        (Body::NONE, b"GET /", 0),
        (chunked, b"1\r\nx\r\n0\r\n\r\nGET /", 11),
    ] {
        for cut in 0..=input.len() {
            let mut upload = Upload::new(body);
            let mut passed = Vec::new();
            for piece in [&input[..cut], &input[cut..]] {
                let sight = upload.look(piece).unwrap();
                assert_eq!(sight.before, b"");
                passed.extend_from_slice(&piece[sight.verbatim]);
            }
            assert_eq!(passed, &input[..length]);
            assert!(upload.is_over() && upload.may_end());
            assert_eq!(upload.take_surplus(), &input[length..]);
            assert_eq!(upload.take_surplus(), b"", "they are given once");
        }
    }
}

#[test]
fn a_client_is_kept_if_both_messages_are_complete_and_both_sides_know_it() {
    let kept = |persistent, body, response: &[u8]| {
        let asked = Asked {
            head_only: false,
            minor: 1,
            persistent,
        };
        let mut exchange = Exchange::new(Upload::new(body), Response::new(asked), None);
        exchange.response.look(response).unwrap();
        exchange.keeps_client()
    };
    let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    assert!(kept(true, Body::NONE, whole));
    assert!(!kept(false, Body::NONE, whole));
    assert!(!kept(true, Body::Length(1), whole));
    assert!(!kept(true, Body::NONE, &whole[..whole.len() - 1]));
    assert!(!kept(true, Body::NONE, b"HTTP/1.1 200 OK\r\n\r\nok"));
}
