//! Where a message ends: the border between bytes and the queue.
//!
//! ```text
//!   client's bytes ---> Requests::take  ---> the request as the upstream shall get it
//!   upstream's bytes -> Responses::take ---> the response as the client shall get it
//! ```
//!
//! A framing is free of I/O and of clocks. It is fed bytes in whatever pieces they come, and how
//! they were cut never changes what comes out.

use std::fmt::Debug;
use std::ops::Range;

/// A way to find messages in a stream of bytes.
pub trait Framing: Debug + Send + 'static {
    /// What the response's reader must know of the request, beyond [`Summary`].
    type Details: Copy + Debug + PartialEq + Send;
    /// Finds requests, one reader for each client.
    type Requests: Requests<Self::Details>;
    /// Finds the end of a response, one reader for each request.
    type Responses: Responses;

    /// The name in logs and in the inspector.
    const NAME: &'static str;
    /// Says whether a client may be sent away only because it asks nothing.
    const CLOSES_IDLE: bool;

    /// Makes the reader of a new client.
    fn requests(&self) -> Self::Requests;

    /// Makes the reader of the response to one request.
    fn responses(&self, summary: Summary<Self::Details>) -> Self::Responses;

    /// Writes the reply that tells a client why it gets no response, in the protocol's own words.
    ///
    /// `summary` is absent when the request was not understood. Nothing is written when the
    /// protocol has no words for it: then the client can only be reset.
    fn refuse(
        refusal: Refusal,
        summary: Option<Summary<Self::Details>>,
        closing: bool,
        out: &mut Vec<u8>,
    );
}

/// What the reader of a response must know of its request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Summary<D> {
    /// The request may be sent a second time when the first attempt had no answer at all.
    pub repeatable: bool,
    /// The client's connection goes on after the response.
    pub persistent: bool,
    /// What only the framing understands.
    pub details: D,
}

/// Finds the requests in one client's bytes.
pub trait Requests<D>: Debug + Send {
    /// Takes bytes from the front of `input` and appends to `request` what the upstream shall get.
    ///
    /// Bytes that were not taken are offered again, with more behind them.
    ///
    /// # Errors
    ///
    /// When the bytes are no request that can be served; nothing of them must reach the upstream.
    fn take(&mut self, input: &[u8], request: &mut Vec<u8>) -> Result<Taken<D>, Refusal>;

    /// Notes that the client sends nothing more; `rest` is what was not taken.
    ///
    /// Returns the last request, when the end has completed one.
    ///
    /// # Errors
    ///
    /// When the input has ended in the middle of a request.
    fn end_of_input(
        &mut self,
        rest: &[u8],
        request: &mut Vec<u8>,
    ) -> Result<Option<Summary<D>>, Refusal>;

    /// Says whether a request has begun that is not complete.
    fn is_inside(&self) -> bool;

    /// Goes on without a bound after [`Status::Full`]: from here on, somebody empties `request`.
    fn stream(&mut self, request: &mut Vec<u8>);

    /// Returns what to tell a client that waits for permission to send its body; once at most.
    fn take_interim(&mut self) -> Option<&'static [u8]>;
}

/// What [`Requests::take`] has done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Taken<D> {
    /// The number of bytes that were taken from the front of the input.
    pub used: usize,
    /// How far the request is.
    pub status: Status<D>,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status<D> {
    /// More bytes are needed.
    Partial,
    /// As much of it is held as may be; the rest has to stream.
    Full(Summary<D>),
    /// It is complete; the next byte belongs to the next request.
    Complete(Summary<D>),
}

/// Finds the end of one response.
pub trait Responses: Debug + Send {
    /// Takes bytes from the front of `input`.
    ///
    /// What the client shall get is what was appended to `out`, and after it
    /// `input[passage.verbatim]`. `closing` says that the client's connection will not go on.
    ///
    /// # Errors
    ///
    /// When the bytes are no response: the connection they came on cannot be trusted any more.
    fn take(
        &mut self,
        input: &[u8],
        closing: bool,
        out: &mut Vec<u8>,
    ) -> Result<Passage, InvalidResponse>;

    /// Says whether anything of the final response was handed out.
    fn has_begun(&self) -> bool;

    /// Notes that the upstream sends nothing more; `clean` says that it ended without an error.
    fn end_of_input(&self, clean: bool) -> Ending;
}

/// What [`Responses::take`] has done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Passage {
    /// The number of bytes that were taken from the front of the input.
    pub used: usize,
    /// The part of the input that goes to the client as it is.
    pub verbatim: Range<usize>,
    /// Set when the response is complete.
    pub end: Option<Keep>,
}

/// Which connections go on after a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Keep {
    /// The upstream takes a further request on the same connection.
    pub upstream: bool,
    /// The client may send a further request on the same connection.
    pub client: bool,
}

/// What the end of the upstream's output means for a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// The response was delimited by the end: it is complete.
    Complete,
    /// Bytes are missing, and the client can tell by itself.
    Truncated,
    /// Bytes are missing, and the client would take the end for a good one.
    Hidden,
}

/// Why a client does not get what it has asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The request breaks the rules of the protocol.
    #[error("bad request: {0}")]
    BadRequest(&'static str),
    /// The request did not arrive in time.
    #[error("the request took too long")]
    TooSlow,
    /// The request has more bytes than can be counted.
    #[error("the request is too large")]
    TooLarge,
    /// The client has an expectation that is not known here.
    #[error("the expectation is not known")]
    UnknownExpectation,
    /// The head, or the line, is longer than it may be.
    #[error("the request's head is too large")]
    HeadTooLarge,
    /// The request asks for what a shared connection cannot give.
    #[error("not possible: {0}")]
    NotPossible(&'static str),
    /// The upstream cannot be reached, or its response is no response.
    #[error("bad gateway: {0}")]
    BadGateway(&'static str),
    /// As many requests wait as may.
    #[error("the queue is full")]
    QueueFull,
    /// The upstream did not answer in time.
    #[error("the upstream took too long")]
    UpstreamTimeout,
    /// The client speaks another version of the protocol.
    #[error("the version is not supported")]
    UnknownVersion,
}

/// The upstream has sent what is no response.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the upstream's response is invalid: {0}")]
pub struct InvalidResponse(pub &'static str);
