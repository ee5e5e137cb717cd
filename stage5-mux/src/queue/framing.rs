//! Framing: finds messages in a stream of bytes, and rewrites them for the other side.
//!
//! ```text
//!   bytes of a client ────────▶ Requests::take  ──▶ the request for the upstream
//!   bytes of the upstream ────▶ Responses::take ──▶ the response for the client
//! ```
//!
//! A framing is free of I/O and of clocks. Its caller reads bytes in pieces of any size, and the
//! cuts between the pieces never change the result.

use std::fmt::Debug;
use std::ops::Range;

/// A protocol whose requests and responses can be told apart.
///
/// The caller keeps one reader of requests for each client, and creates one reader of responses
/// for each exchange:
///
/// 1. `requests()`, then [`Requests::take`] until a request is complete or the memory is full;
/// 2. `responses(summary)` with the summary of that request, then [`Responses::take`] until
///    [`Passage::end`] is set.
pub trait Framing: Debug + Send + 'static {
    /// The properties of a request that the reader of its response needs, beyond [`Summary`].
    type Details: Copy + Debug + PartialEq + Send;
    /// The reader of one client's requests.
    type Requests: Requests<Self::Details>;
    /// The reader of one response.
    type Responses: Responses;

    /// The name in logs and in the inspector.
    const NAME: &'static str;
    /// Whether idle clients are closed after a time limit.
    const CLOSES_IDLE: bool;
    /// What the log says when the upstream has sent bytes that answer no request.
    const UNASKED: &'static str;

    /// Creates the reader of a new client's requests.
    fn requests(&self) -> Self::Requests;

    /// Creates the reader of the response to one request.
    fn responses(&self, summary: Summary<Self::Details>) -> Self::Responses;

    /// Appends to `out` the reply that tells a client why it gets no response.
    ///
    /// `summary` is `None` if the request was not understood. A protocol without such replies appends nothing: then
    /// the caller can only reset the client.
    fn refuse(
        refusal: Refusal,
        summary: Option<Summary<Self::Details>>,
        persistence: Persistence,
        out: &mut Vec<u8>,
    );
}

/// Whether a client's connection outlives a response (RFC 9112 section 9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// The client may send a further request.
    Keep,
    /// The connection is closed after the response.
    Close,
}

/// The properties of a request that matter until its response is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary<D> {
    /// The request may be sent again if no byte of a response has arrived.
    pub repeatable: bool,
    /// The client's connection is kept after the response.
    pub persistent: bool,
    /// Properties that only the framing understands.
    pub details: D,
}

/// Finds requests in one client's bytes.
pub trait Requests<D>: Debug + Send {
    /// Takes bytes from the front of `input` and appends the request for the upstream to `request`.
    ///
    /// The caller keeps the bytes that were not taken and passes them again, with more after them.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not a request that can be served. Then the caller must not send any
    /// part of `request` to the upstream.
    fn take(&mut self, input: &[u8], request: &mut Vec<u8>) -> Result<Taken<D>, Refusal>;

    /// Notes that the client has sent FIN; `rest` holds the bytes that were not taken.
    ///
    /// Returns the last request, if the end of the input has completed one.
    ///
    /// # Errors
    ///
    /// Fails if the input has ended in the middle of a request.
    fn end_of_input(
        &mut self,
        rest: &[u8],
        request: &mut Vec<u8>,
    ) -> Result<Option<Summary<D>>, Refusal>;

    /// Returns whether a request has begun that is not complete.
    fn is_inside(&self) -> bool;

    /// Continues without a bound after [`Status::Full`], because from now on the caller empties
    /// `request` after each call of `take`.
    fn stream(&mut self, request: &mut Vec<u8>);

    /// Returns the interim response for a client that waits for permission to send its body; at
    /// most once for each request.
    fn take_interim(&mut self) -> Option<&'static [u8]>;
}

/// The result of [`Requests::take`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken<D> {
    /// The number of bytes that were taken from the front of the input.
    pub used: usize,
    /// The progress of the request.
    pub status: Status<D>,
}

/// The progress of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status<D> {
    /// More bytes are needed.
    Partial,
    /// As many bytes are held as allowed; the rest has to stream.
    Full(Summary<D>),
    /// The request is complete; the next byte belongs to the next request.
    Complete(Summary<D>),
}

/// Finds the end of one response.
pub trait Responses: Debug + Send {
    /// Takes bytes from the front of `input`.
    ///
    /// The client gets the bytes that were appended to `out`, and after them
    /// `input[passage.verbatim]`: a body that passes unchanged is not copied. With
    /// [`Persistence::Close`] the response announces the close, even if the request did not.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not a valid response. Then the caller closes the connection, because
    /// the end of the response cannot be found.
    fn take(
        &mut self,
        input: &[u8],
        persistence: Persistence,
        out: &mut Vec<u8>,
    ) -> Result<Passage, InvalidResponse>;

    /// Returns whether a part of the final response was passed on.
    fn has_begun(&self) -> bool;

    /// Returns what the end of the connection means for the response.
    fn end_of_input(&self, end: EndOfInput) -> Ending;
}

/// The result of [`Responses::take`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passage {
    /// The number of bytes that were taken from the front of the input.
    pub used: usize,
    /// The part of the input that goes to the client unchanged.
    pub verbatim: Range<usize>,
    /// Set if the response is complete.
    pub end: Option<Keep>,
}

/// The connections that are kept after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The upstream takes a further request on the same connection.
    pub upstream: bool,
    /// The client may send a further request on the same connection.
    pub client: bool,
}

/// How the upstream's connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndOfInput {
    /// With a FIN, after every byte that the upstream has sent.
    Fin,
    /// With an error, so that bytes may be missing.
    Error,
}

/// The meaning of the end of the upstream's connection for a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The end of the connection delimits the response, so it is complete.
    Complete,
    /// Bytes are missing, and the client can see it.
    Truncated,
    /// Bytes are missing, but to the client an orderly close would look like a complete response.
    Hidden,
}

/// Why a client gets a reply of ours instead of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request breaks a rule of the protocol, or is ambiguous.
    #[error("bad request: {0}")]
    BadRequest(&'static str),
    /// The request did not arrive in time.
    #[error("the request took too long")]
    TooSlow,
    /// The length of the request does not fit into 64 bits.
    #[error("the request is too large")]
    TooLarge,
    /// The client has sent an `Expect` other than `100-continue`.
    #[error("the expectation is not known")]
    UnknownExpectation,
    /// The head, or the line, is longer than its bound.
    #[error("the request's head is too large")]
    HeadTooLarge,
    /// The head has more fields than the framing has room for.
    #[error("the head has more than 128 fields")]
    TooManyFields,
    /// The request asks the last of its proxies, and that is the queue. This reply is no error.
    #[error("the request ends here, because its Max-Forwards is 0")]
    LastHop,
    /// The request needs a feature that a shared connection cannot offer.
    #[error("not possible: {0}")]
    NotPossible(&'static str),
    /// The upstream cannot be reached, or its response is not valid.
    #[error("bad gateway: {0}")]
    BadGateway(&'static str),
    /// The queue holds `max_queue` requests already.
    #[error("the queue is full")]
    QueueFull,
    /// The upstream did not answer in time.
    #[error("the upstream took too long")]
    UpstreamTimeout,
    /// The client speaks an unsupported version of the protocol.
    #[error("the version is not supported")]
    UnknownVersion,
}

/// The upstream has sent bytes that are not a valid response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's response is invalid: {0}")]
pub struct InvalidResponse(pub &'static str);
