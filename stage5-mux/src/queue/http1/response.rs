//! The response to one request: its head rewritten, its body passed on, its end found.
//!
//! ```text
//!            final head                       interim head (1xx)
//!   Head ───────────────▶ Body         Head ────────────────────▶ Head
//! ```

use std::mem::MaybeUninit;
use std::ops::Range;

use httparse::{Header, ParserConfig, Response};
use stage4_proxy::http::head::{HeadFinder, NoHead};
use stage4_proxy::http_version;

use crate::queue::framing::{
    EndOfInput, Ending, InvalidResponse, Keep, Passage, Persistence, Responses, Summary,
};
use crate::queue::http1::body::{Blanks, Body, ChunkError, Chunks, Piece};
use crate::queue::http1::details::{Details, Version};
use crate::queue::http1::head::{Fields, Flaw, MAX_FIELDS, Name, Room, TOO_MANY_FIELDS, pass_on};

/// Finds the end of one response.
#[derive(Debug)]
pub struct Http1Responses {
    summary: Summary<Details>,
    max_head: usize,
    state: State,
}

/// The part of a response that comes next.
#[derive(Clone, Copy, Debug)]
enum State {
    Head(HeadFinder),
    Body(BodyState),
}

/// A response whose final head is complete and whose body is arriving.
#[derive(Clone, Copy, Debug)]
struct BodyState {
    /// The part of the body that has not arrived.
    rest: Body,
    form: Form,
    keep: Keep,
}

/// How the body is passed on to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Unchanged.
    Verbatim,
    /// Without its chunks, because an HTTP/1.0 client does not know them.
    Unchunked,
}

impl Http1Responses {
    pub(super) fn new(summary: Summary<Details>, max_head: usize) -> Self {
        Self {
            summary,
            max_head,
            state: State::Head(HeadFinder::default()),
        }
    }

    /// Reads heads up to the final one; returns no body while the final head is not complete.
    fn take_heads(
        &mut self,
        input: &[u8],
        persistence: Persistence,
        out: &mut Vec<u8>,
    ) -> Result<(usize, Option<BodyState>), InvalidResponse> {
        let mut used = 0;
        loop {
            let finder = match &mut self.state {
                State::Body(body) => return Ok((used, Some(*body))),
                State::Head(finder) => finder,
            };
            let Some((begin, end)) = finder.find(&input[used..], self.max_head)? else {
                return Ok((used, None));
            };
            let head = &input[used + begin..used + end];
            used += end;
            // A loop, because one read may hold an interim head and the final head after it.
            self.state = match self.read_head(head, persistence, out)? {
                Some(body) => State::Body(body),
                None => State::Head(HeadFinder::default()),
            };
        }
    }

    /// Rewrites one complete head; returns `None` if it was an interim one.
    fn read_head(
        &self,
        head: &[u8],
        persistence: Persistence,
        out: &mut Vec<u8>,
    ) -> Result<Option<BodyState>, InvalidResponse> {
        let head = &*http_version::as_known(head);
        let mut room: Room<'_> = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut response = Response::new(&mut []);
        let (code, version) = parse(head, &mut room, &mut response)?;
        let fields = Fields::collect(response.headers)?;
        if code == 101 {
            // RFC 9110 section 7.8: a server switches only if it got `Upgrade`, which we remove.
            return Err(InvalidResponse(
                "it switches protocols, although the request did not ask for it",
            ));
        }
        if code < 200 {
            self.write_interim(head, code, response.headers, out);
            return Ok(None);
        }
        let body = self.plan(code, version, &fields, persistence)?;
        let nominating = fields.nominates.then_some(&*response.headers);
        write_status(head, out);
        write_fields(response.headers, nominating, code, body.form, out);
        out.extend_from_slice(self.connection(body.keep));
        out.extend_from_slice(b"\r\n");
        Ok(Some(body))
    }

    /// Passes an interim response on (RFC 9110 section 15.2).
    ///
    /// Two are dropped: `100 Continue`, which the client has got from us, and everything for an
    /// HTTP/1.0 client, because that version has no interim responses.
    fn write_interim(&self, head: &[u8], code: u16, headers: &[Header<'_>], out: &mut Vec<u8>) {
        if code == 100 || self.summary.details.version == Version::Http10 {
            return;
        }
        write_status(head, out);
        write_fields(headers, Some(headers), code, Form::Verbatim, out);
        out.extend_from_slice(b"\r\n");
    }

    /// Decides how the body is delimited and which connections are kept (RFC 9112 section 9.3).
    fn plan(
        &self,
        code: u16,
        version: Version,
        fields: &Fields<'_>,
        persistence: Persistence,
    ) -> Result<BodyState, InvalidResponse> {
        let details = self.summary.details;
        // RFC 9112 section 6.1.
        if fields.chunked && version == Version::Http10 {
            return Err(InvalidResponse("HTTP/1.0 has no Transfer-Encoding"));
        }
        let rest = body(details.head_only, code, fields);
        let form = match details.version {
            Version::Http10 if fields.chunked => Form::Unchunked,
            Version::Http10 | Version::Http11 => Form::Verbatim,
        };
        let delimited = rest != Body::UntilClose;
        // Without its chunks, only the end of the connection delimits the body for the client.
        let client_sees_end = delimited && (details.head_only || form == Form::Verbatim);
        let keep = Keep {
            upstream: delimited && fields.persist(version),
            client: client_sees_end && self.summary.persistent && persistence == Persistence::Keep,
        };
        Ok(BodyState { rest, form, keep })
    }

    /// Returns the `Connection` field for the client, if its version needs one.
    fn connection(&self, keep: Keep) -> &'static [u8] {
        match self.summary.details.version {
            _ if !keep.client => b"Connection: close\r\n",
            Version::Http10 => b"Connection: keep-alive\r\n",
            Version::Http11 => b"",
        }
    }
}

impl Responses for Http1Responses {
    fn take(
        &mut self,
        input: &[u8],
        persistence: Persistence,
        out: &mut Vec<u8>,
    ) -> Result<Passage, InvalidResponse> {
        let (begin, body) = self.take_heads(input, persistence, out)?;
        let Some(mut body) = body else {
            return Ok(Passage {
                used: begin,
                ..Passage::default()
            });
        };
        let (count, end) = body.take(&input[begin..], out)?;
        self.state = State::Body(body);
        let used = begin + count;
        Ok(Passage {
            used,
            verbatim: body.verbatim(begin..used),
            end,
        })
    }

    fn has_begun(&self) -> bool {
        matches!(self.state, State::Body(_))
    }

    fn end_of_input(&self, end: EndOfInput) -> Ending {
        match &self.state {
            State::Head(_) => Ending::Truncated,
            // RFC 9112 section 8: only a body that the close delimits may end here.
            State::Body(body) => match (body.rest, end) {
                (Body::UntilClose, EndOfInput::Fin) => Ending::Complete,
                (Body::UntilClose, EndOfInput::Error) => Ending::Hidden,
                (Body::Length(_) | Body::Chunked(_), _) => body.form.truncated(),
            },
        }
    }
}

impl BodyState {
    /// Takes the bytes that belong to the body; content without its chunks is appended to `out`.
    fn take(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(usize, Option<Keep>), InvalidResponse> {
        let mut used = 0;
        loop {
            match self.rest.step(&input[used..], Blanks::Skipped)? {
                None => return Ok((used, None)),
                Some(Piece::End) => return Ok((used, Some(self.keep))),
                Some(Piece::Framing(count)) => used += count,
                Some(Piece::Content(count)) => {
                    // Only without chunks is content copied: otherwise it passes as it is.
                    if self.form == Form::Unchunked {
                        out.extend_from_slice(&input[used..used + count]);
                    }
                    used += count;
                }
            }
        }
    }

    /// Returns the part of the taken bytes that goes to the client as it is.
    fn verbatim(&self, taken: Range<usize>) -> Range<usize> {
        match self.form {
            Form::Verbatim => taken,
            Form::Unchunked => taken.end..taken.end,
        }
    }
}

impl Form {
    /// Returns the ending of a body whose last bytes are missing.
    fn truncated(self) -> Ending {
        match self {
            Self::Verbatim => Ending::Truncated,
            // For this client the end of the connection delimits the body.
            Self::Unchunked => Ending::Hidden,
        }
    }
}

/// Parses the status line and the fields into `response`; returns the status code and the version.
fn parse<'head>(
    head: &'head [u8],
    room: &'head mut Room<'head>,
    response: &mut Response<'head, 'head>,
) -> Result<(u16, Version), InvalidResponse> {
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(response, head, room);
    if parsed == Err(httparse::Error::TooManyHeaders) {
        return Err(InvalidResponse(TOO_MANY_FIELDS));
    }
    let (Ok(httparse::Status::Complete(_)), Some(code), Some(minor)) =
        (parsed, response.code, response.version)
    else {
        return Err(InvalidResponse("the head is not valid"));
    };
    // RFC 9110 section 15. Below 100 it is no interim response either, so its body is not a head.
    if !(100..=599).contains(&code) {
        return Err(InvalidResponse(
            "the status code is not between 100 and 599",
        ));
    }
    Ok((code, Version::from_minor(minor)))
}

/// Returns how the body of a final response is delimited (RFC 9112 section 6.3, for responses).
///
/// `head_only` tells that the request was a HEAD. Its response, and those with the codes 204 and
/// 304, have no body, whatever the fields announce. A body that no field announces ends with the
/// connection.
fn body(head_only: bool, code: u16, fields: &Fields<'_>) -> Body {
    match fields.content_length {
        _ if head_only || code == 204 || code == 304 => Body::Length(0),
        _ if fields.chunked => Body::Chunked(Chunks::START),
        Some(length) => Body::Length(length),
        None => Body::UntilClose,
    }
}

/// Writes the status line with our version (RFC 9110 section 2.5).
fn write_status(head: &[u8], out: &mut Vec<u8>) {
    let version = b"HTTP/1.1";
    let line = head.iter().position(|&byte| byte == b'\r');
    out.extend_from_slice(version);
    out.extend_from_slice(&head[version.len()..line.unwrap_or(head.len())]);
    out.extend_from_slice(b"\r\n");
}

/// Writes the fields that the client gets; `nominating` are the fields that may name others.
fn write_fields(
    headers: &[Header<'_>],
    nominating: Option<&[Header<'_>]>,
    code: u16,
    form: Form,
    out: &mut Vec<u8>,
) {
    for header in headers {
        match fate(header, code, form) {
            Fate::Drop => {}
            Fate::Pass => pass_on(header, None, out),
            Fate::PassUnlessNamed => pass_on(header, nominating, out),
        }
    }
}

/// The decision about a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is removed.
    Drop,
    /// It is passed on even if `Connection` names it, because it delimits the body.
    Pass,
    /// It is passed on, unless `Connection` names it.
    PassUnlessNamed,
}

fn fate(header: &Header<'_>, code: u16, form: Form) -> Fate {
    // RFC 9112 section 6.1 and RFC 9110 section 8.6: these have no body and must announce none.
    let bodiless = code < 200 || code == 204;
    let unchunked = form == Form::Unchunked;
    match Name::of(header.name) {
        Name::Connection | Name::HopByHop | Name::Upgrade => Fate::Drop,
        Name::ContentLength | Name::TransferEncoding if bodiless => Fate::Drop,
        Name::TransferEncoding | Name::Trailer if unchunked => Fate::Drop,
        Name::ContentLength | Name::TransferEncoding => Fate::Pass,
        Name::Expect | Name::Host | Name::MaxForwards | Name::Trailer | Name::Other => {
            Fate::PassUnlessNamed
        }
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
