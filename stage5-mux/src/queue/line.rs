//! The framing of lines: one line is a request, one line is its response, as in stage 1.
//!
//! ```text
//!   request  = *( any byte but LF ) ( LF | end of the client's input )
//!   response = *( any byte but LF ) LF
//! ```
//!
//! A last line without its newline is a request, too, if the client ends its input. The upstream
//! must get a newline, because its input goes on; the client gets the response without one, as
//! stage 1's server would send it.

use std::ops::Range;

use crate::queue::framing::{
    EndOfInput, Ending, Framing, InvalidResponse, Keep, Passage, Persistence, Refusal, Requests,
    Responses, Status, Summary, Taken,
};

/// The framing of lines.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    max_line: usize,
}

impl Line {
    /// Creates a framing whose requests have at most `max_line` bytes before the newline.
    #[must_use]
    pub fn new(max_line: usize) -> Self {
        Self { max_line }
    }
}

/// The end of a request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminated {
    /// It ends with a newline.
    Yes,
    /// It ends with the client's input.
    No,
}

impl Framing for Line {
    type Details = Terminated;
    type Requests = LineRequests;
    type Responses = LineResponses;

    const NAME: &'static str = "line";
    // Because the client may be a human at a keyboard.
    const CLOSES_IDLE: bool = false;
    const UNASKED: &'static str = "the upstream has sent a line that answers no request: \
        a protocol that begins with a greeting (SMTP, FTP, POP3) cannot be queued";

    fn requests(&self) -> LineRequests {
        LineRequests {
            max_line: self.max_line,
            searched: 0,
        }
    }

    fn responses(&self, summary: Summary<Terminated>) -> LineResponses {
        LineResponses {
            summary,
            begun: false,
        }
    }

    /// Appends nothing: to the client, any line would look like the response.
    fn refuse(_: Refusal, _: Option<Summary<Terminated>>, _: Persistence, _: &mut Vec<u8>) {}
}

/// Finds lines in a client's bytes.
#[derive(Debug)]
pub struct LineRequests {
    max_line: usize,
    /// How far the input was searched: there is no newline before here.
    searched: usize,
}

impl Requests<Terminated> for LineRequests {
    fn take(&mut self, input: &[u8], request: &mut Vec<u8>) -> Result<Taken<Terminated>, Refusal> {
        // Search the new bytes only, because the caller passes the old ones again and again.
        let found = newline(&input[self.searched..]).map(|offset| self.searched + offset);
        if found.unwrap_or(input.len()) > self.max_line {
            return Err(Refusal::HeadTooLarge);
        }
        let Some(end) = found else {
            self.searched = input.len();
            return Ok(Taken {
                used: 0,
                status: Status::Partial,
            });
        };
        self.searched = 0;
        request.extend_from_slice(&input[..=end]);
        Ok(Taken {
            used: end + 1,
            status: Status::Complete(summary(Terminated::Yes)),
        })
    }

    fn end_of_input(
        &mut self,
        rest: &[u8],
        request: &mut Vec<u8>,
    ) -> Result<Option<Summary<Terminated>>, Refusal> {
        if rest.is_empty() {
            return Ok(None);
        }
        self.searched = 0;
        request.extend_from_slice(rest);
        request.push(b'\n');
        Ok(Some(summary(Terminated::No)))
    }

    fn is_inside(&self) -> bool {
        self.searched > 0
    }

    fn stream(&mut self, _: &mut Vec<u8>) {}

    fn take_interim(&mut self) -> Option<&'static [u8]> {
        None
    }
}

/// A line is never sent again, because we cannot know whether that is safe.
fn summary(terminated: Terminated) -> Summary<Terminated> {
    Summary {
        repeatable: false,
        persistent: terminated == Terminated::Yes,
        details: terminated,
    }
}

/// Finds the end of one response line.
#[derive(Debug)]
pub struct LineResponses {
    summary: Summary<Terminated>,
    begun: bool,
}

impl Responses for LineResponses {
    fn take(
        &mut self,
        input: &[u8],
        persistence: Persistence,
        _: &mut Vec<u8>,
    ) -> Result<Passage, InvalidResponse> {
        self.begun |= !input.is_empty();
        let Some(end) = newline(input) else {
            // A part of a line is passed on at once, so it needs no memory here.
            return Ok(passage(input.len(), 0..input.len(), None));
        };
        let keep = Keep {
            upstream: true,
            client: self.summary.persistent && persistence == Persistence::Keep,
        };
        let last = match self.summary.details {
            Terminated::Yes => end + 1,
            Terminated::No => end,
        };
        Ok(passage(end + 1, 0..last, Some(keep)))
    }

    fn has_begun(&self) -> bool {
        self.begun
    }

    fn end_of_input(&self, _: EndOfInput) -> Ending {
        match self.summary.details {
            Terminated::Yes => Ending::Truncated,
            Terminated::No => Ending::Hidden,
        }
    }
}

fn passage(used: usize, verbatim: Range<usize>, end: Option<Keep>) -> Passage {
    Passage {
        used,
        verbatim,
        end,
    }
}

fn newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n')
}

#[cfg(test)]
mod tests;
