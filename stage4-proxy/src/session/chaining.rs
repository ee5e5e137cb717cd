//! The way through a chain: headers to the hops, and their responses, before the relay.

use std::time::Instant;

use crate::chain::{Fault, HopFailure};
use crate::connect_error::ConnectError;
use crate::scratch::Scratch;
use crate::session::conversing::check_client;
use crate::session::{Next, Phase, Reason, Session};

impl Session {
    /// Sends what is left of the headers and reads what has come of the responses.
    ///
    /// The client's early bytes wait until every hop is connected, so that a client whose chain fails
    /// knows that no target has seen a byte.
    pub(super) fn chain(&mut self, scratch: &mut Scratch, now: Instant) -> Next {
        match self.pass_hops(scratch, now) {
            Err(failure) => Next::Refuse(ConnectError::Hop(failure).into()),
            Ok(None) => check_client(&self.client),
            Ok(Some(rest)) => {
                self.connected(now);
                // Behind the handshake's reply, which `connected` has put there.
                match self.phase.early_bytes(&rest) {
                    Ok(first) => self.down.half.keep(&first),
                    Err(invalid) => return Next::Refuse(Reason::BadResponse(invalid)),
                }
                // The phase is another one now.
                Next::Again
            }
        }
    }

    /// Returns the target's first bytes once the hops are connected.
    fn pass_hops(
        &mut self,
        scratch: &mut Scratch,
        now: Instant,
    ) -> Result<Option<Vec<u8>>, HopFailure> {
        let (Phase::Chaining(passage), Some(upstream)) = (&mut self.phase, &mut self.upstream)
        else {
            return Ok(None);
        };
        while !passage.unsent().is_empty() && upstream.writable {
            let sent = upstream.write_some(passage.unsent());
            passage.sent(sent.map_err(|_| passage.failed(Fault::Silent))?);
        }
        loop {
            match upstream.read_some(&mut scratch.bytes) {
                Ok(None) => return Ok(None),
                Ok(Some(0)) | Err(_) => return Err(passage.failed(Fault::Silent)),
                Ok(Some(count)) => {
                    let awaited = passage.awaited();
                    if let Some(rest) = passage.read(&scratch.bytes[..count])? {
                        return Ok(Some(rest));
                    }
                    if passage.awaited() != awaited {
                        self.active = now;
                    }
                }
            }
        }
    }
}
