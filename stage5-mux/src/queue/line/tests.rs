//! Lines, cut at every place.

use harness::{expect_bytes, expect_value};

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
        expect_value(
            "The details of a last request without its newline",
            &Terminated::No,
            &summary.details,
            "the client has sent no newline, so it gets none in the response.",
        );
        found.push(request);
    }
    Ok(found)
}

#[test]
fn requests_are_the_same_however_they_are_cut() {
    let input = b"one\n\n\0two\r\n12345678\nlast";
    let expected: [&[u8]; 5] = [b"one\n", b"\n", b"\0two\r\n", b"12345678\n", b"last\n"];
    for cut in 0..=input.len() {
        let found = requests(input, cut).map(|found| found.concat());
        let found = found.unwrap_or_else(|refusal| panic!("cut at {cut}, refused: {refusal}"));
        expect_bytes(
            &format!("The requests of bytes that were cut at {cut}"),
            &expected.concat(),
            &found,
        );
    }
}

#[test]
fn a_line_that_is_too_long_is_refused_before_its_end() {
    for input in [&b"123456789"[..], b"123456789\n", b"a\n123456789"] {
        for cut in 0..=input.len() {
            let case = input.escape_ascii().to_string();
            expect_value(
                format!("What is made of {case:?}, cut at {cut}, with lines of at most 8 bytes,"),
                &Err(Refusal::HeadTooLarge),
                &requests(input, cut),
                "a line may have max_line bytes before its newline, whether the newline has come or not.",
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
        assert!(
            reader.has_begun(),
            "after {piece:?} the response has begun: note it unless the input is empty"
        );
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
        let case = |what| format!("{what} of a response that was cut at {cut}");
        expect_bytes(&case("What the client gets"), b"the answer\n", &out);
        expect_value(
            case("The number of used bytes"),
            &11,
            &used,
            "bytes behind the newline belong to no response, and stay.",
        );
        assert!(
            end.is_some_and(|keep| keep.client && keep.upstream),
            "cut at {cut}, the response ends at its newline, and both connections are kept; but its end is {end:?}"
        );

        let (out, end, _) = response(Terminated::No, input, cut);
        expect_bytes(
            &case("What a client without a newline gets, as from the server itself,"),
            b"the answer",
            &out,
        );
        assert!(
            end.is_some_and(|keep| !keep.client && keep.upstream),
            "cut at {cut}, the client has ended its side, so only the upstream's connection is kept; but the end is {end:?}"
        );
    }
}
