//! HTTP/1.1 messages between a client and a target (RFC 9112), free of I/O: where they end, and how their heads
//! are rewritten.
//!
//! ```text
//!   bytes of the client ──▶ Upload    ──▶ the body of one request, and the bytes behind it
//!   bytes of the target ──▶ Response  ──▶ the response for the client, and where it ends
//!                └──────── Exchange ────────┘
//! ```
//!
//! A proxy has to know where messages end: only then can a client send its next request, perhaps for another
//! host, over the same connection. Every reading that is not certain is an error, because the proxy and the
//! target must never disagree about the place where a message ends (*request smuggling*).
//!
//! # Why there is a second framing in stage 5
//!
//! Stage 5's queue holds a body before it sends it, in chunks of its own, so its machine tells content from framing.
//! A forward proxy passes a body on as it comes, so [`body`] only counts: how many of these bytes belong to the
//! message? What both need lives here, and stage 5 uses it: [`head`], [`max_forwards`] and
//! [`http_version`](crate::http_version). The parts of stage 5 that look alike are its exercises 5.4 and 5.5,
//! and a program of stage 4 must work while they are still blank.

pub mod body;
pub mod exchange;
pub(crate) mod fields;
pub mod head;
pub mod max_forwards;
pub mod proxy_name;
pub mod response;

use std::ops::Range;

/// The most bytes of a head. Servers take 8 to 32 KiB, and cookies make heads long.
pub const MAX_HEAD: usize = 32 * 1024;

/// The most fields of a head; the sentence of [`TOO_MANY_FIELDS`] names it.
pub const MAX_FIELDS: usize = 128;

/// Why a head with more fields is refused.
pub const TOO_MANY_FIELDS: &str = "the head has more than 128 fields";

/// One message, or the rest of it: says which bytes of its source belong to it.
pub trait Message {
    /// Returns how many of the next bytes belong to the message whatever they are; 0 if the next read has to
    /// be [looked](Self::look) at.
    fn blind(&self) -> u64;

    /// Notes that `count` of the [blind](Self::blind) bytes have passed.
    fn pass(&mut self, count: u64);

    /// Looks at the next bytes, and says what the other side gets of them.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are no valid message, so that its end cannot be found.
    fn look(&mut self, bytes: &[u8]) -> Result<Sight, Invalid>;

    /// Returns whether the message is complete: the next byte of the source is none of it.
    fn is_over(&self) -> bool;

    /// Returns whether the end of the source may be passed on as the message's own end.
    fn may_end(&self) -> bool;
}

/// What the other side gets of bytes that were looked at: `before`, and then a range of the bytes themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// What goes first, such as a head that was rewritten.
    pub before: Vec<u8>,
    /// The part of the bytes that passes unchanged.
    pub verbatim: Range<usize>,
}

/// The bytes of a peer are no valid message. The sentence has no address in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub &'static str);
