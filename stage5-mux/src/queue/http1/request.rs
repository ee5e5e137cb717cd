//! One client's requests: found, checked, rewritten, held.
//!
//! ```text
//!            head complete
//!   Head ────────────────────▶ Body
//!    ▲                          │
//!    └──────────────────────────┘
//!           body complete (at once if it has 0 bytes)
//! ```

use std::io::Write as _;
use std::mem;
use std::sync::Arc;

use stage4_proxy::http::head::{HeadFinder, NoHead};

use crate::queue::framing::{Refusal, Requests, Status, Summary, Taken};
use crate::queue::http1::body::{Blanks, Body, ChunkError, Piece};
use crate::queue::http1::details::Details;
use crate::queue::http1::rewrite::{announces_empty_body, rewrite};
use crate::queue::http1::settings::Settings;

/// The interim response that lets a client send its body (RFC 9110 section 15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Finds requests in a client's bytes.
#[derive(Debug)]
pub struct Http1Requests {
    settings: Arc<Settings>,
    state: State,
}

/// The part of a request that comes next.
#[derive(Debug)]
enum State {
    Head(HeadFinder),
    Body(BodyState),
}

/// A request whose head is complete and whose body is arriving.
#[derive(Debug)]
struct BodyState {
    summary: Summary<Details>,
    /// The part of the body that has not arrived.
    rest: Body,
    form: Form,
    storage: Storage,
    /// The client sent `Expect: 100-continue` and has not been told to continue.
    continue_due: bool,
}

/// How the body is sent to the upstream.
#[derive(Debug)]
enum Form {
    /// As it arrives; the head has its length.
    Plain,
    /// Collected here: the head is not finished, because the length of these chunks is not known.
    Gathering(Vec<u8>),
    /// In chunks of our own.
    Chunks,
}

/// Where the body goes while it arrives.
///
/// ```text
///   Held ──── the request goes to the upstream ────▶ Streaming
/// ```
#[derive(Debug)]
enum Storage {
    /// It is held here, up to `max_body` bytes; the number counts the bytes held so far.
    Held(usize),
    /// It streams: the caller empties `request`, so `max_body` no longer applies.
    Streaming,
}

impl Http1Requests {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            state: State::Head(HeadFinder::default()),
        }
    }

    /// Rewrites a complete head and begins with the body.
    fn begin_body(&mut self, head: &[u8], request: &mut Vec<u8>) -> Result<(), Refusal> {
        let head = rewrite(head, &self.settings, request)?;
        let form = match head.body {
            Body::Chunked(_) => Form::Gathering(Vec::new()),
            Body::Length(0) if !announces_empty_body(request) => {
                request.extend_from_slice(b"\r\n");
                Form::Plain
            }
            Body::Length(length) => {
                end_head(length, request);
                Form::Plain
            }
            Body::UntilClose => return Err(Refusal::BadRequest("the body has no end")),
        };
        self.state = State::Body(BodyState {
            summary: head.summary,
            rest: head.body,
            form,
            storage: Storage::Held(0),
            continue_due: head.expects_continue,
        });
        Ok(())
    }
}

impl Requests<Details> for Http1Requests {
    fn take(&mut self, input: &[u8], request: &mut Vec<u8>) -> Result<Taken<Details>, Refusal> {
        let mut used = 0;
        if let State::Head(finder) = &mut self.state {
            // A head is taken as a whole, because it cannot be rewritten before it is complete.
            let Some((begin, end)) = finder.find(input, self.settings.max_head)? else {
                return Ok(Taken {
                    // They are no part of a request, so a client that has sent them is still idle.
                    used: finder.take_empty_lines(),
                    status: Status::Partial,
                });
            };
            self.begin_body(&input[begin..end], request)?;
            used = end;
        }
        let State::Body(body) = &mut self.state else {
            return Err(Refusal::BadRequest("the head is not complete"));
        };
        let (count, status) = body.take(&input[used..], self.settings.max_body, request)?;
        if matches!(status, Status::Complete(_)) {
            self.state = State::Head(HeadFinder::default());
        }
        Ok(Taken {
            used: used + count,
            status,
        })
    }

    fn end_of_input(
        &mut self,
        _rest: &[u8],
        _request: &mut Vec<u8>,
    ) -> Result<Option<Summary<Details>>, Refusal> {
        if self.is_inside() {
            return Err(Refusal::BadRequest("the request is not complete"));
        }
        Ok(None)
    }

    fn is_inside(&self) -> bool {
        match &self.state {
            State::Head(finder) => finder.has_begun(),
            State::Body(_) => true,
        }
    }

    fn stream(&mut self, request: &mut Vec<u8>) {
        let State::Body(body) = &mut self.state else {
            return;
        };
        body.storage = Storage::Streaming;
        if let Form::Gathering(content) = &mut body.form {
            let content = mem::take(content);
            // Chunks of our own, because the length of the rest is not known.
            request.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            body.form = Form::Chunks;
            body.append(&content, request);
        }
    }

    fn take_interim(&mut self) -> Option<&'static [u8]> {
        match &mut self.state {
            State::Body(body) => mem::take(&mut body.continue_due).then_some(CONTINUE),
            State::Head(_) => None,
        }
    }
}

impl BodyState {
    /// Takes as much of the body as has arrived and may be held.
    fn take(
        &mut self,
        input: &[u8],
        max_body: usize,
        request: &mut Vec<u8>,
    ) -> Result<(usize, Status<Details>), Refusal> {
        if self.defers_permission(max_body) {
            return Ok((0, Status::Full(self.summary)));
        }
        let mut used = 0;
        loop {
            let next = &input[used..];
            // Look no further than the bound, so that a full body is noticed at its last byte.
            let next = &next[..next.len().min(self.room(max_body))];
            match self.rest.step(next, Blanks::Refused)? {
                None => return Ok((used, Status::Partial)),
                Some(Piece::End) => {
                    self.finish(request);
                    return Ok((used, Status::Complete(self.summary)));
                }
                Some(Piece::Framing(count)) => used += count,
                Some(Piece::Content(count)) => {
                    self.take_content(&next[..count], request);
                    used += count;
                    if self.is_full(max_body) {
                        return Ok((used, Status::Full(self.summary)));
                    }
                }
            }
        }
    }

    fn take_content(&mut self, content: &[u8], request: &mut Vec<u8>) {
        self.append(content, request);
        if let Storage::Held(held) = &mut self.storage {
            *held += content.len();
        }
        // A client that sends its body without waiting needs no permission (RFC 9110 section 10.1.1).
        self.continue_due = false;
    }

    /// Returns whether the client asks for permission to send a body that cannot be held.
    ///
    /// The permission is then deferred until the request goes to the upstream: given now, it would
    /// fill the memory with a part of a body whose rest cannot be read for a long time.
    fn defers_permission(&self, max_body: usize) -> bool {
        match (&self.storage, self.rest) {
            (Storage::Held(_), Body::Length(length)) => {
                self.continue_due && length > max_body as u64
            }
            (Storage::Streaming, _) | (_, Body::Chunked(_) | Body::UntilClose) => false,
        }
    }

    /// Returns how many bytes to look at, so that the bound is exact.
    ///
    /// The result is never 0, because the end of a body may follow its last byte.
    fn room(&self, max_body: usize) -> usize {
        match self.storage {
            Storage::Streaming => usize::MAX,
            Storage::Held(held) => max_body.saturating_sub(held).max(1),
        }
    }

    /// Returns whether all of `max_body` is in use and the body goes on.
    fn is_full(&self, max_body: usize) -> bool {
        match self.storage {
            Storage::Streaming => false,
            Storage::Held(held) => held >= max_body && self.rest != Body::Length(0),
        }
    }

    fn append(&mut self, content: &[u8], request: &mut Vec<u8>) {
        match &mut self.form {
            Form::Plain => request.extend_from_slice(content),
            Form::Gathering(gathered) => gathered.extend_from_slice(content),
            // A chunk of size 0 would end the body.
            Form::Chunks if content.is_empty() => {}
            Form::Chunks => {
                // Writing to a Vec never fails.
                let _ = write!(request, "{:x}\r\n", content.len());
                request.extend_from_slice(content);
                request.extend_from_slice(b"\r\n");
            }
        }
    }

    fn finish(&mut self, request: &mut Vec<u8>) {
        match &self.form {
            Form::Plain => {}
            Form::Gathering(content) => {
                end_head(content.len() as u64, request);
                request.extend_from_slice(content);
            }
            Form::Chunks => request.extend_from_slice(b"0\r\n\r\n"),
        }
    }
}

/// Appends the field that frames the body, and the empty line.
fn end_head(length: u64, request: &mut Vec<u8>) {
    // Writing to a Vec never fails.
    let _ = write!(request, "Content-Length: {length}\r\n\r\n");
}

impl From<NoHead> for Refusal {
    fn from(no_head: NoHead) -> Self {
        match no_head {
            NoHead::BareLineFeed => Self::BadRequest("a line does not end in CR LF"),
            NoHead::TooLarge => Self::HeadTooLarge,
        }
    }
}

impl From<ChunkError> for Refusal {
    fn from(error: ChunkError) -> Self {
        match error {
            ChunkError::TooLarge => Self::TooLarge,
            ChunkError::Size | ChunkError::LineEnd | ChunkError::Extra => {
                Self::BadRequest(error.reason())
            }
        }
    }
}
