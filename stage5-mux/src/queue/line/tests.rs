//! Lines, cut at every place.

use super::*;

const LINE: Line = Line { max_line: 8 };

/// Feeds `input` in two pieces, what was not taken again with the second one.
fn requests(input: &[u8], cut: usize) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut reader = LINE.requests();
    let (mut kept, mut found) = (Vec::new(), Vec::new());
    let mut request = Vec::new();
    for piece in [&input[..cut], &input[cut..]] {
        kept.extend_from_slice(piece);
        loop {
            let taken = reader.take(&kept, &mut request)?;
            kept.drain(..taken.used);
            match taken.status {
                Status::Complete(_) => found.push(std::mem::take(&mut request)),
                Status::Partial => break,
                Status::Full(_) => panic!("a line never streams"),
            }
        }
    }
    if let Some(summary) = reader.end_of_input(&kept, &mut request)? {
        assert_eq!(summary.details, Terminated::No);
        found.push(request);
    }
    Ok(found)
}

#[test]
fn requests_are_the_same_however_they_are_cut() {
    let input = b"one\n\n\0two\r\n12345678\nlast";
    let expected: [&[u8]; 5] = [b"one\n", b"\n", b"\0two\r\n", b"12345678\n", b"last\n"];
    for cut in 0..=input.len() {
        assert_eq!(requests(input, cut).unwrap(), expected, "cut at {cut}");
    }
}

#[test]
fn a_line_that_is_too_long_is_refused_before_its_end() {
    for input in [&b"123456789"[..], b"123456789\n", b"a\n123456789"] {
        for cut in 0..=input.len() {
            assert_eq!(
                requests(input, cut),
                Err(Refusal::HeadTooLarge),
                "cut at {cut}"
            );
        }
    }
}

fn response(terminated: Terminated, input: &[u8], cut: usize) -> (Vec<u8>, Option<Keep>, usize) {
    let mut reader = LINE.responses(summary(terminated));
    let (mut out, mut end, mut used) = (Vec::new(), None, 0);
    for piece in [&input[..cut], &input[cut..]] {
        if end.is_some() || piece.is_empty() {
            continue;
        }
        let passage = reader.take(piece, Persistence::Keep, &mut out).unwrap();
        assert!(reader.has_begun());
        out.extend_from_slice(&piece[passage.verbatim]);
        used += passage.used;
        end = passage.end;
    }
    (out, end, used)
}

#[test]
fn a_response_ends_at_its_newline_however_it_is_cut() {
    let input = b"the answer\nsurplus";
    for cut in 0..=input.len() {
        let (out, end, used) = response(Terminated::Yes, input, cut);
        assert_eq!(out, b"the answer\n");
        assert_eq!(used, out.len());
        assert!(end.is_some_and(|keep| keep.client && keep.upstream));

        let (out, end, _) = response(Terminated::No, input, cut);
        assert_eq!(out, b"the answer", "as the server itself would answer");
        assert!(end.is_some_and(|keep| !keep.client && keep.upstream));
    }
}
