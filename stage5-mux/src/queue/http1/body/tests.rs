//! Bodies, cut at every place; and chunks that are not acceptable.

use proptest::prelude::*;

use super::*;

/// Runs a body over `input`, cut into pieces; returns its content and how many bytes it took.
fn run(mut body: Body, input: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, usize, bool), ChunkError> {
    let (mut content, mut used) = (Vec::new(), 0);
    let mut bounds = cuts.to_vec();
    bounds.push(input.len());
    for bound in bounds {
        loop {
            match body.step(&input[used..bound], Blanks::Refused)? {
                None => break,
                Some(Piece::End) => return Ok((content, used, true)),
                Some(Piece::Framing(count)) => used += count,
                Some(Piece::Content(count)) => {
                    content.extend_from_slice(&input[used..used + count]);
                    used += count;
                }
            }
        }
    }
    Ok((content, used, false))
}

const CHUNKED: Body = Body::Chunked(Chunks::START);

#[test]
fn chunks_are_the_same_however_they_are_cut() {
    let inputs: [(&[u8], &[u8]); 6] = [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5;a=b;c=\"d e\"\r\nhello\r\n00\r\n\r\n", b"hello"),
        (b"5 ;a\r\nhello\r\n1\r\n!\r\n000;x\r\n\r\n", b"hello!"),
        (
            b"A\r\n0123456789\r\n0\r\nX-Sum: 1\r\nOther:\tb\r\n\r\n",
            b"0123456789",
        ),
        (b"1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", b"\r\n"),
    ];
    for (input, content) in inputs {
        let whole = [input, b"HTTP/1.1 200 OK\r\n"].concat();
        for first in 0..=whole.len() {
            for second in first..=whole.len() {
                let got = run(CHUNKED, &whole, &[first, second]);
                assert_eq!(got, Ok((content.to_vec(), input.len(), true)));
            }
        }
    }
}

#[test]
fn what_two_parsers_could_read_differently_is_an_error() {
    let bad: [(&[u8], ChunkError); 22] = [
        (b"\r\n", ChunkError::Size),
        (b"x\r\n", ChunkError::Size),
        (b" 5\r\n", ChunkError::Size),
        (b"+5\r\n", ChunkError::Size),
        (b"-1\r\n", ChunkError::Size),
        (b"0x5\r\n", ChunkError::Size),
        (b"5_0\r\n", ChunkError::Size),
        (b"5 \r\n", ChunkError::Size),
        (b"5\n", ChunkError::Size),
        (b";a\r\n", ChunkError::Size),
        (b"5\r5", ChunkError::LineEnd),
        (b"5;a\n", ChunkError::Extra),
        (b"5;a\0\r\n", ChunkError::Extra),
        (b"5;a\rb", ChunkError::LineEnd),
        (b"5\r\nhelloX", ChunkError::LineEnd),
        (b"5\r\nhello\n", ChunkError::LineEnd),
        (b"5\r\nhello\rX", ChunkError::LineEnd),
        (b"0\r\n\n", ChunkError::Extra),
        (b"0\r\n a: b\r\n", ChunkError::Extra),
        (b"0\r\n: b\r\n", ChunkError::Extra),
        (b"0\r\na: b\nc", ChunkError::Extra),
        (b"1000000000000000\r\n", ChunkError::TooLarge),
    ];
    for (input, error) in bad {
        for cut in 0..=input.len() {
            assert_eq!(
                run(CHUNKED, input, &[cut]),
                Err(error),
                "{:?}",
                input.escape_ascii()
            );
        }
    }
}

#[test]
fn blanks_after_a_size_are_skipped_in_responses_only() {
    let input = b"5 \t \r\n";
    let mut response = CHUNKED;
    let piece = response.step(input, Blanks::Skipped);
    assert_eq!(piece, Ok(Some(Piece::Framing(input.len()))));
    assert_eq!(response, Body::Chunked(Chunks::Data { rest: 5 }));
    assert_eq!(
        CHUNKED.clone().step(input, Blanks::Refused),
        Err(ChunkError::Size)
    );
    for bad in [b"5 x\r\n", b"5 5\r\n", b" 5\r\n\r"] {
        assert_eq!(
            CHUNKED.clone().step(bad, Blanks::Skipped),
            Err(ChunkError::Size)
        );
    }
    let zeros = run(CHUNKED, b"0000000000000002\r\nok", &[]);
    assert_eq!(zeros, Ok((b"ok".to_vec(), 20, false)));
}

#[test]
fn extensions_and_trailers_have_a_bound() {
    let extension = [b"5;".as_slice(), &[b'a'; MAX_EXTENSION + 1]].concat();
    assert_eq!(run(CHUNKED, &extension, &[]), Err(ChunkError::Extra));
    let trailer = [b"0\r\n".as_slice(), &b"a: b\r\n".repeat(MAX_TRAILERS)].concat();
    assert_eq!(run(CHUNKED, &trailer, &[]), Err(ChunkError::Extra));
    let tabs = [b"0\r\na:".as_slice(), &[b'\t'; MAX_TRAILERS], b"b"].concat();
    assert_eq!(run(CHUNKED, &tabs, &[]), Err(ChunkError::Extra));
}

#[test]
fn a_length_is_counted_and_the_end_is_not_passed() {
    for cut in 0..=8 {
        let got = run(Body::Length(5), b"12345678", &[cut]);
        assert_eq!(got, Ok((b"12345".to_vec(), 5, true)));
    }
    assert_eq!(run(Body::Length(0), b"", &[]), Ok((Vec::new(), 0, true)));
    assert_eq!(
        run(Body::UntilClose, b"123", &[1]),
        Ok((b"123".to_vec(), 3, false))
    );
}

proptest! {
    #[test]
    fn whatever_is_put_into_chunks_comes_out(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..8),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut input = Vec::new();
        for piece in &pieces {
            input.extend_from_slice(format!("{:X}\r\n", piece.len()).as_bytes());
            input.extend_from_slice(piece);
            input.extend_from_slice(b"\r\n");
        }
        input.extend_from_slice(b"0\r\n\r\n");
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len())).collect();
        cuts.sort_unstable();
        let expected = (pieces.concat(), input.len(), true);
        prop_assert_eq!(run(CHUNKED, &input, &cuts), Ok(expected));
    }

    #[test]
    fn no_bytes_make_it_panic_and_cuts_change_nothing(
        input in proptest::collection::vec(prop_oneof![
            Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b'1'), Just(b';'), Just(b' '), any::<u8>(),
        ], 0..64),
        cut in 0..64usize,
    ) {
        let cut = cut.min(input.len());
        prop_assert_eq!(run(CHUNKED, &input, &[cut]), run(CHUNKED, &input, &[]));
    }

    #[test]
    fn the_forward_proxy_of_stage_4_sees_the_same_end(
        pieces in proptest::collection::vec(prop::sample::select(vec![
            "0", "0", "1", "a", "\r\n", "\r\n", "\r\n", "\r", "\n", ";", ";n=v", " ", "\t", "x", ":", "A: b", "\x7f", "\0",
        ]), 0..16),
    ) {
        use stage4_proxy::http::body::{Blanks, Body};

        let input = pieces.concat().into_bytes();
        let mut other = Body::chunked(Blanks::Refused);
        let theirs = other.take(&input).map(|used| (used, other.is_over())).ok();
        let ours = run(CHUNKED, &input, &[]).map(|(_, used, is_over)| (used, is_over)).ok();
        prop_assert_eq!(ours, theirs);
    }
}
