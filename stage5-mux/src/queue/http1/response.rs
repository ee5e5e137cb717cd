//! The response to one request: its head rewritten, its body passed on, its end found.

use std::ops::Range;

use httparse::{Header, Response};

use super::Details;
use super::body::{Body, ChunkError, Chunks, Piece};
use super::head::{Fields, Flaw, HeadFinder, MAX_FIELDS, Name, NoHead, Room, pass_on};
use crate::queue::framing::{Ending, InvalidResponse, Keep, Passage, Responses, Summary};

/// Finds the end of one response.
#[derive(Debug)]
pub struct Http1Responses {
    summary: Summary<Details>,
    max_head: usize,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Head(HeadFinder),
    Body(Inside),
}

/// The body of a response under way.
#[derive(Clone, Copy, Debug)]
struct Inside {
    rest: Body,
    keep: Keep,
    /// The chunks are taken apart, because the client does not know them.
    unchunked: bool,
}

impl Http1Responses {
    pub(super) fn new(summary: Summary<Details>, max_head: usize) -> Self {
        Self {
            summary,
            max_head,
            state: State::Head(HeadFinder::default()),
        }
    }

    /// Reads heads up to the final one; `None` while that one is not complete.
    fn take_heads(
        &mut self,
        input: &[u8],
        closing: bool,
        out: &mut Vec<u8>,
    ) -> Result<(usize, Option<Inside>), InvalidResponse> {
        let mut used = 0;
        loop {
            let finder = match &mut self.state {
                State::Body(inside) => return Ok((used, Some(*inside))),
                State::Head(finder) => finder,
            };
            let Some((begin, end)) = finder.find(&input[used..], self.max_head)? else {
                return Ok((used, None));
            };
            let head = &input[used + begin..used + end];
            used += end;
            self.state = match self.read_head(head, closing, out)? {
                Some(inside) => State::Body(inside),
                None => State::Head(HeadFinder::default()),
            };
        }
    }

    /// Rewrites one complete head; `None` when it was an interim one.
    fn read_head(
        &self,
        head: &[u8],
        closing: bool,
        out: &mut Vec<u8>,
    ) -> Result<Option<Inside>, InvalidResponse> {
        let mut room: Room<'_> = [const { std::mem::MaybeUninit::uninit() }; MAX_FIELDS];
        let mut response = Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut response,
            head,
            &mut room,
        );
        let (Ok(httparse::Status::Complete(_)), Some(code), Some(minor)) =
            (parsed, response.code, response.version)
        else {
            return Err(InvalidResponse("the head is not valid"));
        };
        let fields = Fields::collect(response.headers)?;
        if code == 101 {
            return Err(InvalidResponse(
                "it switches protocols, which nobody asked for",
            ));
        }
        if code < 200 {
            self.pass_interim(code, head, &response, out);
            return Ok(None);
        }
        let inside = self.plan(code, minor, &fields, closing)?;
        let nominating = fields.nominates.then_some(&*response.headers);
        write_status(head, out);
        for header in &*response.headers {
            match fate(header, code, inside.unchunked) {
                Fate::Drop => {}
                Fate::Pass => pass_on(header, None, out),
                Fate::PassUnlessNamed => pass_on(header, nominating, out),
            }
        }
        let connection: &[u8] = match inside.keep.client {
            false => b"Connection: close\r\n\r\n",
            true if self.summary.details.http10 => b"Connection: keep-alive\r\n\r\n",
            true => b"\r\n",
        };
        out.extend_from_slice(connection);
        Ok(Some(inside))
    }

    /// Passes an interim response on (RFC 9110 section 15.2), except for the permission to go on:
    /// the client has it from us.
    fn pass_interim(&self, code: u16, head: &[u8], response: &Response<'_, '_>, out: &mut Vec<u8>) {
        if code != 100 && !self.summary.details.http10 {
            write_status(head, out);
            for header in &*response.headers {
                if fate(header, code, false) != Fate::Drop {
                    pass_on(header, Some(&*response.headers), out);
                }
            }
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Decides on the body and on both connections (RFC 9112 section 9.3).
    fn plan(
        &self,
        code: u16,
        minor: u8,
        fields: &Fields<'_>,
        closing: bool,
    ) -> Result<Inside, InvalidResponse> {
        let Details { head_only, http10 } = self.summary.details;
        if fields.chunked && minor == 0 {
            return Err(InvalidResponse("HTTP/1.0 has no Transfer-Encoding"));
        }
        let rest = body(head_only, code, fields);
        let delimited = rest != Body::UntilClose;
        let unchunked = http10 && fields.chunked;
        // What has lost its chunks can only be delimited by the end.
        let client_sees_end = delimited && (head_only || !unchunked);
        let keep = Keep {
            upstream: delimited && !fields.close && (minor > 0 || fields.keep_alive),
            client: client_sees_end && self.summary.persistent && !closing,
        };
        Ok(Inside {
            rest,
            keep,
            unchunked,
        })
    }
}

impl Responses for Http1Responses {
    fn take(
        &mut self,
        input: &[u8],
        closing: bool,
        out: &mut Vec<u8>,
    ) -> Result<Passage, InvalidResponse> {
        let (mut used, inside) = self.take_heads(input, closing, out)?;
        let Some(mut inside) = inside else {
            return Ok(Passage {
                used,
                ..Passage::default()
            });
        };
        let begin = used;
        let end = loop {
            match inside.rest.step(&input[used..])? {
                None => break None,
                Some(Piece::End) => break Some(inside.keep),
                Some(Piece::Framing(count)) => used += count,
                Some(Piece::Content(count)) => {
                    if inside.unchunked {
                        out.extend_from_slice(&input[used..used + count]);
                    }
                    used += count;
                }
            }
        };
        self.state = State::Body(inside);
        Ok(Passage {
            used,
            verbatim: verbatim(inside.unchunked, begin..used),
            end,
        })
    }

    fn has_begun(&self) -> bool {
        matches!(self.state, State::Body(_))
    }

    fn end_of_input(&self, clean: bool) -> Ending {
        match &self.state {
            State::Head(_) => Ending::Truncated,
            State::Body(inside) => match inside.rest {
                Body::UntilClose if clean => Ending::Complete,
                Body::UntilClose => Ending::Hidden,
                Body::Length(_) | Body::Chunked(_) if inside.unchunked => Ending::Hidden,
                Body::Length(_) | Body::Chunked(_) => Ending::Truncated,
            },
        }
    }
}

/// Says how long the body of a final response is: RFC 9112 section 6.3, for responses.
///
/// `head_only` says that the request was a HEAD. Its response, and those with the codes 204 and
/// 304, have no body, whatever the fields announce. Without any announcement the body is
/// everything up to the end of the connection.
fn body(head_only: bool, code: u16, fields: &Fields<'_>) -> Body {
    match fields.content_length {
        _ if head_only || code == 204 || code == 304 => Body::Length(0),
        _ if fields.chunked => Body::Chunked(Chunks::START),
        Some(length) => Body::Length(length),
        None => Body::UntilClose,
    }
}

fn verbatim(unchunked: bool, range: Range<usize>) -> Range<usize> {
    if unchunked {
        range.end..range.end
    } else {
        range
    }
}

/// Writes the status line, with our version.
fn write_status(head: &[u8], out: &mut Vec<u8>) {
    let version = b"HTTP/1.1";
    let line = head.iter().position(|&byte| byte == b'\r');
    out.extend_from_slice(version);
    out.extend_from_slice(&head[version.len()..line.unwrap_or(head.len())]);
    out.extend_from_slice(b"\r\n");
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// It ends here.
    Drop,
    /// It is passed on, whatever `Connection` says: the body needs it.
    Pass,
    /// It is passed on, unless `Connection` names it.
    PassUnlessNamed,
}

fn fate(header: &Header<'_>, code: u16, unchunked: bool) -> Fate {
    // RFC 9112 section 6.1 and RFC 9110 section 8.6: these have no body and announce none.
    let silent = code < 200 || code == 204;
    match Name::of(header.name) {
        Name::Connection | Name::HopByHop | Name::Upgrade => Fate::Drop,
        Name::ContentLength | Name::TransferEncoding if silent => Fate::Drop,
        Name::TransferEncoding | Name::Trailer if unchunked => Fate::Drop,
        Name::ContentLength | Name::TransferEncoding => Fate::Pass,
        Name::Expect | Name::Host | Name::Trailer | Name::Other => Fate::PassUnlessNamed,
    }
}

impl From<NoHead> for InvalidResponse {
    fn from(no_head: NoHead) -> Self {
        match no_head {
            NoHead::BareLineFeed => Self("a line does not end in CR LF"),
            NoHead::TooLarge => Self("the head is too large"),
        }
    }
}

impl From<ChunkError> for InvalidResponse {
    fn from(error: ChunkError) -> Self {
        Self(error.reason())
    }
}

impl From<Flaw> for InvalidResponse {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Bad(reason) => Self(reason),
            Flaw::UnknownCoding => Self("the transfer coding is not known"),
            Flaw::TooLarge => Self("the Content-Length has too many digits"),
        }
    }
}
