//! One client's requests: found, checked, rewritten, held.
//!
//! ```text
//!            head complete              body complete
//!   Head -----------------> Body -----------------------> Head
//!     \________________________________________________/
//!                      no body
//! ```

use std::io::Write as _;
use std::sync::Arc;

use super::body::{Body, ChunkError, Piece};
use super::head::{HeadFinder, NoHead};
use super::rewrite::{announces_empty_body, rewrite};
use super::{Details, Settings};
use crate::queue::framing::{Refusal, Requests, Status, Summary, Taken};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Finds requests in a client's bytes.
#[derive(Debug)]
pub struct Http1Requests {
    settings: Arc<Settings>,
    state: State,
}

#[derive(Debug)]
enum State {
    Head(HeadFinder),
    Body(Inside),
}

/// The body of a request under way.
#[derive(Debug)]
struct Inside {
    summary: Summary<Details>,
    rest: Body,
    form: Form,
    /// Bytes of the body that were taken while nobody emptied `request`.
    held: usize,
    /// Somebody empties `request`: there is no bound any more.
    streaming: bool,
    /// The client waits for permission to send the body.
    continue_due: bool,
}

/// How the body is sent to the upstream.
#[derive(Debug)]
enum Form {
    /// As it comes; the head has its length.
    Plain,
    /// The head is not finished, because the length of these chunks is not known yet.
    Gathering(Vec<u8>),
    /// In chunks of our own.
    Chunks,
}

impl Http1Requests {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            state: State::Head(HeadFinder::default()),
        }
    }

    /// Begins the body, once the head is complete.
    fn begin(&mut self, head: &[u8], request: &mut Vec<u8>) -> Result<(), Refusal> {
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
        self.state = State::Body(Inside {
            summary: head.summary,
            continue_due: head.expects_continue,
            rest: head.body,
            form,
            held: 0,
            streaming: false,
        });
        Ok(())
    }
}

impl Requests<Details> for Http1Requests {
    fn take(&mut self, input: &[u8], request: &mut Vec<u8>) -> Result<Taken<Details>, Refusal> {
        let mut used = 0;
        if let State::Head(finder) = &mut self.state {
            let Some((begin, end)) = finder.find(input, self.settings.max_head)? else {
                return Ok(Taken {
                    used: 0,
                    status: Status::Partial,
                });
            };
            self.begin(&input[begin..end], request)?;
            used = end;
        }
        let State::Body(inside) = &mut self.state else {
            return Err(Refusal::BadRequest("the head is not complete"));
        };
        let (count, status) = inside.take(&input[used..], self.settings.max_body, request)?;
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
        let State::Body(inside) = &mut self.state else {
            return;
        };
        inside.streaming = true;
        if let Form::Gathering(content) = &mut inside.form {
            let content = std::mem::take(content);
            request.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            inside.form = Form::Chunks;
            inside.append(&content, request);
        }
    }

    fn take_interim(&mut self) -> Option<&'static [u8]> {
        match &mut self.state {
            State::Body(inside) => std::mem::take(&mut inside.continue_due).then_some(CONTINUE),
            State::Head(_) => None,
        }
    }
}

impl Inside {
    /// Takes as much of the body as is there and may be held.
    fn take(
        &mut self,
        input: &[u8],
        max_body: usize,
        request: &mut Vec<u8>,
    ) -> Result<(usize, Status<Details>), Refusal> {
        if self.waits_for_its_turn(max_body) {
            return Ok((0, Status::Full(self.summary)));
        }
        let mut used = 0;
        loop {
            let next = &input[used..];
            let next = &next[..next.len().min(self.room(max_body))];
            match self.rest.step(next)? {
                None => return Ok((used, Status::Partial)),
                Some(Piece::End) => {
                    self.finish(request);
                    return Ok((used, Status::Complete(self.summary)));
                }
                Some(Piece::Framing(count)) => used += count,
                Some(Piece::Content(count)) => {
                    self.append(&next[..count], request);
                    used += count;
                    self.held += count;
                    self.continue_due = false;
                    if !self.streaming && self.held >= max_body && self.rest != Body::Length(0) {
                        return Ok((used, Status::Full(self.summary)));
                    }
                }
            }
        }
    }

    /// Says whether the body is known to be too large to be held and its client waits for
    /// permission: then the permission is given when the request's turn comes.
    fn waits_for_its_turn(&self, max_body: usize) -> bool {
        match self.rest {
            Body::Length(length) => {
                !self.streaming && self.continue_due && length > max_body as u64
            }
            Body::Chunked(_) | Body::UntilClose => false,
        }
    }

    /// Returns how many bytes to look at, so that the bound is exact; never none, because the end
    /// of a body may still follow.
    fn room(&self, max_body: usize) -> usize {
        if self.streaming {
            usize::MAX
        } else {
            max_body.saturating_sub(self.held).max(1)
        }
    }

    fn append(&mut self, content: &[u8], request: &mut Vec<u8>) {
        match &mut self.form {
            Form::Plain => request.extend_from_slice(content),
            Form::Gathering(gathered) => gathered.extend_from_slice(content),
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
