//! One session's way through a chain, without I/O: headers out, responses in.

use stage2_client::Target;

use crate::buffer::Buffer;
use crate::chain::failure::{Fault, HopFailure};
use crate::chain::header::headers;
use crate::chain::responses::{Outcome, Responses};

/// The headers that were not sent yet, and the responses that have not come yet.
///
/// ```text
///   the first hop is connected ──▶ unsent headers ──▶ responses 1..n ──▶ the rest is the target's
///                                       │                 │
///                                       └─────────────────┴──▶ HopFailure
/// ```
#[derive(Debug)]
pub(crate) struct Passage {
    unsent: Buffer,
    /// The beginning of a response.
    pending: Vec<u8>,
    responses: Responses,
    hops: usize,
}

impl Passage {
    /// Begins the way through `hops` to `target`; the first hop is connected.
    pub(crate) fn new(hops: &[Target], target: &Target) -> Self {
        let mut unsent = Buffer::new();
        unsent.append(&headers(hops, target));
        Self {
            unsent,
            pending: Vec::new(),
            responses: Responses::new(hops.len()),
            hops: hops.len(),
        }
    }

    /// Returns the headers that are still to be sent.
    pub(crate) fn unsent(&self) -> &[u8] {
        self.unsent.pending()
    }

    /// Notes that the first `count` bytes of them were sent.
    pub(crate) fn sent(&mut self, count: usize) {
        self.unsent.consume(count);
    }

    /// Takes bytes of the hops; returns the target's first bytes once all hops are connected.
    ///
    /// # Errors
    ///
    /// Fails with the first response that is no success.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, HopFailure> {
        self.pending.extend_from_slice(bytes);
        let (used, outcome) = self.responses.read(&self.pending);
        self.pending.drain(..used);
        match outcome {
            Outcome::Incomplete => Ok(None),
            Outcome::Connected => Ok(Some(std::mem::take(&mut self.pending))),
            Outcome::Failed(hop, response) => {
                Err(self.failure(hop, Fault::Unreached(response.status)))
            }
            Outcome::Malformed(hop) => Err(self.failure(hop, Fault::Stranger)),
        }
    }

    /// Returns the number of the hop whose response comes next.
    pub(crate) fn awaited(&self) -> usize {
        self.responses.awaited()
    }

    /// Returns the failure of the hop whose response comes next.
    pub(crate) fn failed(&self, fault: Fault) -> HopFailure {
        self.failure(self.responses.awaited(), fault)
    }

    fn failure(&self, hop: usize, fault: Fault) -> HopFailure {
        let hops = self.hops;
        HopFailure { hop, hops, fault }
    }
}
