//! Exercises 5.0 and 5.1 through the library: one line is a request, one line is its response.

use harness::{Test, expect_bytes, expect_value};
use stage5_mux::queue::framing::{
    EndOfInput, Ending, Framing, Keep, Passage, Persistence, Refusal, Requests, Responses, Status,
    Summary, Taken,
};
use stage5_mux::queue::line::{Line, LineRequests, LineResponses, Terminated};

const MAX_LINE: usize = 20;

/// Feeds bytes to a reader as a client's connection does, and returns the requests that it finds.
fn requests_in(reader: &mut LineRequests, pieces: &[&[u8]]) -> Vec<String> {
    let (mut input, mut found) = (Vec::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            let mut request = Vec::new();
            let taken = reader
                .take(&input, &mut request)
                .expect("lines within their bound");
            input.drain(..taken.used);
            match taken.status {
                Status::Partial => break,
                Status::Full(_) | Status::Complete(_) => {
                    found.push(String::from_utf8(request).expect("text"));
                }
            }
        }
    }
    found
}

#[test]
fn e51_a_request_is_a_line_however_it_was_cut() {
    let _test = Test::begin("One read is not one line: it may bring half a line, or three.");
    let text = b"one\n\nthree\n";
    for first in 0..=text.len() {
        for second in first..=text.len() {
            let pieces = [&text[..first], &text[first..second], &text[second..]];
            let found = requests_in(&mut Line::new(MAX_LINE).requests(), &pieces);
            assert_eq!(
                found,
                ["one\n", "\n", "three\n"],
                "cut at {first}, {second}"
            );
        }
    }
}

#[test]
fn e51_what_is_not_complete_is_not_taken() {
    let _test = Test::begin("A partial line stays in the input, and no byte of it is sent.");
    let mut reader = Line::new(MAX_LINE).requests();
    assert!(!reader.is_inside(), "a new reader is in no request");
    let mut request = Vec::new();
    let taken = reader.take(b"half", &mut request).expect("half a line");
    let nothing = Taken {
        used: 0,
        status: Status::Partial,
    };
    expect_value(
        "What is taken of half a line, and how many bytes of it are sent",
        &(nothing, 0),
        &(taken, request.len()),
        "half a line was taken for a whole one.",
    );
    assert!(reader.is_inside(), "a request has begun");
    let taken = reader.take(b"half and half\nnext", &mut request);
    let summary = Summary {
        repeatable: false,
        persistent: true,
        details: Terminated::Yes,
    };
    let whole = Taken {
        used: 14,
        status: Status::Complete(summary),
    };
    expect_value(
        "What is taken when the newline has come",
        &Ok(whole),
        &taken,
        "bytes of the next request were taken, too, or `searched` was not set back.",
    );
    expect_bytes("The request", b"half and half\n", &request);
    assert!(!reader.is_inside(), "the next request has not begun");
}

#[test]
fn e51_a_line_has_a_bound() {
    let _test = Test::begin("MAX bytes before the newline are allowed, and one more is not.");
    let take = |input: &[u8]| {
        let mut request = Vec::new();
        let taken = Line::new(MAX_LINE).requests().take(input, &mut request);
        (taken.map(|taken| taken.used), request.len())
    };
    let longest = [&[b'x'; MAX_LINE][..], b"\n"].concat();
    expect_value(
        "The longest line (bytes taken, bytes of the request)",
        &(Ok(MAX_LINE + 1), MAX_LINE + 1),
        &take(&longest),
        "the newline was counted as a part of the line.",
    );
    assert_eq!(
        take(&longest[..MAX_LINE]),
        (Ok(0), 0),
        "its newline may come"
    );
    let too_long = [b"x", &longest[..]].concat();
    let refused = (Err(Refusal::HeadTooLarge), 0);
    expect_value(
        "A line with one byte too many, and its newline",
        &refused,
        &take(&too_long),
        "the bound holds only for lines whose newline is missing.",
    );
    assert_eq!(
        take(&too_long[..=MAX_LINE]),
        refused,
        "a newline cannot make it shorter"
    );
}

#[test]
fn e51_the_last_line_needs_no_newline() {
    let _test = Test::begin("The end of input completes a line; the upstream gets its newline.");
    let mut request = Vec::new();
    let mut reader = Line::new(MAX_LINE).requests();
    assert_eq!(
        reader.end_of_input(b"", &mut request),
        Ok(None),
        "no byte, no request"
    );
    // Without its newline it is no request yet.
    let _ = reader.take(b"last", &mut request);
    let summary = reader.end_of_input(b"last", &mut request);
    let summary = summary.expect("a request").expect("a request");
    expect_bytes("The request", b"last\n", &request);
    assert_eq!(summary.details, Terminated::No, "the line had no newline");
    assert!(
        !summary.persistent,
        "no request follows the end of the input"
    );
}

#[test]
fn e50_a_line_without_a_newline_gets_a_response_without_one() {
    let _test = Test::begin("The client sees the bytes that it would see without the queue.");
    let passage = answer(&LAST, b"tsal\n");
    assert_eq!(
        passage.verbatim,
        0..4,
        "a request without a newline gets a response without one"
    );
    assert_eq!(passage.used, 5, "but the newline is a part of the response");
}

fn responses(summary: &Summary<Terminated>) -> LineResponses {
    Line::new(MAX_LINE).responses(*summary)
}

fn answer(summary: &Summary<Terminated>, input: &[u8]) -> Passage {
    let passage = responses(summary).take(input, Persistence::Keep, &mut Vec::new());
    passage.expect("every line is a response")
}

const WITH_NEWLINE: Summary<Terminated> = Summary {
    repeatable: false,
    persistent: true,
    details: Terminated::Yes,
};

const LAST: Summary<Terminated> = Summary {
    persistent: false,
    details: Terminated::No,
    ..WITH_NEWLINE
};

#[test]
fn e50_a_response_is_one_line_and_no_more() {
    let _test = Test::begin("Bytes after the newline are not for this client.");
    let keep = |client| Keep {
        upstream: true,
        client,
    };
    let table: [(&[u8], Passage); 4] = [
        (b"", passage(0, None)),
        (b"ha", passage(2, None)),
        (b"lf\n", passage(3, Some(keep(true)))),
        (b"one\ntwo\n", passage(4, Some(keep(true)))),
    ];
    for (input, expected) in table {
        assert_eq!(answer(&WITH_NEWLINE, input), expected, "{input:?}");
    }
    let closing = responses(&WITH_NEWLINE).take(b"x\n", Persistence::Close, &mut Vec::new());
    assert_eq!(
        closing,
        Ok(passage(2, Some(keep(false)))),
        "the client is not kept when it is told to close"
    );
}

fn passage(used: usize, end: Option<Keep>) -> Passage {
    Passage {
        used,
        verbatim: 0..used,
        end,
    }
}

#[test]
fn e50_a_response_that_broke_off_is_never_a_whole_one() {
    let _test = Test::begin(
        "A client that sent a newline sees that none came back; without one it cannot see it.",
    );
    for (summary, ending) in [(WITH_NEWLINE, Ending::Truncated), (LAST, Ending::Hidden)] {
        let mut reader = responses(&summary);
        assert!(!reader.has_begun(), "no byte has come");
        drop(reader.take(b"hal", Persistence::Keep, &mut Vec::new()));
        assert!(reader.has_begun(), "a byte has come");
        assert_eq!(
            reader.end_of_input(EndOfInput::Fin),
            ending,
            "of {:?}",
            summary.details
        );
    }
}
