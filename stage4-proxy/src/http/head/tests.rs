//! Heads, cut at every place.

use super::*;

fn find(input: &[u8], cut: usize, max: usize) -> Result<Option<(usize, usize)>, NoHead> {
    let mut finder = HeadFinder::default();
    match finder.find(&input[..cut], max)? {
        None => finder.find(input, max),
        found => Ok(found),
    }
}

#[test]
fn a_head_ends_at_its_empty_line_however_it_is_cut() {
    let inputs: [(&[u8], _); 5] = [
        (
            b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest\r\n\r\n",
            Ok(Some((0, 24))),
        ),
        (b"\r\n\r\nGET /\r\n\r\n", Ok(Some((4, 13)))),
        (b"GET /\r\nA: b\r\n", Ok(None)),
        (b"\r\n", Ok(None)),
        (b"", Ok(None)),
    ];
    for (input, expected) in inputs {
        for cut in 0..=input.len() {
            assert_eq!(
                find(input, cut, 1000),
                expected,
                "{:?}",
                input.escape_ascii()
            );
        }
    }
}

#[test]
fn a_bare_line_feed_is_an_error_wherever_it_stands() {
    for input in [
        &b"\n"[..],
        b"GET /\n\n",
        b"GET /\r\n\n",
        b"\r\n\nGET",
        b"GET /\r\nA: b\nB: c\r\n\r\n",
        b"GET /\r\nA: b\n\r\n",
    ] {
        for cut in 0..=input.len() {
            assert_eq!(find(input, cut, 1000), Err(NoHead::BareLineFeed));
        }
    }
}

#[test]
fn a_head_has_a_bound_whatever_it_consists_of() {
    let head = b"GET / HTTP/1.1\r\n\r\n";
    assert_eq!(find(head, 3, head.len()), Ok(Some((0, head.len()))));
    assert_eq!(find(head, 3, head.len() - 1), Err(NoHead::TooLarge));
    assert_eq!(find(&[b'a'; 100], 50, 100), Err(NoHead::TooLarge));
    assert_eq!(find(&b"\r\n".repeat(51), 50, 100), Err(NoHead::TooLarge));
}
